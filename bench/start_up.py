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
"""What the command costs before its first request, and many devices.

The least CPU of several fresh processes: ``ironic-accel --help``, and
``ironic-accel inventory`` of an address that refuses connections, which loads
all that an inventory needs. The peer is a script that imports sushy and
nothing else.

Devices that were known before get their ids again in each inventory; how the
cost of that grows with their number is measured too.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import results

from ironic_accel.model import device_marks
from ironic_accel.model import identity
from tests.unit.conductor import sample

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNS = 5
#: The command as its console script starts it.
COMMAND = ('-c', 'import sys; from ironic_accel.faces.cli.main import main; '
                 'sys.exit(main())')
SUSHY = ('-c', 'import sushy')
#: Nothing listens on it: tcpmux, of which IANA has no server left.
REFUSES = 'http://127.0.0.1:1'
#: CPU seconds until an inventory begins.
GOAL_S = 0.35
SIZES, QUICK = (500, 1000, 2000), (8, 16, 32)
#: The exponent of what grows with the devices: linear, and some noise.
LINEAR = 1.2


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('devices', nargs='*', type=int, metavar='DEVICES',
                        help='numbers of devices')
    options = parser.parse_args()
    report = results.report(__file__, __doc__)
    runs = 1 if options.quick else RUNS
    peer = results.Peer('import of sushy', cpu(SUSHY, runs))
    report.add('ironic-accel --help', cpu((*COMMAND, '--help'), runs),
               'CPU s', results.ratio_at_most(1.0), peer)
    report.add('ironic-accel inventory', cpu(
        (*COMMAND, 'inventory', '--bmc', REFUSES), runs), 'CPU s',
        results.at_most(GOAL_S), peer)
    costs = {}
    for number in sorted(options.devices) or (
            QUICK if options.quick else SIZES):
        costs[number] = identify(number) * 1000
        report.add('ids of devices that were known', costs[number], 'CPU ms',
                   size=number)
    report.growth('ids of devices that were known', costs, 'CPU ms',
                  results.at_most(LINEAR))
    return report.end(options)


def cpu(arguments: Sequence[str], runs: int) -> float:
    """CPU seconds of a Python process, the least of some."""
    spent = []
    for _ in range(runs):
        before = os.times()
        subprocess.run(
            [sys.executable, *arguments], check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=120, env={**os.environ, 'PYTHONPATH': str(ROOT)})
        after = os.times()
        spent.append(after.children_user + after.children_system
                     - before.children_user - before.children_system)
    return min(spent)


def identify(number: int) -> float:
    """CPU seconds to find so many devices again, by their serial numbers.

    :raises: RuntimeError if one has another id than before.
    """
    seen = sample.box(*(sample.gpu(n) for n in range(number)))
    known = device_marks.identities(seen)
    moved = dataclasses.replace(seen, devices=tuple(
        dataclasses.replace(device, id=f'new-{device.serial}')
        for device in reversed(seen.devices)))
    began = time.process_time()
    (found,) = identity.identify(
        (identity.Source(moved, stable=True),), known)
    spent = time.process_time() - began
    if {d.id for d in found.devices} != set(known):
        raise RuntimeError('a device has another id than before')
    return spent


if __name__ == '__main__':
    sys.exit(main())
