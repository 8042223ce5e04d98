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

"""Validates the answers of an agent, which runs in an untrusted ramdisk.

A ramdisk comes from a network that tenants may reach and runs on a machine
that a tenant had. It reports what it reads; the *meaning* (kinds, products,
what activates a change, what survives a reset, the values of a mode) comes
only from the catalogue of the conductor.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.converge.agent_device import device
from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Warned
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import serialization
from ironic_accel.model.untrusted import Untrusted
from ironic_accel.model.untrusted import Wrong

#: Most devices of one machine. A host with a baseboard has 8 GPUs, 4
#: switches and a dozen adapters.
DEVICES = 128
#: Bytes of a ticket: a record has 8 KiB for everything.
TICKET = 2048
#: The strongest reset that an agent can offer: it is not there afterwards.
_RESETS = tuple(e for e in Activation if not e.is_host_reset)
_BUSY = frozenset({'task', 'background-copy', 'flash', 'disabled'})
_LONGEST_WAIT = 600.0


def inventory(raw: Any, name: str, catalog: Catalog) -> Inventory:
    """The inventory of an answer to ``accel_observe``.

    Devices of unknown kinds and what a kind does not have are left out with
    a warning: a ramdisk may be newer than we are.

    :param name: of the transport; the agent does not name it.
    :raises: Wrong, with the path.
    """
    given = Untrusted(raw, 'inventory')
    given['schema'].one_of(serialization.READ)
    given = Untrusted(earlier_documents.inventory(
        raw, serialization.SCHEMA), 'inventory')
    settled = given['settled'].flag()
    left_out: list[Warned] = []
    devices: dict[str, Device] = {}
    for one in given['devices'].each(DEVICES):
        found = device(one, catalog, left_out)
        if found is None:
            continue
        if found.id in devices:
            raise one['id'].wrong('an id that no other device has')
        devices[found.id] = found
    return Inventory(
        system=given['system'].text(), complete=settled,
        host=given['host'].one_of(('on', 'off', 'unknown')),  # type: ignore[arg-type]
        boot=given['boot'].maybe(given['boot'].text),
        busy=tuple(map(_busy, given['busy'].each(64))), seen_via=(name,),
        requests=1, warnings=(*(
            Warned(w['uri'].text(), w['message'].words())
            for w in given['warnings'].each()), *left_out),
        devices=tuple(_without_strangers(d, devices)
                      for d in devices.values()),
        uncounted=tuple(k.one_of(KINDS)
                        for k in given['uncounted'].each(len(KINDS))),
        unread=tuple(map(_unread, given['unread'].each())))


def _without_strangers(found: Device, devices: Mapping[str, Device]
                       ) -> Device:
    """Without a parent that is not among the devices."""
    if found.parent in devices and found.parent != found.id:
        return found
    return dataclasses.replace(found, parent=None)


def _busy(given: Untrusted) -> Busy:
    percent = given['percent']
    return Busy(
        given['kind'].one_of(_BUSY), given['ref'].text(),
        given['summary'].words(), percent.maybe(
            lambda: percent.number(0, 100)),
        tuple(_ref(t) for t in given['targets'].each()),
        given['image'].maybe(given['image'].text),
        given['ticket'].maybe(lambda: given['ticket'].plain(TICKET)))


def _unread(given: Untrusted) -> Unread:
    source = given['tool'] if given['uri'].value is None else given['uri']
    return Unread(
        source.text(), given['answer'].words(),
        given['about'].maybe(given['about'].text), None,
        tuple(k.one_of(KINDS) for k in given['kinds'].each(len(KINDS))),
        tuple(f.text() for f in given['facts'].each(64)),
        given['blocks'].value is True)


def _ref(given: Untrusted) -> Ref:
    one, other = given.pair()
    return one.text(), other.text(64)


def transports(raw: Any, name: str, seen: Inventory) -> tuple[Transport, ...]:
    """What can be done from inside, as far as it is about what was seen.

    :raises: Wrong, with the path.
    """
    parts = {(d.id, c.name) for d in seen.devices for c in d.components}
    modes = {(d.id, m.name) for d in seen.devices for m in d.modes}
    devices = {d.id for d in seen.devices}
    out = []
    for given in Untrusted(raw, 'transports').each(4):
        given['name'].one_of((name,))
        updates = {}
        for target in given['updates'].each():
            ref = target['device'].text(), target['name'].text(64)
            if ref in parts:
                updates[ref] = UpdateTarget(target['lane'].text(), tuple(
                    _ref(r) for r in target['also_writes'].each()))
        resets = {key: Activation(value.one_of(_RESETS))
                  for key, value in given['resets'].members()
                  if key in devices}
        out.append(Transport(name, updates, frozenset(
            r for r in map(_ref, given['sets'].each()) if r in modes),
            resets))
    return tuple(out)


def poll(raw: Any) -> Poll:
    """What became of a write.

    :raises: Wrong, with the path.
    """
    given = Untrusted(raw, 'poll')
    state = given['state'].one_of(('running', 'ended', 'unknown'))
    if state == 'running':
        percent = given['percent']
        return Running(given['summary'].words(500), percent.maybe(
            lambda: percent.number(0, 100)))
    if state == 'unknown':
        return Unknown(given['reason'].words(500),
                       given['hidden'].value is not False)
    return Ended(tuple(map(_result, given['results'].each())))


def _result(given: Untrusted) -> Result:
    failed = given['detail']
    answer = given['answer'].maybe(
        lambda: given['answer'].one_of(agent_schema.ANSWERS)) or 'told'
    return Result(_ref(given['ref']), given['ok'].flag(),
                  None if failed.value is None else detail(failed),
                  answer)  # type: ignore[arg-type]


def ticket(raw: Any) -> Mapping[str, Any]:
    """What to poll a write with: small and plain; it is the agent's own.

    :raises: Wrong.
    """
    return Untrusted(raw, 'ticket').plain(TICKET)


def detail(given: Untrusted) -> Detail:
    """A failure as the agent words it, within bounds."""
    texts = {f.name: given[f.name].words(500) or None
             for f in dataclasses.fields(Detail)
             if f.name not in ('summary', 'error_class')}
    return Detail(
        given['summary'].words(500) or 'no reason given',
        ErrorClass(given['class'].one_of(tuple(ErrorClass))), **texts)


def error(raw: Any) -> AccelError:
    """The error in the place of an answer, to be raised.

    :raises: Wrong.
    """
    given = Untrusted(raw, 'error')
    found = detail(given['detail'])
    kinds: dict[str, Callable[[Detail], AccelError]] = {
        'OutcomeUnknown': OutcomeUnknown, 'Unreachable': Unreachable,
        'BadInput': BadInput, 'AccelError': AccelError,
        'Rejected': lambda d: Rejected(d, _wait(given['retry_after']))}
    return kinds[given['kind'].one_of(tuple(kinds))](found)


def _wait(given: Untrusted) -> float | None:
    if given.value is None:
        return None
    if type(given.value) not in (int, float) or given.value != given.value:
        raise given.wrong('seconds')
    return min(max(float(given.value), 1.0), _LONGEST_WAIT)


__all__ = ['Wrong', 'error', 'inventory', 'poll', 'ticket', 'transports']
