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

"""A resource class for nodes that have none, out of what is in them."""

from __future__ import annotations

import string
from typing import Any

from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import keys
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model import traits

LOG = log.getLogger(__name__)

#: Characters of a resource class (ironic/db/sqlalchemy/models.py, Node).
LONGEST = 80
FIELDS = frozenset({'kind', 'vendor', 'product', 'count'})

#: States in which Nova does not hold a node by its resource class: Ironic
#: lets it be changed in some of them only (ironic/conductor/manager.py,
#: update_node).
FREE = frozenset({states.ENROLL, states.MANAGEABLE, states.AVAILABLE})


def suggest(task: Any, seen: Inventory, catalog: Catalog) -> None:
    """Set the resource class of a node that has none or one of ours.

    The caller saves the node. A node with missing devices keeps what it has,
    because they may be repaired.
    """
    node, template = task.node, CONF.accelerator.resource_class
    ours = keys.RESOURCE_CLASS.of(node)
    if not template or node.instance_uuid \
            or node.provision_state not in FREE:
        return
    if node.resource_class and node.resource_class != ours:
        keys.RESOURCE_CLASS.drop(node)
        return
    name = made(template, seen, catalog)
    if name is None or name == node.resource_class:
        return
    LOG.info('Setting resource class %(name)s of node %(node)s',
             {'node': node.uuid, 'name': name})
    node.resource_class = name
    keys.RESOURCE_CLASS.put(node, name)


def made(template: str, seen: Inventory, catalog: Catalog) -> str | None:
    """The resource class of a template, or None if it cannot be determined.

    It is made of the first kind of device that the node has, and of all of
    that kind: two products under one name would make it ambiguous.
    """
    found = [d for d in seen.devices if traits.counts(d, catalog)]
    kind = next((k for k in KINDS if any(d.kind == k for d in found)), None)
    devices = [d for d in found if d.kind == kind]
    products = {d.product for d in devices}
    vendors = {d.vendor for d in devices}
    if kind is None or kind in seen.uncounted \
            or not all(map(seen.complete_of, KINDS[:KINDS.index(kind) + 1])) \
            or not all(map(traits.healthy, devices)):
        return None
    values = {'kind': kind, 'count': str(len(devices)),
              'product': products.pop() if len(products) == 1 else None,
              'vendor': vendors.pop() if len(vendors) == 1 else None}
    try:
        wanted = _fields(template)
    except ValueError as exc:
        LOG.error('[accelerator]resource_class: %(template)r: %(why)s',
                  {'template': template, 'why': exc})
        return None
    if any(values[f] is None for f in wanted):
        return None
    name = template.format_map(values)
    if len(name) > LONGEST:
        LOG.error('[accelerator]resource_class: %(name)r has %(long)d '
                  'characters; at most %(most)d are allowed', {
                      'name': name, 'long': len(name), 'most': LONGEST})
        return None
    return name


def _fields(template: str) -> set[str]:
    """The fields that a template names.

    :raises: ValueError where it names others than there are.
    """
    found = set()
    for _text, field, spec, conversion in string.Formatter().parse(template):
        if field is None:
            continue
        if field not in FIELDS or spec or conversion:
            raise ValueError(f'{{{field}}}: expected one of '
                             + ', '.join(f'{{{f}}}' for f in sorted(FIELDS)))
        found.add(field)
    return found
