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
BMC. Exit status 1 where the whole run takes more requests than the bar.
"""

from __future__ import annotations

from collections import Counter
import pathlib
import sys
import tempfile

sys.path.insert(0, str(
    pathlib.Path(__file__).resolve().parents[1] / 'emulator'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from ironic_accel.converge import outcome
from tests.contract.machine import machine

#: The bar.
MOST = 60

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
    """Measure, print, and say whether the bar is met."""
    with tempfile.TemporaryDirectory() as folder, machine(
            'hgx-h100', pathlib.Path(folder)) as box:
        end = box.run(PROFILE)
        if not isinstance(end, outcome.Converged):
            print(f'the run did not converge: {end}', file=sys.stderr)
            return 1
        methods = [r.method for r in box.box.ledger.requests]
    reset = methods.index('POST')
    for name, part in (('until the reset', methods[:reset]),
                       ('reset, wait, proof', methods[reset:]),
                       ('whole run', methods)):
        counted = ', '.join(f'{m} {n}' for m, n in sorted(
            Counter(part).items()))
        print(f'{name:20}{len(part):5}  {counted}')
    if len(methods) > MOST:
        print(f'{len(methods)} requests: expected at most {MOST}',
              file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
