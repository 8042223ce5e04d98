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

"""Choose the push style of a component, and build its parameters.

Sources: DMTF UpdateService v1.17 and DSP0266 (multipart push, SimpleUpdate,
HttpPushUri); the vendors' tables for the requirements of their services.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import re
from typing import Any

from ironic_accel.model.profile import Image
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.push_rows import Reach
from ironic_accel.redfish.vendors.push_rows import Style
from ironic_accel.redfish.vendors.push_rows import STYLES
from ironic_accel.redfish.vendors import registry

_SIMPLE = '#UpdateService.SimpleUpdate'


#: Styles to try without a vendor's row, the best first.
_GENERIC = (PushChoice(r'.+', 'multipart-targets'),
            PushChoice(r'.+', 'multipart-start'),
            PushChoice(r'.+', 'simple-targets'),
            PushChoice(r'.+', 'http-push'))

#: Apply times of a push with one request: the others require a second one
#: (StartUpdate), or wait for a maintenance window.
_TIMES = ('Immediate', 'OnReset')

#: Apply time of an upload that a second request starts.
ON_START = 'OnStartUpdateRequest'

_START = '#UpdateService.StartUpdate'

#: Row for a style that no table has.
_NO_ROW = PushChoice(r'.+', NO_PUSH)


@dataclasses.dataclass(frozen=True, slots=True)
class MethodChoice:
    """The push style for a component, and the requirements of its service.

    :ivar instead: paths to name as targets instead of the component.
    :ivar row: the row of the vendor's table; an empty one if the profile
        chose the style.
    """

    style: Style
    instead: tuple[str, ...] = ()
    row: PushChoice = _NO_ROW

    @property
    def covers(self) -> str:
        """Pattern of the Ids that a push without own targets may write."""
        return self.row.covers

    @property
    def reach(self) -> Reach:
        """Which components a push may write."""
        if self.style.targets != 'named':
            return self.row.reach if self.row.reach == 'like' else 'covered'
        if self.instead:
            return 'covered'
        return self.row.reach or 'like'

    def lane(self, entry_id: str) -> str:
        """Components with the same lane can be updated by one push."""
        parts = [self.style.name, *map(last, self.instead)]
        if self.row.most == 1 and not self.instead and (
                self.style.targets == 'named'):
            parts.append(entry_id)
        return '/'.join(parts)


@functools.lru_cache(maxsize=1)
def by_name() -> Mapping[str, Style]:
    """All styles by name: the standard ones and those of the vendors."""
    return {s.name: s for s in (
        *STYLES, *(s for v in registry.vendors() for s in v.styles))}


def _by_push_uri() -> list[PushChoice]:
    """Rows for services that are identified by their push URI only."""
    return [row for vendor in registry.vendors() for row in vendor.pushes]


def refused(quirks: Iterable[Quirks]) -> str:
    """Why no firmware is pushed to a service at all; may be empty."""
    return next((q.no_updates for q in quirks if q.no_updates), '')


def offers(service: Fields, style: Style, settings: BmcSettings) -> bool:
    """Whether an UpdateService supports a style."""
    if service.flag('ServiceEnabled') is False:
        return False
    times = _apply_times(style, service)
    if style.start and start_uri(service) is None:
        return False
    if times and not set(times) & set((ON_START,) if style.start
                                      else _TIMES):
        return False
    if style.transport == 'multipart':
        return service.has('MultipartHttpPushUri')
    if style.transport == 'plain':
        return service.has('HttpPushUri')
    return (settings.image_uri is not None
            and service.part('Actions', _SIMPLE).has('target'))


def choose(service: Fields, entry: str, entries: Iterable[Fields],
           quirks: Sequence[Quirks], settings: BmcSettings,
           info: Fields | None = None) -> MethodChoice | None:
    """The push method for an entry of the FirmwareInventory, or None.

    The first row that covers it and whose style is supported is used.

    :param entry: path of the entry.
    :param info: the ActionInfo of SimpleUpdate, if there is one.
    """
    if refused(quirks):
        return None
    there = {last(e.uri): e.uri for e in entries}
    rows = [row for quirk in quirks for row in quirk.pushes]
    for row in (*rows, *_by_push_uri(), *_GENERIC):
        if not re.fullmatch(row.covers, last(entry)) or not _is_for(
                row, service):
            continue
        if row.style == NO_PUSH:
            return None
        style = by_name()[row.style]
        instead = tuple(there[t] for t in row.targets if t in there)
        if offers(service, style, settings) and _may_be_named(
                style, instead or (entry,), info):
            return MethodChoice(style, instead, row)
    return None


def unsupported_reason(service: Fields, entry: str, quirks: Sequence[Quirks]
                       ) -> str:
    """Why no push of an entry is supported; may be empty."""
    if refused(quirks):
        return refused(quirks)
    row = next((r for q in quirks for r in q.pushes
                if r.style == NO_PUSH and r.why and _is_for(r, service)
                and re.fullmatch(r.covers, last(entry))), None)
    if row is not None and service.has('HttpPushUri') and (
            not service.has('MultipartHttpPushUri')):
        return f'this BMC {row.why}'
    if service.flag('ServiceEnabled') is False:
        return 'the UpdateService is not enabled'
    for style in by_name().values():
        times = _apply_times(style, service)
        if times and not set(times) & {*_TIMES}:
            return ('this BMC applies an upload only at OperationApplyTime '
                    f'{" or ".join(times)}')
    return ''


def start_uri(service: Fields) -> str | None:
    """URI of the action that starts an upload (UpdateService v1.7)."""
    return service.target('Actions', _START, 'target')


def row_for(entry: str, style: Style, service: Fields,
            quirks: Sequence[Quirks]) -> PushChoice | None:
    """The row of the tables for a style that the profile chose."""
    rows = [row for quirk in quirks for row in quirk.pushes]
    return next((row for row in (*rows, *_by_push_uri())
                 if row.style == style.name and _is_for(row, service)
                 and re.fullmatch(row.covers, last(entry))), None)


def _is_for(row: PushChoice, service: Fields) -> bool:
    """Whether a row applies to a service, by its push URIs."""
    if row.push_uri is None:
        return True
    return any(uri is not None and re.fullmatch(row.push_uri, normal(uri))
               for uri in (service.text('MultipartHttpPushUri'),
                           service.text('HttpPushUri')))


def _may_be_named(style: Style, targets: Sequence[str],
                  info: Fields | None) -> bool:
    """Whether an ActionInfo allows the targets, if it lists any."""
    if style.transport != 'simple' or style.targets != 'named':
        return True
    allowed = _allowed(info, 'Targets')
    return not allowed or {normal(t) for t in targets} <= {
        normal(a) for a in allowed}


def info_uri(service: Fields) -> str | None:
    """Path of the ActionInfo of SimpleUpdate, or None."""
    found = service.text('Actions', _SIMPLE, '@Redfish.ActionInfo')
    return normal(found) if found else None


def _allowed(info: Fields | None, parameter: str) -> list[str]:
    """The values that an ActionInfo (v1.1) lists for a parameter."""
    for one in info.parts('Parameters') if info is not None else ():
        if one.text('Name') == parameter:
            return one.texts('AllowableValues')
    return []


def parameters(choice: MethodChoice, targets: Sequence[str], force: bool,
               service: Fields) -> dict[str, Any]:
    """The UpdateParameters of a push, or the body of SimpleUpdate."""
    style, row = choice.style, choice.row
    out: dict[str, Any] = {}
    if style.targets == 'named':
        out['Targets'] = list(targets)
    elif style.targets == 'empty':
        out['Targets'] = []
    if (force or style.force) and not row.bare:
        out['ForceUpdate'] = True
    out |= style.parameters
    when = apply_time(choice, service)
    if when is not None:
        out['@Redfish.OperationApplyTime'] = when
    return out


def apply_time(choice: MethodChoice, service: Fields) -> str | None:
    """The OperationApplyTime of a push; None leaves it to the service.

    That of its row, unless the service lists only other values.
    """
    if choice.style.start:
        return ON_START
    listed = _apply_times(choice.style, service)
    wanted = choice.row.apply_time
    if wanted is not None and (not listed or wanted in listed):
        return wanted
    return next((t for t in _TIMES if t in listed), None)


def _apply_times(style: Style, service: Fields) -> list[str]:
    """The apply times that the service lists for a style."""
    note = '@Redfish.OperationApplyTimeSupport'
    if style.transport == 'multipart':
        return service.texts(f'MultipartHttpPushUri{note}',
                             'SupportedValues')
    if style.transport == 'simple':
        return service.texts('Actions', _SIMPLE, note, 'SupportedValues')
    return []


def push_uri(style: Style, service: Fields) -> str | None:
    """The URI for the requests of a style, exactly as the service has it."""
    if style.transport == 'multipart':
        return service.target('MultipartHttpPushUri')
    if style.transport == 'plain':
        return service.target('HttpPushUri')
    return service.target('Actions', _SIMPLE, 'target')


def transfer_protocol(service: Fields, uri: str,
                      info: Fields | None = None) -> str | None:
    """The TransferProtocol of an image's URI, if the service requires one.

    Services list the values at the action, or in its ActionInfo only.
    """
    allowed = service.texts(
        'Actions', _SIMPLE, 'TransferProtocol@Redfish.AllowableValues')
    allowed = allowed or _allowed(info, 'TransferProtocol')
    scheme = uri.split(':', 1)[0].upper()
    return scheme if scheme in allowed else None


def file_name(image_path: str, spec: Image | None) -> str:
    """The file name of an image in a request.

    That of the profile's URL, with the suffix that some services require; a
    cached file is named by its digest.
    """
    name = (spec.url if spec else image_path).split('?', 1)[0]
    name = re.sub(r'[^A-Za-z0-9._-]', '_', name.rsplit('/', 1)[-1])
    return name.lstrip('.')[-120:] or 'image.bin'
