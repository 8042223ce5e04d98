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

"""How long the steps of earlier runs took, for the remaining time.

A file for all systems, since the second node of a rack takes as long as the
first one. It is advice only: a file that cannot be read is begun anew.
"""

from __future__ import annotations

from collections.abc import Mapping
import fcntl
import json
import os
import statistics

from ironic_accel.bounded import files
from ironic_accel.faces.cli import journal
from ironic_accel.model import strict_json

SCHEMA = 'step-times/1'
#: Bytes of the file.
_MOST = 1 << 18
#: Steps that are remembered, and durations of each.
_MOST_STEPS, _MOST_TIMES = 300, 5


def _path() -> str:
    # Not among the journals, whose names end in .json.
    return os.path.join(journal.default_folder(), 'step-times')


def load() -> dict[str, float]:
    """The usual duration of each known step in seconds: the median."""
    return {step: statistics.median(times)
            for step, times in _read(_path()).items()}


def save(durations: Mapping[str, float]) -> None:
    """Add the durations of a run, in seconds.

    :raises: OSError if that fails.
    """
    if not durations:
        return
    os.makedirs(journal.default_folder(), mode=0o700, exist_ok=True)
    path = _path()
    with open(f'{path}.lock', 'a', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _read(path)
        for step, seconds in durations.items():
            times = known.pop(step, [])
            known[step] = [*times, round(seconds, 1)][-_MOST_TIMES:]
        steps = dict([*known.items()][-_MOST_STEPS:])
        files.replace(path, json.dumps({'schema': SCHEMA, 'steps': steps}))


def _read(path: str) -> dict[str, list[float]]:
    """The durations in a file, those of a wrong form left out."""
    try:
        with files.open_regular(path) as file:
            raw = strict_json.parse(file.read(_MOST + 1), _MOST)
    except (OSError, ValueError):
        # There is none yet, or it is broken: nothing is known.
        return {}
    steps = raw.get('steps') if isinstance(raw, dict) and (
        raw.get('schema') == SCHEMA) else None
    if not isinstance(steps, dict):
        return {}
    good = {
        str(step): [float(t) for t in times if isinstance(t, int | float)
                    and not isinstance(t, bool) and 0 <= t < float('inf')]
        for step, times in steps.items() if isinstance(times, list)}
    return {step: times for step, times in good.items() if times}
