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

"""Set modes, and read back the result."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import re
import time
from typing import Any

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import plain
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.client.getter import ROOT
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.read_history import WaitTimes
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.writer import Writer
from ironic_accel.redfish.inventory import modes
from ironic_accel.redfish.vendors import registry

#: Devices by the ids that the caller uses.
Devices = Mapping[str, Device]

#: Collections whose members have modes, and the number of their members from
#: which one expanded read of the collection needs fewer requests.
_COLLECTIONS = frozenset({'Processors', 'NetworkAdapters'})
_SEVERAL = 3

#: Seconds for which a reading from before the first of several requests is
#: recent enough for the others.
_RECENT = 10.0

#: Maximum length of a refusal in a ticket, characters.
_WORDS = 160

#: Seconds within which an accepted value must be reported.
_SHOWS_WITHIN = 30.0


def set_modes(reader: Reader, writer: Writer, devices: Devices,
              action: Action, levels: Mapping[str, int],
              recent: bool = False) -> dict[str, Any]:
    """Set modes, one request after another; returns the ticket.

    A transient rejection fails only its own device. A permanent rejection, a
    busy BMC or a missing response ends the action: the remaining requests
    are not sent, and the ticket records that.

    :param devices: the devices of the service, by the ids of the action.
    :param levels: ``$expand`` levels of a collection, by its name.
    :param recent: whether the reader has read them a moment ago.
    :raises: Rejected, Unreachable if nothing was set; OutcomeUnknown if the
        result of the only request is unknown.
    """
    done: list[dict[str, Any]] = []
    over = False
    uris = [uri for c in action.changes if (uri := _uri(devices, c.item))]
    deep = max((levels.get(last(_parent(uri)), 1) for uri in uris),
               default=1)
    if not recent:
        read_again(reader, uris, deep)
    until = time.monotonic() + _RECENT
    for change in action.changes:
        uri = _uri(devices, change.item)
        if time.monotonic() > until and uri and not over:
            read_again(reader, [uri], 1)
        entry: dict[str, Any] = {'answer': 'not-sent'}
        if not over:
            try:
                entry = _set_one(reader, writer, devices, change.item)
            except (Rejected, Unreachable, OutcomeUnknown) as error:
                entry = _not_set(error)
                over = entry['answer'] != 'told'
                if len(action.changes) == 1 or (not done and entry[
                        'answer'] in ('refused', 'not-sent')):
                    raise
        done.append({'ref': list(change.item.ref),
                     'wanted': plain(change.item.wanted), **entry})
    # The time only distinguishes tickets. Waits use monotonic time
    # (``WaitTimes``).
    return {'kind': 'set', 'at': time.time(), 'levels': deep, 'items': done}


def forget_written(reader: Reader, devices: Devices, action: Action) -> None:
    """Forget what was read before modes were written: their resources, and
    the others of the same collections."""
    for change in action.changes:
        uri = _uri(devices, change.item)
        if uri:
            reader.forget_below(_parent(uri))


def read_again(reader: Reader, uris: Sequence[str], levels: int) -> None:
    """Read resources and their settings objects again; several of one
    collection by one request if the service supports ``$expand``.

    :param levels: ``$expand`` levels of that request; 2 includes the
        settings objects.
    :raises: Unreachable if the BMC does not respond any more.
    """
    by_parent: dict[str, list[str]] = {}
    for uri in uris:
        shown = reader.known(uri)
        for one in (uri, modes.settings_uri(shown) if shown else None):
            if one:
                reader.forget(one)
                reader.failures.pop(normal(one), None)
        by_parent.setdefault(_parent(uri), []).append(uri)
    for parent, members in by_parent.items():
        if last(parent) not in _COLLECTIONS or len(members) < _SEVERAL:
            continue
        if reader.known(ROOT) is None:
            reader.root()
        if reader.expands:
            reader.forget(parent)
            reader.members(parent, levels)


def _parent(uri: str) -> str:
    return normal(uri).rpartition('/')[0]


def _uri(devices: Devices, item: Item) -> str | None:
    """Path of the resource that reports a mode."""
    device = devices.get(item.device)
    mode = device.mode(item.name) if device else None
    return mode.uri if mode else None


def _not_set(error: Rejected | Unreachable | OutcomeUnknown
             ) -> dict[str, Any]:
    """The ticket entry of a request that the BMC did not accept."""
    if isinstance(error, OutcomeUnknown):
        answer = 'unknown'
    elif isinstance(error, Unreachable) or error.retry_after is not None:
        answer = 'not-sent'
    elif error.detail.error_class is ErrorClass.TRANSIENT:
        answer = 'told'
    else:
        answer = 'refused'
    return {'answer': answer, 'failed': error.detail.summary[:_WORDS],
            'class': str(error.detail.error_class),
            'message_id': error.detail.message_id}


def _set_one(reader: Reader, writer: Writer, devices: Devices,
             item: Item) -> dict[str, Any]:
    device = devices.get(item.device)
    mode = device.mode(item.name) if device else None
    if mode is None or mode.uri is None or item.wanted is None:
        raise Rejected(f'cannot set {item.name} on {item.device}: the BMC '
                       'does not report this mode', device=item.device)
    doc = reader.get(mode.uri)
    if doc is None:
        raise Unreachable(f'cannot read {mode.uri} before the write',
                          error_class=ErrorClass.TRANSIENT)
    made = modes.writes(reader.fields(doc), item.name, item.wanted)
    if isinstance(made, str):
        raise Rejected(made, device=item.device, component=item.name)
    entry: dict[str, Any] = {'uri': mode.uri}
    when = _apply_time(reader.fields(doc), mode.activation)
    for number, write in enumerate(made):
        more = when if write.uri != mode.uri and (
            write.method == 'PATCH') else {}
        try:
            answer = writer.send(write.method, write.uri,
                                 {**write.body, **more})
        except (Rejected, Unreachable) as error:
            if isinstance(error, Rejected) and any(v.unsure and re.search(
                    v.unsure, error.detail.summary, re.I)
                   for v in registry.vendors()):
                continue
            if number:
                raise _half_set(item, number, len(made), error) from error
            raise
        told = tasks.ticket(answer, [])
        if told['kind'] == 'task' and answer.status == 202:
            entry['task'] = {**told, 'parts': [[*item.ref, '']]}
    if any(w.method == 'POST' for w in made):
        # The new value of an action is reported after a reset only.
        entry['taken'] = True
    elif mode.activation is Activation.NONE:
        entry['shows'] = True
    return entry


def _half_set(item: Item, sent: int, needed: int,
              error: Rejected | Unreachable) -> OutcomeUnknown:
    """A mode of several requests of which only the first were accepted.

    The mode may have neither the new nor the old value, which the next
    inventory shows.
    """
    return OutcomeUnknown(dataclasses.replace(
        error.detail, error_class=ErrorClass.TRANSIENT,
        summary=f'request {sent + 1} of {needed} that set {item.name} failed '
        f'after the earlier ones were accepted: {error.detail.summary}',
        device=item.device, component=item.name))


def _apply_time(shown: Fields,
                activation: Activation | None) -> dict[str, Any]:
    """The apply time of a setting, for services that list apply times.

    A setting that a host reset activates must not be applied immediately,
    which may cause an unplanned reset (Settings v1.4, PreferredApplyTime;
    sushy 5.14 sends it if SupportedApplyTimes lists it).
    """
    listed = shown.texts('@Redfish.Settings', 'SupportedApplyTimes')
    if activation is None:
        return {}
    wanted = ('OnReset' if activation.is_host_reset else 'Immediate'
              if activation is Activation.NONE else None)
    if wanted is None or wanted not in listed:
        return {}
    return {'@Redfish.SettingsApplyTime': {
        '@odata.type': '#Settings.v1_3_3.PreferredApplyTime',
        'ApplyTime': wanted}}


def poll_modes(connector: session.Connector, reader: Reader,
               ticket: Mapping[str, Any], waits: WaitTimes) -> Poll:
    """Check whether the modes have the written values, active or pending.

    A mode that cannot be read is neither: its result is unknown.
    """
    young = waits.is_young(json.dumps(dict(ticket), sort_keys=True,
                                      default=str), _SHOWS_WITHIN)
    results: dict[tuple[str, str], Result] = {}
    taken: dict[tuple[str, str], Mapping[str, Any]] = {}
    items = [((str(e['ref'][0]), str(e['ref'][1])), e)
             for e in ticket.get('items', ())]
    for ref, entry in items:
        if 'failed' in entry or 'answer' in entry:
            results[ref] = _failed(entry, ref)
            continue
        if entry.get('task'):
            poll = tasks.poll(connector, entry['task'])
            if isinstance(poll, Running):
                return poll
            failed = [r for r in poll.results if not r.ok] if isinstance(
                poll, Ended) else []
            if failed:
                results[ref] = failed[0]
                continue
        taken[ref] = entry
    read_again(reader, [e['uri'] for e in taken.values()
                        if not e.get('taken')],
               int(ticket.get('levels', 1)))
    for ref, entry in taken.items():
        found = _seen(reader, entry, ref)
        if found is not None and young:
            return Running(found.summary if isinstance(found, Detail)
                           else found.reason)
        if isinstance(found, Unknown) and len(items) == 1:
            return found
        results[ref] = (Result(ref, False, Detail(
            found.reason, ErrorClass.TRANSIENT, device=ref[0],
            component=ref[1]), 'unknown') if isinstance(found, Unknown)
            else Result(ref, found is None, found))
    return Ended(tuple(results[ref] for ref, _ in items))


def _failed(entry: Mapping[str, Any], ref: tuple[str, str]) -> Result:
    """The result of a request that was rejected or not sent. Tickets of
    earlier versions have no ``answer``."""
    return Result(ref, False, Detail(
        entry.get('failed') or 'not sent: an earlier request of the same '
        'action failed', ErrorClass(
            entry.get('class') or ErrorClass.PERMANENT),
        device=ref[0], component=ref[1],
        message_id=entry.get('message_id')), entry.get('answer', 'told'))


def _seen(reader: Reader, entry: Mapping[str, Any], ref: tuple[str, str]
          ) -> Detail | Unknown | None:
    """The error of a mode that was set; Unknown if it was not read; None if
    the value is reported, or if its resource hides pending values."""
    if entry.get('taken'):
        return None
    wanted = entry['wanted']
    shown = modes.current_state(reader, entry['uri'], ref[1])
    if shown is None:
        return Unknown(
            f'{ref[1]} of {ref[0]} was written and cannot be read back')
    if wanted in (plain(shown.now), plain(shown.soon)):
        return None
    if shown.hides and not entry.get('shows'):
        return None
    return Detail(
        f'the BMC accepted {ref[1]} and still reports the old value',
        ErrorClass.TRANSIENT,
        device=ref[0], component=ref[1], expected=str(wanted),
        seen=str(plain(shown.now if shown.soon is None else shown.soon)))
