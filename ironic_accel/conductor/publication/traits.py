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

"""Traits of a node: added and removed one by one, never replaced as a list.

Each published trait is stored with its meaning, so that exactly those that a
change makes uncertain can be withdrawn before the change.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from ironic.common import exception
from ironic.common import states
from ironic import objects
from oslo_log import log

from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model import traits as grammar

LOG = log.getLogger(__name__)

DEGRADED = grammar.DEGRADED

#: States in which a node has an instance that may be rebuilt.
HAS_INSTANCE = frozenset({
    states.ACTIVE, states.SERVICING, states.SERVICEWAIT, states.SERVICEFAIL,
    states.RESCUE, states.RESCUEFAIL, states.UNRESCUEFAIL})


def of(task: Any) -> set[str]:
    """The names of all traits of a node, whoever set them."""
    return set(_rows(task).get_trait_names())


def _rows(task: Any) -> Any:
    return db_retry.call(lambda: objects.TraitList.get_by_node_id(
        task.context, task.node.id))


def published(node: Any) -> dict[str, TraitMeaning]:
    """The traits that we published, with their meaning, by name."""
    return trait_meaning.read(keys.TRAITS.of(node))


def change(task: Any, add: Mapping[str, TraitMeaning],
           remove: Collection[str]) -> None:
    """Add and remove traits; the caller saves the node.

    Removal goes first, so that a node never has a trait that is not true. A
    trait that an instance of the node needs for a rebuild is marked void
    instead, and the node is published as degraded.

    :param add: the traits to add, with their meaning.
    """
    node = task.node
    there = of(task)
    ours = published(node)
    needed = _needed(node)
    void = set(keys.VOID.of(node) or ())
    for name in sorted(remove):
        if name in needed and name in there:
            if name not in void:
                _alert(node, name)
            void.add(name)
            continue
        _destroy(task, name)
        ours.pop(name, None)
        there.discard(name)
    void = {n for n in void if n in there and n not in add}
    wanted = dict(add)
    if void:
        wanted[DEGRADED] = trait_meaning.DEGRADED
    for name, meaning in wanted.items():
        if name in there or _create(task, name):
            ours[name] = meaning
    _remember(task, ours, void)


def remove_all(task: Any) -> tuple[list[str], list[str]]:
    """Remove all traits of ours; the caller saves the node.

    :returns: the names of those removed, and of those that stay because an
        instance of the node requires them.
    """
    node = task.node
    ours = {n for n in of(task) if n.startswith(grammar.PREFIX)
            or n in published(node)}
    kept = ours & _needed(node)
    for name in sorted(ours - kept):
        _destroy(task, name)
    node.traits = _rows(task)
    node.obj_reset_changes(['traits'])
    return sorted(ours - kept), sorted(kept)


def _alert(node: Any, name: str) -> None:
    text = (f'trait {name} is void and will be removed when the instance is '
            'deleted')
    LOG.warning('Node %(node)s: %(text)s', {'node': node.uuid, 'text': text})
    saving.history(node, text)


def _needed(node: Any) -> set[str]:
    """Traits that an instance of the node names (a rebuild checks them)."""
    if node.provision_state not in HAS_INSTANCE:
        return set()
    return set((node.instance_info or {}).get('traits') or ())


def _create(task: Any, name: str) -> bool:
    """Add a trait, if there is still room: others add theirs meanwhile."""
    try:
        saving.write(task.node, lambda: objects.Trait(
            task.context, node_id=task.node.id, trait=name).create())
    except exception.InvalidParameterValue as exc:
        LOG.error('Cannot publish trait %(name)s: %(why)s',
                  {'name': name, 'why': exc})
        return False
    return True


def _destroy(task: Any, name: str) -> None:
    try:
        saving.write(task.node, lambda: objects.Trait.destroy(
            task.context, task.node.id, name))
    except exception.NodeTraitNotFound:
        # Another process removed it meanwhile, which is the same result.
        LOG.debug('Trait %s was already removed', name)


def _remember(task: Any, ours: Mapping[str, TraitMeaning],
              void: Collection[str]) -> None:
    node = task.node
    keys.TRAITS.put(node, trait_meaning.written(ours))
    if void:
        keys.VOID.put(node, sorted(void))
    else:
        keys.VOID.drop(node)
    node.traits = _rows(task)
    node.obj_reset_changes(['traits'])
