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

"""Push firmware images to an UpdateService: push style, URI, parameters."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import re
from typing import Any

from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.model.profile import PushNeeds
from ironic_accel.redfish.actions import update_scope
from ironic_accel.redfish.actions.update_scope import UpdateRequest
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import responses
from ironic_accel.redfish.client.responses import Answer
from ironic_accel.redfish.client.writer import Writer
from ironic_accel.redfish.inventory.inventory import SystemReading
from ironic_accel.redfish.inventory import update_methods
from ironic_accel.redfish.inventory.update_methods import MethodChoice
from ironic_accel.redfish.vendors.device_rows import Commit

#: The OperationApplyTime of an update that is written at a host reset.
AT_RESET = 'OnReset'


def choose(seen: SystemReading, part: Component, settings: BmcSettings
           ) -> MethodChoice | None:
    """The push method for a component, or None if it cannot be written."""
    if seen.service is None or part.uri is None or all(
            e.uri != part.uri for e in seen.entries):
        return None
    return update_methods.choose(seen.service, part.uri, seen.entries,
                         seen.scope.quirks, settings, seen.simple)


def unsupported_reason(seen: SystemReading, part: Component,
                       settings: BmcSettings) -> str:
    """The reason why a component cannot be written; may be empty."""
    if seen.service is None or part.uri is None:
        return ''
    why = update_methods.unsupported_reason(
        seen.service, part.uri, seen.scope.quirks)
    if not why and settings.image_uri is None and choose(
            seen, part, dataclasses.replace(
                settings, image_uri=lambda _ready, _spec: None)) is not None:
        return ('the BMC downloads its images, and no URI for the download '
                'is configured')
    return why


def lane(choice: MethodChoice, part: Component) -> str:
    """Components with the same lane can be updated by one push."""
    return choice.lane(last(part.uri or ''))


def request(seen: SystemReading, parts: Sequence[Component],
            asked: Push | None, settings: BmcSettings) -> UpdateRequest:
    """The request that updates components of one lane with one push.

    :param asked: the push that the profile requires, if any.
    :raises: Rejected if the service does not support such a push.
    """
    if seen.service is None:
        raise Rejected('the BMC has no UpdateService to push the image to')
    refused = update_methods.refused(seen.scope.quirks)
    if refused:
        raise Rejected(refused, error_class=ErrorClass.NEEDS_OPERATOR,
                       todo='fix or uninstall the plug-in')
    uris = tuple(p.uri for p in parts if p.uri)
    choice = choose(seen, parts[0], settings)
    if asked is not None:
        choice = _requested_choice(asked, seen, settings, choice, uris)
        instead = choice.instead or None
        made = UpdateRequest(choice, uris, (
            instead if asked.targets is None else asked.targets))
    elif choice is None:
        raise Rejected('the UpdateService offers no supported push method')
    else:
        made = UpdateRequest(choice, uris, choice.instead or None)
    most = made.choice.row.most
    if most is not None and made.choice.style.targets == 'named' and (
            len(made.named) > most):
        raise Rejected(
            'the UpdateService limits the number of targets in one push',
            expected=f'at most {most}', seen=str(len(made.named)))
    return made


def update_target(seen: SystemReading, devices: Mapping[str, Device],
                  part: Component, meant: Ref, pushes: Iterable[Push],
                  settings: BmcSettings, lane: str) -> UpdateTarget:
    """The update target of a component: the default push, and the pushes
    that a profile may require.

    :raises: Rejected if the service supports no push of the component.
    """
    own = request(seen, [part], None, settings)
    also: dict[Push, tuple[Ref, ...] | None] = {}
    later = set()
    needs = {}
    for asked in pushes:
        try:
            made = request(seen, [part], asked, settings)
        except Rejected:
            also[asked] = None
            continue
        also[asked] = update_scope.collateral(seen, devices, made, meant)
        needs[asked] = _needs(made)
        if apply_time(seen, made) == AT_RESET:
            later.add(asked)
    return UpdateTarget(lane,
                        update_scope.collateral(seen, devices, own, meant),
                        also, apply_time(seen, own) == AT_RESET,
                        frozenset(later), _needs(own), needs)


def _needs(made: UpdateRequest) -> PushNeeds:
    return PushNeeds(made.choice.row.suffixes, made.choice.style.force)


def push(seen: SystemReading, writer: Writer, settings: BmcSettings,
         asked: UpdateRequest, image: Ready, spec: Image | None,
         force: bool) -> Answer:
    """Push an image to the UpdateService, once.

    :param asked: the result of ``request``.
    :param spec: the image as the profile declares it.
    :raises: Rejected, Unreachable, OutcomeUnknown.
    """
    service, choice = seen.service, asked.choice
    style = choice.style
    assert service is not None  # noqa: S101
    if style.force and not force:
        raise Rejected(f'push style {style.name} always forces the update, '
                       'which the profile does not allow')
    uri = update_methods.push_uri(style, service)
    if uri is None:
        raise Rejected(
            f'the UpdateService does not offer push style {style.name}')
    name = update_methods.file_name(image.path, spec)
    suffixes = choice.row.suffixes
    if suffixes and not name.lower().endswith(suffixes):
        raise Rejected(
            'the UpdateService requires a suffix of the image file name',
            expected=f'a name that ends in {", ".join(suffixes)}', seen=name,
            error_class=ErrorClass.NEEDS_OPERATOR,
            todo='use an image URL that ends in the original file name')
    body = update_methods.parameters(choice, asked.named, force, service)
    writer.refresh(service.uri)
    if style.transport == 'multipart':
        return writer.push_multipart(uri, body, image.path, image.size,
                                     image.sha256, name)
    if style.transport == 'plain':
        return writer.push_plain(uri, image.path, image.size, image.sha256)
    return writer.send('POST', uri, _simple_update_body(
        service, body, settings, image, spec, seen.simple))


def apply_time(seen: SystemReading, asked: UpdateRequest) -> str | None:
    """The OperationApplyTime of a request, or None."""
    if seen.service is None:
        return None
    return update_methods.apply_time(asked.choice, seen.service)


def _simple_update_body(service: Fields, body: dict[str, Any],
                        settings: BmcSettings, image: Ready,
                        spec: Image | None, info: Fields | None
                        ) -> dict[str, Any]:
    """The body of SimpleUpdate: the BMC downloads the image itself."""
    uri = settings.image_uri(image, spec) if settings.image_uri else None
    if uri is None:
        raise Rejected('the BMC must download the image, and no URI for the '
                       'download is configured',
                       error_class=ErrorClass.NEEDS_OPERATOR,
                       todo='configure where images are served to BMCs')
    body = {**body, 'ImageURI': uri}
    protocol = update_methods.transfer_protocol(service, uri, info)
    if protocol:
        body['TransferProtocol'] = protocol
    return body


def _requested_choice(asked: Push, seen: SystemReading,
                      settings: BmcSettings, own: MethodChoice | None,
                      uris: Sequence[str]) -> MethodChoice:
    """The push style that the profile requires, instead of the default.

    The vendor's row for that style still applies. If the default push names
    other targets in place of the component, their coverage also holds when
    the profile names them.
    """
    assert seen.service is not None  # noqa: S101
    where = f'push.style: {asked.style!r}'
    style = update_methods.by_name().get(asked.style)
    if style is None:
        raise Rejected(f'{where}: expected one of '
                       f'{", ".join(update_methods.by_name())}')
    if not update_methods.offers(seen.service, style, settings):
        raise Rejected(f'{where}: the UpdateService does not offer it')
    if own is not None and style.targets == 'named' and (
            asked.targets is None or {*asked.targets} & {*own.instead}):
        return MethodChoice(style, own.instead, own.row)
    row = next((r for u in uris if (r := update_methods.row_for(
        u, style, seen.service, seen.scope.quirks))), None)
    if row is None and own is not None:
        # Another style of a known service: keep its row, without what
        # applies to the row's own style only.
        row = dataclasses.replace(
            own.row, covers=r'.+', style=style.name, targets=(),
            reach=own.row.reach if style.targets == own.style.targets
            else None)
    return MethodChoice(style) if row is None else MethodChoice(style, (), row)


def is_already_installed(seen: SystemReading, error: Rejected) -> bool:
    """Whether a message of a refusal says that the version is already
    installed."""
    told = (error.message_ids if isinstance(error, responses.ServiceRejection)
            else (error.detail.message_id or '',))
    names = {i.rsplit('.', 1)[-1] for i in told}
    return any(not names.isdisjoint(q.satisfied) for q in seen.scope.quirks)


def commits(seen: SystemReading, devices: Mapping[str, Device]
            ) -> dict[Ref, str | None]:
    """The components whose running image can be committed, each with the
    version in its inactive slot.
    """
    slots = {e.uri: e.text(*row.inactive) for e, row in _committable(seen)}
    return {(name, part.name): slots[part.uri]
            for name, device in devices.items()
            for part in device.components if part.uri in slots}


def _committable(seen: SystemReading) -> Iterator[tuple[Fields, Commit]]:
    """The entries with two slots for which the service has a commit action.
    """
    if seen.service is None:
        return
    for row in (q.commit for q in seen.scope.quirks if q.commit):
        if seen.service.text(*row.action, 'target') is None:
            continue
        for entry in seen.entries:
            if re.fullmatch(row.covers, last(entry.uri)) and (
                    entry.text(*row.active) is not None
                    and entry.text(*row.inactive) is not None):
                yield entry, row


def commit(seen: SystemReading, writer: Writer, uris: Container[str]
           ) -> tuple[str, ...]:
    """Commit running images whose inactive slot has another version.

    :param uris: firmware inventory entries to commit.
    :returns: the paths of the entries in the request.
    :raises: Rejected, Unreachable, OutcomeUnknown.
    """
    if seen.service is None:
        return ()
    named: dict[str, list[str]] = {}
    for entry, row in _committable(seen):
        action = seen.service.text(*row.action, 'target')
        if action is not None and entry.uri in uris and (
                entry.text(*row.active) != entry.text(*row.inactive)):
            named.setdefault(action, []).append(entry.uri)
    for action, targets in named.items():
        writer.refresh(seen.service.uri)
        writer.send('POST', action, {'Targets': targets})
    return tuple(u for targets in named.values() for u in targets)
