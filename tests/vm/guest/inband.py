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

"""The local backend in a virtual machine, for the tests outside of it.

A request is one line of JSON on standard input with the name of a function
below and its arguments; so is the answer on standard output: ``result``, or
``error`` with its class. It is one process for many requests, as the agent
is; its jobs are in the folder of the library, which a reboot empties.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
import sys
import time
from typing import Any

from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import loader
from ironic_accel.model import catalog
from ironic_accel.model import serialization
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item

#: What QEMU has of PCI devices that no catalogue needs (docs/specs/pci-ids.rst
#: of QEMU; Intel's id of the 82576).
ROWS = '''
sources: {qemu: "QEMU, docs/specs/pci-ids.rst"}
defaults: {vendor: intel}
products:
  - name: qemu-igb
    kind: nic
    components: [nic]
    modes: [sriov, vf-limit, vfs]
    pci: ["8086:10c9"]
    source: [qemu]
  - name: qemu-nvme
    kind: storage
    components: [firmware]
    pci: ["1b36:0010"]
    source: [qemu]
'''
#: Seconds for a write.
LONGEST = 120.0


class Calls:
    """The functions."""

    def __init__(self) -> None:
        self._backend = LocalBackend(
            catalog=catalog.extended({'qemu.yaml': ROWS}))

    def observe(self) -> dict[str, Any]:
        """The inventory as a document."""
        return serialization.inventory_to_dict(self._backend.observe())

    def ask(self, family: str, address: str, vendor: str = '15b3',
            device: str = '1021') -> dict[str, Any]:
        """What a tool family reads of a function, whatever it is.

        :param vendor: and ``device``: ids that the family is for.
        """
        one, = (f for f in loader.load().families if f.name == family)
        read = one.read(Machine(), [Function(
            address, vendor, device, vendor, '0000', '020000')])
        return {'devices': {a: dataclasses.asdict(d)
                            for a, d in read.devices.items()},
                'warnings': [w.message for w in read.warnings]}

    def can(self) -> dict[str, Any]:
        """What can be done to which device now."""
        way, = self._backend.transports(self._backend.observe())
        return {'sets': sorted(map(list, way.sets)),
                'resets': {k: v.value for k, v in way.resets.items()},
                'updates': sorted(map(list, way.updates))}

    def start(self, verb: Any, device: str, name: str = 'device',
              wanted: Any = None) -> dict[str, Any]:
        """Begin a write; its ticket."""
        self.can()
        kind: Any = 'device' if verb == 'reset' else 'mode'
        return dict(self._backend.start(Action(
            verb, 'local', (Change(Item(device, name, kind, wanted), None),),
            Activation.DEVICE_RESET if verb == 'reset'
            else Activation.NONE)))

    def poll(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """The state of a write."""
        said = self._backend.poll(ticket)
        found: dict[str, Any] = {'state': type(said).__name__}
        if isinstance(said, Ended):
            found['results'] = [
                agent_schema.result_to_dict(r) for r in said.results]
        elif isinstance(said, Running):
            found['summary'] = said.summary
        elif isinstance(said, Unknown):
            found['reason'] = said.reason
        return found

    def do(self, **action: Any) -> dict[str, Any]:
        """A write, to its end."""
        ticket = self.start(**action)
        until = time.monotonic() + LONGEST
        while (said := self.poll(ticket))['state'] == 'Running':
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        return said


def answer(calls: Calls, line: str) -> dict[str, Any]:
    """Call one function."""
    asked = json.loads(line)
    function: Callable[..., Any] = getattr(calls, asked.pop('call'))
    try:
        return {'result': function(**asked)}
    except Exception as exc:  # the test judges it
        return {'error': str(exc), 'class': type(exc).__name__}


def main() -> None:
    """Serve until the input ends."""
    calls = Calls()
    for line in sys.stdin:
        print(json.dumps(answer(calls, line)), flush=True)


if __name__ == '__main__':
    main()
