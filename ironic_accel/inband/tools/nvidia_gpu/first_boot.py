#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Set MIG mode of an NVIDIA GPU inside an instance, with nvidia-smi.

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7. Source: NVIDIA System Management Interface documentation
(``--query-gpu=mig.mode.current``, ``-mig``).
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Any

VALUE = str
ORDER = 10
#: Seconds between two readings, and for one call of nvidia-smi.
PAUSE = 1.0
TIMEOUT = 120.0


def set_mode(card: Any, wanted: str, patience: float) -> bool:
    """Set the mode; whether it was changed."""
    until = time.monotonic() + patience
    query = ('--query-gpu=mig.mode.current', '--format=csv,noheader')
    while True:
        said = _smi(card, *query)
        now = word(said)
        if now is not None or time.monotonic() >= until:
            break
        time.sleep(PAUSE)
    if now is None:
        raise card.Failed(f'nvidia-smi reports no MIG mode: {said!r}')
    if now == wanted:
        return False
    answer = _smi(card, '-mig', '1' if wanted == 'enabled' else '0')
    after = word(_smi(card, *query))
    if after != wanted:
        raise card.Failed(f'{wanted!r} was set, but {after!r} is read back; '
                          f'nvidia-smi printed: {answer!r}')
    return True


def word(said: str) -> str | None:
    """The mode among the lines that nvidia-smi printed, or None.

    Warnings are lines of their own before or after it (nvidia-smi(1): a
    corrupted InfoROM is a warning).
    """
    words = {line.strip() for line in said.splitlines()} & {
        'enabled', 'disabled'}
    return words.pop() if len(words) == 1 else None


def _smi(card: Any, *words: str) -> str:
    """The answer of nvidia-smi about one GPU. Its exit status does not
    count: it is 14 if it also warns of a corrupted InfoROM."""
    program = shutil.which('nvidia-smi')
    if program is None:
        raise card.Failed('nvidia-smi is not installed')
    try:
        ran = subprocess.run(  # noqa: S603 - fixed words and an address
            [program, '-i', card.address, *words], timeout=TIMEOUT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired as exc:
        raise card.Failed(
            f'nvidia-smi did not answer in {TIMEOUT:.0f} s') from exc
    return ran.stdout.decode(errors='replace').strip().lower()
