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

"""Set persistence mode of an NVIDIA GPU inside an instance, with nvidia-smi.

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7. Source: NVIDIA System Management Interface documentation
(``--query-gpu=persistence_mode``, ``-pm``); NVIDIA Driver Persistence: where
nvidia-persistenced runs, nvidia-smi asks it.
"""

from __future__ import annotations

from typing import Any

VALUE = str
#: Before the power limit, which it keeps.
ORDER = 12


def set_mode(card: Any, wanted: str, patience: float) -> bool:
    """Set the mode; whether it was changed."""
    query = ('nvidia-smi', '-i', card.address,
             '--query-gpu=persistence_mode', '--format=csv,noheader')
    now = card.await_answer('persistence mode', word, patience, *query)
    if now == wanted:
        return False
    answer = card.ask('nvidia-smi', '-i', card.address, '-pm',
                      '1' if wanted == 'enabled' else '0')
    after = word(card.ask(*query))
    if after != wanted:
        raise card.Failed(f'{wanted!r} was set, but {after!r} is read back; '
                          f'nvidia-smi printed: {answer.strip()!r}')
    return True


def word(said: str) -> str | None:
    """The mode among the lines that nvidia-smi printed, or None; warnings
    are lines of their own."""
    words = {line.strip().lower() for line in said.splitlines()} & {
        'enabled', 'disabled'}
    return words.pop() if len(words) == 1 else None
