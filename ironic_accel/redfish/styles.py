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

"""How an image is pushed: styles as data, and the choice among them.

Sources: DMTF UpdateService v1.17 and DSP0266 (multipart push, SimpleUpdate,
HttpPushUri); NVIDIA bmcweb (``Oem.Nvidia.UpdateOption``, an empty
``Targets``); the vendors' tables for who wants what.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import re
from typing import Any, Literal

from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.settings import Settings
from ironic_accel.redfish.vendors.base import Quirks

_SIMPLE = '#UpdateService.SimpleUpdate'


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """One way to hand an image to an update service.

    :ivar way: ``multipart`` and ``plain`` push it, ``simple`` has the BMC
        fetch it.
    :ivar targets: ``named`` writes what is named; with ``empty`` and
        ``none`` the service writes all that the image is for.
    :ivar option: NVIDIA's UpdateOption.
    :ivar force: always with ForceUpdate, which wants the profile's consent.
    """

    name: str
    way: Literal['multipart', 'simple', 'plain']
    targets: Literal['named', 'empty', 'none']
    option: str | None = None
    force: bool = False


STYLES: Mapping[str, Style] = {s.name: s for s in (
    Style('multipart-targets', 'multipart', 'named'),
    Style('multipart-targets-forced', 'multipart', 'named', force=True),
    Style('multipart-all', 'multipart', 'empty'),
    Style('multipart-all-forced', 'multipart', 'empty', force=True),
    Style('multipart-plain', 'multipart', 'none'),
    Style('multipart-stage-only', 'multipart', 'named', 'StageOnly'),
    Style('multipart-stage-activate', 'multipart', 'named',
          'StageAndActivate'),
    Style('simple-targets', 'simple', 'named'),
    Style('simple-plain', 'simple', 'none'),
    Style('http-push', 'plain', 'none'),
)}

#: What is tried where no vendor's table says otherwise, the best first.
_GENERIC = ('multipart-targets', 'simple-targets', 'http-push')


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """The style for a component, and the targets in place of its own.

    :ivar instead: paths to name as targets instead of the component.
    :ivar covers: matches the Ids of what such targets also write.
    """

    style: Style
    instead: tuple[str, ...] = ()
    covers: str = '.+'

    @property
    def lane(self) -> str:
        """Components of one lane can go in one push."""
        return '/'.join([self.style.name, *map(last, self.instead)])

    @property
    def exact(self) -> bool:
        """Whether only what is named gets written."""
        return self.style.targets == 'named' and not self.instead


def offers(service: Fields, style: Style, settings: Settings) -> bool:
    """Whether an update service takes a style."""
    if service.flag('ServiceEnabled') is False:
        return False
    if style.way == 'multipart':
        return service.has('MultipartHttpPushUri')
    if style.way == 'plain':
        return service.has('HttpPushUri')
    return (settings.image_uri is not None
            and service.part('Actions', _SIMPLE).has('target'))


def choose(service: Fields, entry_id: str, entries: Iterable[Fields],
           quirks: Sequence[Quirks], settings: Settings) -> Choice | None:
    """How an entry of the FirmwareInventory is written, or None.

    The first table that covers it and whose style is offered counts.
    """
    there = {last(e.uri): e.uri for e in entries}
    for quirk in quirks:
        for row in quirk.pushes:
            style = STYLES[row.style]
            if not re.fullmatch(row.covers, entry_id) or not offers(
                    service, style, settings):
                continue
            instead = tuple(there[t] for t in row.targets if t in there)
            return Choice(style, instead, row.covers)
    for name in _GENERIC:
        if offers(service, STYLES[name], settings):
            return Choice(STYLES[name])
    return None


def parameters(style: Style, targets: Sequence[str], force: bool,
               service: Fields) -> dict[str, Any]:
    """The UpdateParameters of a push, or the body of SimpleUpdate."""
    out: dict[str, Any] = {}
    if style.targets == 'named':
        out['Targets'] = list(targets)
    elif style.targets == 'empty':
        out['Targets'] = []
    if force or style.force:
        out['ForceUpdate'] = True
    if style.option:
        out['Oem'] = {'Nvidia': {'UpdateOption': style.option}}
    if 'Immediate' in _apply_times(style, service):
        out['@Redfish.OperationApplyTime'] = 'Immediate'
    return out


def _apply_times(style: Style, service: Fields) -> list[str]:
    """Apply times that the service lists for a way of pushing."""
    note = '@Redfish.OperationApplyTimeSupport'
    if style.way == 'multipart':
        return service.texts(f'MultipartHttpPushUri{note}',
                             'SupportedValues')
    if style.way == 'simple':
        return service.texts('Actions', _SIMPLE, note, 'SupportedValues')
    return []


def push_uri(style: Style, service: Fields) -> str | None:
    """Where a style's request goes."""
    if style.way == 'multipart':
        return service.target('MultipartHttpPushUri')
    if style.way == 'plain':
        return service.target('HttpPushUri')
    return service.target('Actions', _SIMPLE, 'target')


def transfer_protocol(service: Fields, uri: str) -> str | None:
    """The TransferProtocol of an image's URI, where one is asked for."""
    allowed = service.texts(
        'Actions', _SIMPLE, 'TransferProtocol@Redfish.AllowableValues')
    scheme = uri.split(':', 1)[0].upper()
    return scheme if scheme in allowed else None


def covers(choice: Choice, entry_id: str) -> bool:
    """Whether a push of this choice may write an entry."""
    return re.fullmatch(choice.covers, entry_id) is not None


def matches(patterns: Iterable[str], entry_id: str) -> bool:
    """Whether an Id matches one of some patterns."""
    return any(re.fullmatch(p, entry_id) for p in patterns)
