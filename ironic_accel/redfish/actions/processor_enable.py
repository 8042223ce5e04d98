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

"""Reset a device by disabling and enabling it: the property ``Enabled``.

The property came with Processor v1.12. If a service keeps it in the settings
object of the resource (Settings v1.3), it is written there with immediate
apply time: a value that is applied at the next host reset does not reset a
device.

Some services apply it at the next boot all the same. If the device is not
reported as disabled within a time limit, the old value is written back and
the reset counts as without effect.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import dataclasses
import time
from typing import Any

from ironic_accel.converge.ports import Running
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.read_history import WaitTimes
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client.writer import Writer
from ironic_accel.redfish.inventory import modes

#: Annotation that lists the writable properties (RedfishExtensions v1).
_WRITABLE = '@Redfish.WriteableProperties'

#: Seconds within which a device must be reported as disabled.
_OFF_WITHIN = 30.0

_NOW = {'@Redfish.SettingsApplyTime': {
    '@odata.type': '#Settings.v1_3_3.PreferredApplyTime',
    'ApplyTime': 'Immediate'}}


@dataclasses.dataclass(frozen=True, slots=True)
class EnabledTarget:
    """The resource where ``Enabled`` is written, and other properties of
    the request."""

    uri: str
    more: Mapping[str, Any]


def place(reader: Reader, shown: Fields, traffic: bool = False
          ) -> EnabledTarget | None:
    """Where ``Enabled`` is written, or None if it has no immediate effect.

    :param traffic: whether the settings object is read; otherwise only a
        settings object that was read before is used.
    """
    listed = shown.doc.get(_WRITABLE)
    if isinstance(listed, list) and 'Enabled' in listed:
        return EnabledTarget(shown.uri, {})
    there = modes.settings_uri(shown)
    kept = None
    if there is not None:
        kept = _fresh(reader, there) if traffic else reader.known(there)
    if kept is not None and kept.has('Enabled'):
        times = shown.texts('@Redfish.Settings', 'SupportedApplyTimes')
        where = modes.settings_target(shown) or kept.uri
        return EnabledTarget(where, _NOW) if 'Immediate' in times else None
    return None if isinstance(listed, list) else EnabledTarget(shown.uri, {})


def offered(reader: Reader, shown: Fields) -> bool:
    """Whether a device is enabled, and can be disabled and enabled again."""
    return shown.doc.get('Enabled') is True and (
        place(reader, shown) is not None)


def disable(reader: Reader, writer: Writer, shown: Fields) -> dict[str, Any]:
    """Disable a device; returns the ticket entry.

    If a service reports the property but rejects the write, the run does not
    fail: this reset has no effect, and the next stronger one is used. After
    a lost response, the property shows whether the write was accepted.
    """
    uri = shown.uri
    where = place(reader, shown, traffic=True)
    if where is None:
        return {'failed': f'{uri}: Enabled changes at a host reset only'}
    # The time only distinguishes waits (``WaitTimes``).
    entry = {'switch': uri, 'at': time.time(), 'place': where.uri}
    try:
        with contextlib.suppress(OutcomeUnknown):
            _write(writer, where, False)
    except Rejected as error:
        if error.retry_after is not None:
            raise
        return {'failed': error.detail.summary,
                'message_id': error.detail.message_id}
    seen = _fresh(reader, uri)
    if seen is not None and seen.flag('Enabled') is False:
        entry['off'] = True
    return entry


def enable(reader: Reader, writer: Writer, entry: Mapping[str, Any],
           waits: WaitTimes) -> Running | Detail | None:
    """Enable a device again after it was reported as disabled."""
    uri = str(entry['switch'])
    seen = _fresh(reader, uri)
    shows = None if seen is None else seen.flag('Enabled')
    if seen is None or shows is None:
        return Running(f'{uri} does not report Enabled')
    if shows and entry.get('off'):
        return None
    late = not waits.is_young(f'{uri} off {entry.get("at")}', _OFF_WITHIN)
    if shows and not late:
        return Running(f'waiting for {uri} to be disabled')
    where = _place_again(reader, seen, entry.get('place'))
    try:
        _write(writer, where, True)
    except (Rejected, OutcomeUnknown) as error:
        return Running(f'cannot enable {uri} yet: {error.detail.summary}')
    if shows:
        return Detail(f'{uri} did not report Enabled false within '
                      f'{int(_OFF_WITHIN)} s', expected='Enabled false',
                      seen='Enabled true')
    seen = _fresh(reader, uri)
    if seen is not None and seen.flag('Enabled'):
        return None
    return Running(f'waiting for {uri} to be enabled')


def _place_again(reader: Reader, shown: Fields, known: str | None
                 ) -> EnabledTarget:
    """Where a device is enabled: where it was disabled, if that is known.

    A settings object may be unreadable while its device is disabled.
    """
    if known is None:
        return place(reader, shown, traffic=True) or EnabledTarget(
            shown.uri, {})
    return EnabledTarget(known, {} if known == shown.uri else _NOW)


def _write(writer: Writer, where: EnabledTarget, value: bool) -> None:
    writer.send('PATCH', where.uri, {'Enabled': value, **where.more})


def _fresh(reader: Reader, uri: str) -> Fields | None:
    doc = reader.fresh(uri)
    return None if doc is None else reader.fields(doc)
