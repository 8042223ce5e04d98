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

"""Images handed to an update service: which way, where to, what besides."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.redfish import styles
from ironic_accel.redfish.answers import Answer
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.observe import Seen
from ironic_accel.redfish.push import Writer
from ironic_accel.redfish.settings import Settings
from ironic_accel.redfish.styles import Choice

#: The device of what a push writes besides and no device of ours owns.
OTHERS = '-'

_COMMIT = '#NvidiaUpdateService.CommitImage'


def choose(seen: Seen, part: Component, settings: Settings
           ) -> Choice | None:
    """How a component is written, or None where it cannot be."""
    if seen.service is None or part.uri is None or all(
            e.uri != part.uri for e in seen.entries):
        return None
    return styles.choose(seen.service, last(part.uri), seen.entries,
                         seen.scope.quirks, settings)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What a push asks for: its style, and what it names.

    One for the plan and for the write: what is said to be written besides
    is told of the very request that is sent.

    :ivar uris: the entries that the push is meant for.
    :ivar targets: what it names instead of them, as its row or the profile
        says; None names the entries themselves.
    """

    choice: Choice
    uris: tuple[str, ...]
    targets: tuple[str, ...] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The targets that are sent."""
        return self.uris if self.targets is None else self.targets


def request(seen: Seen, parts: Sequence[Component], asked: Push | None,
            settings: Settings) -> Request:
    """How some components of one lane are written by one push.

    :param asked: what the profile asks for in place of our own choice.
    :raises: Rejected where the service takes no such push.
    """
    if seen.service is None:
        raise Rejected('the BMC has no update service to give the image to')
    uris = tuple(p.uri for p in parts if p.uri)
    choice = choose(seen, parts[0], settings)
    if asked is not None:
        choice = _escape(asked, seen.service, settings, choice)
        instead = choice.instead or None
        return Request(choice, uris, (
            instead if asked.targets is None else asked.targets))
    if choice is None:
        raise Rejected('the update service takes no push that is known')
    return Request(choice, uris, choice.instead or None)


def also(seen: Seen, devices: Mapping[str, Device], asked: Request,
         meant: Ref) -> tuple[Ref, ...]:
    """What a request writes besides, as far as the image is for it."""
    owned = {p.uri: (name, p.name) for name, d in devices.items()
             for p in d.components}
    named = set(asked.named)
    if asked.choice.style.targets == 'named' and named and (
            asked.choice.instead == () or not named & {
                *asked.choice.instead}):
        written = {owned.get(u, (OTHERS, last(u))) for u in named}
    else:
        written = {owned.get(e.uri, (OTHERS, last(e.uri)))
                   for e in seen.entries
                   if styles.covers(asked.choice, last(e.uri))
                   and e.flag('Updateable') is not False}
    return tuple(sorted(written - {meant}))


def pushed(seen: Seen, devices: Mapping[str, Device], part: Component,
           meant: Ref, asked: Push, settings: Settings
           ) -> tuple[Ref, ...] | None:
    """What a push that a profile asks for writes besides a component.

    :returns: None where the service takes no such push.
    """
    try:
        return also(seen, devices, request(seen, [part], asked, settings),
                    meant)
    except Rejected:
        return None


def push(seen: Seen, writer: Writer, settings: Settings,
         parts: Sequence[Component], image: Ready, spec: Image | None,
         force: bool) -> Answer:
    """Hand an image to the update service, once.

    :param parts: the components that it is for.
    :param spec: what the profile says of how to push it.
    :raises: Rejected, Unreachable, OutcomeUnknown.
    """
    asked = request(seen, parts, spec.push if spec else None, settings)
    service, style = seen.service, asked.choice.style
    assert service is not None  # noqa: S101
    if style.force and not force:
        raise Rejected(f'push style {style.name} forces the update, and the '
                       'profile does not allow force')
    uri = styles.push_uri(style, service)
    if uri is None:
        raise Rejected(f'the update service does not offer {style.name}')
    body = styles.parameters(style, asked.named, force, service)
    writer.refresh(service.uri)
    if style.way == 'multipart':
        return writer.push_multipart(uri, body, image.path, image.size,
                                     image.sha256)
    if style.way == 'plain':
        return writer.push_plain(uri, image.path, image.size, image.sha256)
    return writer.send('POST', uri, _fetched(service, body, settings, image,
                                             spec))


def _fetched(service: Fields, body: dict[str, Any], settings: Settings,
             image: Ready, spec: Image | None) -> dict[str, Any]:
    """The body of SimpleUpdate: the BMC fetches the image itself."""
    uri = settings.image_uri(image, spec) if settings.image_uri else None
    if uri is None:
        raise Rejected('the BMC has to fetch the image, and there is no URI '
                       'at which it could',
                       error_class=ErrorClass.NEEDS_OPERATOR,
                       todo='configure where images are served to BMCs')
    body = {**body, 'ImageURI': uri}
    protocol = styles.transfer_protocol(service, uri)
    if protocol:
        body['TransferProtocol'] = protocol
    return body


def _escape(asked: Push, service: Fields, settings: Settings,
            own: Choice | None) -> Choice:
    """The push style that the profile asks for, whatever we would choose.

    Targets that our own choice names in place of a component cover what they
    cover, whoever names them.
    """
    where = f'push.style: {asked.style!r}'
    style = styles.STYLES.get(asked.style)
    if style is None:
        raise Rejected(f'{where}: expected one of '
                       f'{", ".join(styles.STYLES)}')
    if not styles.offers(service, style, settings):
        raise Rejected(f'{where}: the update service does not offer it')
    if own is not None and style.targets == 'named' and (
            asked.targets is None or {*asked.targets} & {*own.instead}):
        return Choice(style, own.instead, own.covers)
    return Choice(style)


def has_it(seen: Seen, error: Rejected) -> bool:
    """Whether a refusal says that the version is there already."""
    name = (error.detail.message_id or '').rsplit('.', 1)[-1]
    return any(name in q.satisfied for q in seen.scope.quirks)


def commits(seen: Seen, devices: Mapping[str, Device]
            ) -> dict[Ref, str | None]:
    """The components whose running image can be committed, each with the
    version in its other slot (``#NvidiaUpdateService.CommitImage``).

    A root of trust that does not copy the running image to its other slot
    by itself does so then.
    """
    if seen.service is None or seen.service.text(
            'Actions', 'Oem', _COMMIT, 'target') is None:
        return {}
    slots = {e.uri: _slot(e, 'InactiveFirmwareSlot')
             for e in _committable(seen)}
    return {(name, part.name): slots[part.uri]
            for name, device in devices.items()
            for part in device.components if part.uri in slots}


def _committable(seen: Seen) -> list[Fields]:
    """The entries with two slots that want to be committed."""
    patterns = [q.commit for q in seen.scope.quirks if q.commit]
    return [e for e in seen.entries if styles.matches(patterns, last(e.uri))
            and _slot(e, 'ActiveFirmwareSlot') is not None
            and _slot(e, 'InactiveFirmwareSlot') is not None]


def commit(seen: Seen, writer: Writer, uris: Container[str]
           ) -> tuple[str, ...]:
    """Commit images that run; what has the same version in both slots needs
    none.

    :param uris: the entries that are meant.
    :returns: the paths of the entries that were named.
    :raises: Rejected, Unreachable, OutcomeUnknown.
    """
    if seen.service is None:
        return ()
    action = seen.service.text('Actions', 'Oem', _COMMIT, 'target')
    targets = tuple(
        e.uri for e in _committable(seen) if e.uri in uris
        and _slot(e, 'ActiveFirmwareSlot') != _slot(
            e, 'InactiveFirmwareSlot'))
    if action is None or not targets:
        return ()
    writer.refresh(seen.service.uri)
    writer.send('POST', action, {'Targets': list(targets)})
    return targets


def _slot(entry: Fields, name: str) -> str | None:
    """The version in one of the two slots of an entry."""
    return entry.text('Oem', 'Nvidia', name, 'Version')
