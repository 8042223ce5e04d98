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
"""What a whole run costs a BMC: requests, until the reset and in all.

ECC is set on all GPUs of an HGX H100 by a process that has never seen its
BMC. Upstream sets no modes of devices: there is no peer.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

sys.path.insert(0, str(
    pathlib.Path(__file__).resolve().parents[1] / 'emulator'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import results

from ironic_accel.converge import outcome
from tests.contract.machine import machine

#: The most requests of a whole run, and writes: one for each GPU, and the
#: reset.
MOST, MOST_WRITES = 60, 9

PROFILE = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu}
    count: 8
    modes: {ecc: disabled}
"""


def main() -> int:
    """Measure.

    :raises: RuntimeError if the run does not end as it should.
    """
    options = results.parser(__doc__).parse_args()
    report = results.report(__file__, __doc__)
    with tempfile.TemporaryDirectory() as folder, machine(
            'hgx-h100', pathlib.Path(folder)) as box:
        end = box.run(PROFILE)
        if not isinstance(end, outcome.Converged):
            raise RuntimeError(f'the run did not converge: {end}')
        methods = [r.method for r in box.box.ledger.requests]
    reset = methods.index('POST')
    for name, part, most in (
            ('until the reset', methods[:reset], None),
            ('reset, wait, proof', methods[reset:], None),
            ('whole run', methods, MOST),
            ('writes of the whole run', [
                m for m in methods if m != 'GET'], MOST_WRITES)):
        report.add(name, len(part), 'requests',
                   None if most is None else results.at_most(most))
    return report.end(options)


if __name__ == '__main__':
    sys.exit(main())
