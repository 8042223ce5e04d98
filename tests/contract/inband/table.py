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

"""Families against columns: what the contract tries, and why not all."""

from __future__ import annotations

from collections.abc import Mapping

from tests.contract.inband.families import Case

#: What every family is tried for.
COLUMNS = ('inventory', 'burn', 'mode', 'misfit', 'missing', 'hanging',
           'garbled')
_FILE = 'a file is read to look, and a file does not hang'
#: By family and column, why there is nothing to be tried.
NOT: Mapping[tuple[str, str], str] = {
    ('alveo', 'mode'): 'xbmgmt sets no mode of the closed list',
    ('amd_gpu', 'burn'): 'amd-smi writes no firmware',
    ('fwupd', 'mode'): 'fwupd writes firmware alone',
    ('gaudi', 'mode'): 'no mode of kind ai is in the closed list',
    ('nvidia_gpu', 'burn'): 'NVIDIA publishes no such tool: the BMC does it',
    ('opae', 'mode'): 'the tools set no mode of the closed list',
    ('qat', 'burn'): 'its firmware is loaded by the driver at every start',
    ('qat', 'hanging'): _FILE,
    ('rshim', 'mode'): 'modes of a BlueField are mstconfig\'s',
    ('rshim', 'hanging'): _FILE,
    ('sriov', 'burn'): 'a number of virtual functions is no firmware',
    ('sriov', 'hanging'): _FILE,
}


def tried(case: Case) -> set[str]:
    """The columns that the contract tries on a case."""
    found = {'inventory'}
    if case.burn:
        found |= {'burn', 'misfit'}
    if case.mode:
        found |= {'mode', 'misfit'}
    if case.asks or case.files:
        found |= {'missing', 'garbled'}
    if case.asks:
        found.add('hanging')
    return found
