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
"""Run the benchmarks, one after another, and say which goals hold.

``python -m bench [SCRIPT...]``, or ``make bench``. Each script is a process
of its own. One that breaks, or takes longer than its limit, does not keep the
others from running. At the end stand all bars, those that are missed last,
and the times that are over their goal on this machine.

Exit status 1 if a script could not measure. A bar that is missed is a result:
it is printed, and the status is 3 with ``--strict`` only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from bench.measure import results

ROOT = pathlib.Path(__file__).resolve().parents[1]
#: Seconds of one script, at most.
LIMIT = 600.0


@dataclasses.dataclass(frozen=True)
class Run:
    """What became of a script.

    :ivar document: what it measured, None where it broke.
    """

    script: str
    document: dict[str, Any] | None
    why: str = ''


def scripts(folder: pathlib.Path) -> list[pathlib.Path]:
    """The benchmarks in a folder."""
    return sorted(path for path in folder.glob('*.py')
                  if not path.name.startswith('_'))


def run(script: pathlib.Path, arguments: Sequence[str] = (),
        limit: float = LIMIT) -> Run:
    """Run a script; its output is that of this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'results.json'
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
            [str(ROOT), str(ROOT / 'emulator'),
             *filter(None, [os.environ.get('PYTHONPATH')])])}
        try:
            status = subprocess.run(
                [sys.executable, str(script), '--json', str(path),
                 *arguments], env=environment, timeout=limit,
                check=False).returncode
        except subprocess.TimeoutExpired:
            return Run(script.stem, None, f'not done after {limit:g} s')
        if status not in (0, results.MISSED):
            return Run(script.stem, None, f'exit status {status}')
        try:
            document = json.loads(path.read_text('utf-8'))
        except (OSError, ValueError) as error:
            return Run(script.stem, None, f'no results: {error}')
        return Run(script.stem, document)


def summary(runs: Sequence[Run]) -> str:
    """All bars, what is over its goal, and what broke."""
    lines, missed = [], []
    for one in runs:
        if one.document is None:
            continue
        for result in one.document['results']:
            if result['goal'] is None:
                continue
            size = '' if result['size'] is None else f' ({result["size"]})'
            line = f'{one.script}: {result["name"]}{size}'
            if result['holds']:
                if result['bar']:
                    lines.append(f'  holds   {line}')
            else:
                by = result['missed_by']
                word = 'MISSED' if result['bar'] else 'over'
                missed.append((not result['bar'], (
                    f'  {word:<7} {line}: '
                    + ('nothing to compare with' if by is None
                       else f'by {by:.2f} times'))))
    lines += [line for _, line in sorted(missed, reverse=True)]
    lines += [f'  BROKE   {one.script}: {one.why}'
              for one in runs if one.document is None]
    return '\n'.join(lines)


def bars(runs: Sequence[Run]) -> tuple[int, int]:
    """How many bars hold, and how many there are."""
    found = [result['holds'] for one in runs if one.document is not None
             for result in one.document['results'] if result['bar']]
    return sum(found), len(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scripts and print the summary."""
    parser = argparse.ArgumentParser(
        prog='bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {path.stem: path for path in scripts(
        pathlib.Path(__file__).parent)}
    parser.add_argument('scripts', nargs='*', metavar='SCRIPT',
                        help=f'some of {", ".join(known)}; all by default')
    parser.add_argument('--json', metavar='FILE',
                        help='write all results to this file')
    parser.add_argument('--quick', action='store_true',
                        help='the smallest sizes: shows that all run, the '
                             'figures mean little')
    parser.add_argument('--strict', action='store_true',
                        help='exit status 3 if a bar is missed')
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.scripts) - set(known))
    if unknown:
        parser.error(f'SCRIPT: {unknown[0]!r}: expected some of '
                     f'{", ".join(known)}')
    runs = []
    for name in options.scripts or known:
        print(f'== {name}', flush=True)
        runs.append(run(known[name], ['--quick'] if options.quick else []))
    hold, number = bars(runs)
    print(f'\n{summary(runs)}\n{hold} of {number} bars hold')
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({
            'version': results.VERSION,
            'scripts': [dataclasses.asdict(one) for one in runs]},
            indent=1) + '\n', 'utf-8')
    if any(one.document is None for one in runs):
        return 1
    return results.MISSED if options.strict and hold < number else 0


if __name__ == '__main__':
    sys.exit(main())
