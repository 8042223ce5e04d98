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

"""The kind of device of a Processor, also without ProcessorType."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any

from ironic_accel.model.catalog import Catalog
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import stem
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory.device_builder import listed
from ironic_accel.redfish.inventory.device_builder import PROCESSOR_KINDS
from ironic_accel.redfish.inventory import products
from ironic_accel.redfish.vendors import registry

#: Processor.ProcessorType (v1.22) to the probable kind; None is not an
#: accelerator.
_PROCESSORS = {'GPU': 'gpu', 'FPGA': 'fpga', 'Accelerator': 'ai', 'CPU': None,
               'DSP': None, 'Core': None, 'Thread': None, 'Partition': None,
               'OEM': None}

#: Kinds by the Ids of Processors without a type that are in no vendor's
#: table.
_IDS: tuple[tuple[str, str | None], ...] = (
    (r'GPU|Accelerator|OAM', 'gpu'), (r'FPGA', 'fpga'),
    (r'CPU|Socket|Core|Thread', None))

#: Values of Processor.InstructionSet of host CPUs.
_CPU_SETS = ('x86', 'x86-64', 'IA-64', 'ARM-A32', 'ARM-A64', 'MIPS32',
             'MIPS64', 'PowerISA')


def is_cpu(doc: Mapping[str, Any]) -> bool:
    """Whether a Processor says that it is a CPU, of which nothing else is
    used."""
    return doc.get('ProcessorType') == 'CPU'


def hint(reader: Reader, shown: Fields, others: list[Fields],
          catalog: Catalog) -> str | None:
    """The kind of a Processor; None if it is not an accelerator.

    By its type; else by its name, its instruction set, its Id, and similar
    members of the collection. Without any of them it may be an accelerator.
    """
    known = shown.word('ProcessorType', known=_PROCESSORS, needed=True)
    if known:
        return _PROCESSORS[known]
    if shown.text('InstructionSet') in _CPU_SETS:
        return None
    product = products.identify(
        catalog, None, shown.text('Manufacturer'), shown.text('Model'), None,
        shown.text('PartNumber'))
    if product is not None:
        return product.kind
    guess = _guess(shown.uri, others)
    if guess is None:
        return None
    if guess == 'unknown':
        reader.mark_unread(
            shown.uri, 'no ProcessorType, and no other property that '
            'identifies its kind', Impact(
                Role.DEVICE, PROCESSOR_KINDS, optional=False))
        return None
    return guess


def _guess(uri: str, others: list[Fields]) -> str | None:
    """A kind by Id and siblings, else ``unknown``.

    The kind of the siblings with the same form of Id, if all have the same.
    """
    types = {o.text('ProcessorType') for o in others
             if stem(o.uri) == stem(uri) and o.uri != uri}
    kinds = {_PROCESSORS[t] for t in types if t in _PROCESSORS}
    rows = (*(r for v in registry.vendors() for r in v.processor_ids), *_IDS)
    named = next(((kind,) for pattern, kind in rows
                  if re.search(pattern, last(uri), re.I)), None)
    if named is not None:
        return named[0]
    # Plain numbers are Ids of processors of all types.
    if len(kinds) == 1 and stem(uri) != '#':
        return kinds.pop()
    return 'unknown'


def unread(reader: Reader, uri: str, others: list[Fields], on_board: bool
          ) -> FoundDevice | None:
    """The kind of a Processor that is listed and was not read."""
    hint = _guess(uri, others)
    if hint is None or (on_board and hint == 'fpga'):
        return None
    if hint == 'unknown':
        reader.declare(uri, Impact(Role.DEVICE, PROCESSOR_KINDS,
                                   optional=False))
        return None
    reader.declare(uri, Impact(Role.DEVICE, (hint,), ('presence',), uri,
                               optional=False))
    return listed(uri, hint, reader.fields({'@odata.id': uri}))
