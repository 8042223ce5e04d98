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
from typing import Any

from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Image
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


def also(seen: Seen, devices: Mapping[str, Device], choice: Choice,
         asked: Ref) -> tuple[Ref, ...]:
    """What a push writes besides, as far as the image is for it."""
    if choice.exact:
        return ()
    owned = {p.uri: (name, p.name) for name, d in devices.items()
             for p in d.components}
    return tuple(ref for ref in (
        owned.get(e.uri, (OTHERS, last(e.uri))) for e in seen.entries
        if styles.covers(choice, last(e.uri))
        and e.flag('Updateable') is not False) if ref != asked)


def push(seen: Seen, writer: Writer, settings: Settings,
         parts: Sequence[Component], image: Ready, spec: Image | None,
         force: bool) -> Answer:
    """Hand an image to the update service, once.

    :param parts: the components that it is for.
    :param spec: what the profile says of how to push it.
    :raises: Rejected, Unreachable, OutcomeUnknown.
    """
    service = seen.service
    if service is None:
        raise Rejected('the BMC has no update service to give the image to')
    choice = choose(seen, parts[0], settings)
    targets: Sequence[str] = [p.uri for p in parts if p.uri]
    if choice is not None and choice.instead:
        targets = choice.instead
    if spec is not None and spec.push is not None:
        choice = _escape(spec, service, settings)
        if spec.push.targets is not None:
            targets = spec.push.targets
    if choice is None:
        raise Rejected('the update service takes no push that is known')
    style = choice.style
    if style.force and not force:
        raise Rejected(f'push style {style.name} forces the update, and the '
                       'profile does not allow force')
    uri = styles.push_uri(style, service)
    if uri is None:
        raise Rejected(f'the update service does not offer {style.name}')
    body = styles.parameters(style, targets, force, service)
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


def _escape(spec: Image, service: Fields, settings: Settings) -> Choice:
    """The push style that the profile asks for, whatever we would choose."""
    name = spec.push.style if spec.push else ''
    where = f'images.{spec.name}.push.style: {name!r}'
    style = styles.STYLES.get(name)
    if style is None:
        raise Rejected(f'{where}: expected one of '
                       f'{", ".join(styles.STYLES)}')
    if not styles.offers(service, style, settings):
        raise Rejected(f'{where}: the update service does not offer it')
    return Choice(style)


def has_it(seen: Seen, error: Rejected) -> bool:
    """Whether a refusal says that the version is there already."""
    name = (error.detail.message_id or '').rsplit('.', 1)[-1]
    return any(name in q.satisfied for q in seen.scope.quirks)


def commit(seen: Seen, writer: Writer, uris: Container[str]
           ) -> tuple[str, ...]:
    """Commit images that run (``#NvidiaUpdateService.CommitImage``).

    A root of trust that does not copy the running image to its other slot
    by itself does so then. What has the same version in both needs none.

    :param uris: the entries that are meant.
    :returns: the paths of the entries that were named.
    :raises: Rejected, Unreachable, OutcomeUnknown.
    """
    if seen.service is None:
        return ()
    action = seen.service.target('Actions', 'Oem', _COMMIT, 'target')
    patterns = [q.commit for q in seen.scope.quirks if q.commit]
    targets = tuple(
        e.uri for e in seen.entries if styles.matches(patterns, last(e.uri))
        and e.uri in uris and _slots_differ(e))
    if action is None or not targets:
        return ()
    writer.refresh(seen.service.uri)
    writer.send('POST', action, {'Targets': list(targets)})
    return targets


def _slots_differ(entry: Fields) -> bool:
    """Whether the other slot holds another version than the one that runs."""
    running, other = (
        entry.text('Oem', 'Nvidia', slot, 'Version')
        for slot in ('ActiveFirmwareSlot', 'InactiveFirmwareSlot'))
    return running is not None and other is not None and running != other
