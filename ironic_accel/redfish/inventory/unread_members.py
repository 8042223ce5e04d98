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

"""What is unknown if listed Systems and Chassis cannot be read.

Similar resources have similar Ids: an unread one may have what a sibling has,
and does not hide what no sibling has.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import re

from ironic_accel.model.device import KINDS
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import stem
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import ADAPTER_KINDS
from ironic_accel.redfish.inventory.device_builder import CARD_KINDS
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors import registry

#: Words in the Ids of Systems that are DPUs (DMTF's mockup of a SmartNIC), in
#: addition to those of the vendors' tables.
_DPU = r'dpu|soc|nic'

#: Kinds of equipment whose BMC has no System, by properties of the service
#: root (ServiceRoot v1.17) and by ChassisType (Chassis v1.25).
_SERVICES = (('PowerEquipment', 'power shelf or PDU'),
             ('ThermalEquipment', 'cooling unit'))
_TYPES = {'Shelf': 'shelf', 'Drawer': 'drawer', 'Enclosure': 'enclosure',
          'PowerShelf': 'power shelf', 'StorageEnclosure':
          'storage enclosure', 'ImmersionTank': 'immersion tank'}


def systems(reader: Reader, scope: Scope, lost: Iterable[str],
            is_host: Callable[..., bool]) -> None:
    """Declare what is unknown because of listed and unread Systems."""
    for uri in lost:
        if is_host(uri, scope.system, scope.quirks):
            continue
        kinds: tuple[str, ...] = KINDS
        if uri in scope.lost_boards:
            # Its processors, and everything in its chassis.
            kinds = ('gpu', 'ai', 'fpga', 'baseboard')
        elif any(re.search(p, last(uri), re.I) for p in (
                _DPU, *(v.dpu for v in registry.vendors() if v.dpu))):
            kinds = ADAPTER_KINDS
        reader.declare(uri, Impact(
            Role.DEVICE, kinds, about=uri, optional=False,
            facts=('presence',) if uri in scope.lost_boards else ()))


def chassis(reader: Reader, scope: Scope, shown: Iterable[Fields],
            lost: Iterable[str]) -> None:
    """Declare what is unknown because of listed and unread Chassis."""
    known = list(shown)
    linked = any(c.doc.get('Links') for c in known)
    main = {uri for system in scope.systems
            for uri in system.links('Links', 'Chassis')}
    boards = () if scope.baseboards else ('baseboard',)
    for uri in lost:
        if not scope.alone and not linked and last(uri) != last(
                scope.system.uri):
            # A Chassis belongs to the board whose name it has.
            continue
        # Plain numbers do not show similarity, and the chassis of a host may
        # contain anything.
        like = [] if stem(uri) == '#' or uri in main else [
            c for c in known if stem(c.uri) == stem(uri)]
        adapters = not like or any(c.has('NetworkAdapters') for c in like)
        cards = all(q.scan_pcie for q in scope.quirks) and (
            not like or any(c.has('PCIeDevices') for c in like))
        # A board that only firmware entries show is where the GPUs are.
        kinds = ((*CARD_KINDS, *boards) if cards
                 else ADAPTER_KINDS if adapters else ())
        holds = any(c.has(*row.state) for c in like
                    for v in registry.vendors() for row in v.copies)
        facts = ('firmware',) if any(
            v.root_of_trust and re.search(v.root_of_trust, last(uri))
            for v in registry.vendors()) else ()
        if kinds or holds or facts:
            reader.declare(uri, Impact(Role.DEVICE, kinds, facts, holds=holds,
                                       optional=False))


def no_system(reader: Reader, root: Fields) -> str:
    """The error message for a BMC without a System.

    Switches, power shelves and cooling units also have BMCs.
    """
    shown = reader.members(root.link('Chassis'))
    what = next((words for key, words in _SERVICES if root.has(key)), None)
    if what is None:
        what = next((_TYPES[t] for c in shown if (
            t := c.text('ChassisType')) in _TYPES), None)
    if root.has('Fabrics') and what is None:
        what = 'switch'
    models = dict.fromkeys(
        m for c in shown if (m := c.text('Model')) is not None)
    named = f' ({", ".join(list(models)[:3])})' if models else ''
    what = what or 'device that is not a server'
    return (f'system: the BMC has no System: it manages '
            f'{"an" if what[0] in "aeiou" else "a"} {what}{named}, without '
            'server accelerators')
