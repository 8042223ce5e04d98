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

"""The Backend port for one System of one BMC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.model import catalog as catalogs
from ironic_accel.model.device import Component
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Burn
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Way
from ironic_accel.model.profile import Image
from ironic_accel.redfish import changes
from ironic_accel.redfish import connect
from ironic_accel.redfish import fields
from ironic_accel.redfish import observe
from ironic_accel.redfish import scope
from ironic_accel.redfish import styles
from ironic_accel.redfish import tasks
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.observe import Seen
from ironic_accel.redfish.push import Answer
from ironic_accel.redfish.push import Writer
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.settings import Settings
from ironic_accel.redfish.styles import Choice

NAME = 'redfish'

#: The device of what a push writes besides and no device of ours owns.
OTHERS = '-'


class RedfishBackend:
    """Sees and changes the accelerators of one node through its BMC.

    :param connector: sushy's; the conductor's cached one, or that of
        ``connect.connect``.
    :param system: path or Id of the node's System; None where the BMC has
        one host only.
    :param catalog: what is known of products; the package's own by default.
    """

    def __init__(self, connector: connect.Connector,
                 system: str | None = None, *,
                 catalog: catalogs.Catalog | None = None,
                 settings: Settings | None = None) -> None:
        self._connector = connector
        self._system = system
        self._catalog = catalog or catalogs.load()
        self._settings = settings or Settings()
        self._reader = Reader(connector, self._settings)
        self._writer = Writer(connector, self._settings)
        self._seen: Seen | None = None
        self._inventory: Inventory | None = None

    @property
    def address(self) -> str:
        """Host and port of the BMC: one push at a time goes there."""
        return connect.address(self._connector)

    @property
    def system_uri(self) -> str:
        """Path of the node's System; asks the BMC unless one was given.

        :raises: Unreachable; BadInput where it is not to be found.
        """
        if self._seen is not None:
            return self._seen.scope.system.uri
        if self._system and self._system.startswith('/'):
            return fields.normal(self._system)
        self._reader.begin()
        self._system = scope.own_uri(self._reader, self._system)
        return self._system

    def observe(self) -> Inventory:
        """Look at the box.

        :raises: Unreachable where it does not answer, or refuses the
            credentials; BadInput where the System is not to be found.
        """
        self._seen = observe.look(self._reader, self._system, self._catalog,
                                  self._settings)
        self._inventory = self._seen.inventory
        return self._inventory

    def ways(self, inventory: Inventory) -> tuple[Way, ...]:
        """What can be done on the box that was just observed. No traffic.

        :param inventory: of this box; its devices may have other ids than
            ``observe`` gave them.
        """
        seen = self._need()
        self._inventory = inventory
        burns: dict[Ref, Burn] = {}
        for device in inventory.devices:
            for part in device.components:
                choice = self._choice(seen, part)
                if choice is not None and part.updateable is not False:
                    burns[device.id, part.name] = Burn(
                        f'{self.address}/{choice.lane}',
                        self._also(seen, inventory, choice,
                                   (device.id, part.name)))
        sets = frozenset((d.id, m.name) for d in inventory.devices
                         for m in d.modes if m.uri is not None)
        return (Way(NAME, burns, sets, changes.resets(
            self._reader, inventory.devices)),)

    def _need(self) -> Seen:
        """The last observation; a backend that just began makes one."""
        if self._seen is None:
            self.observe()
        assert self._seen is not None  # noqa: S101
        return self._seen

    def _choice(self, seen: Seen, part: Component) -> Choice | None:
        if seen.service is None or part.uri is None or all(
                e.uri != part.uri for e in seen.entries):
            return None
        return styles.choose(seen.service, last(part.uri), seen.entries,
                             seen.scope.quirks, self._settings)

    def _also(self, seen: Seen, inventory: Inventory, choice: Choice,
              asked: Ref) -> tuple[Ref, ...]:
        """What a push writes besides, as far as the image is for it."""
        if choice.exact:
            return ()
        owned = {p.uri: (d.id, p.name) for d in inventory.devices
                 for p in d.components}
        return tuple(ref for ref in (
            owned.get(e.uri, (OTHERS, last(e.uri))) for e in seen.entries
            if styles.covers(choice, last(e.uri))
            and e.flag('Updateable') is not False) if ref != asked)

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin a write.

        :raises: Rejected, Unreachable where nothing was written;
            OutcomeUnknown where nobody can tell.
        """
        seen = self._need()
        assert self._inventory is not None  # noqa: S101
        if action.verb == 'set':
            return changes.set_modes(self._reader, self._writer,
                                     self._inventory, action)
        if action.verb == 'reset':
            return changes.reset(self._reader, self._writer,
                                 self._inventory, action)
        if image is None or seen.service is None:
            raise Rejected('there is no image, or no update service to '
                           'give it to')
        parts = [self._part(ref) for ref in (i.ref for i in action.items)]
        refs = [(*i.ref, p.id) for i, p in zip(
            action.items, parts, strict=True)]
        try:
            answer = self._push(seen, seen.service, parts, image, spec, force)
        except Rejected as error:
            if self._has_it(seen, error):
                return {'kind': 'done', 'parts': [list(r) for r in refs]}
            raise
        return tasks.ticket(answer, refs)

    def _part(self, ref: Ref) -> Component:
        assert self._inventory is not None  # noqa: S101
        device = self._inventory.device(ref[0])
        part = device.component(ref[1]) if device else None
        if part is None or part.uri is None:
            raise Rejected(f'{ref[1]} of {ref[0]} is not in the firmware '
                           'inventory of the BMC', device=ref[0],
                           component=ref[1])
        return part

    def _has_it(self, seen: Seen, error: Rejected) -> bool:
        """Whether a refusal says that the version is there already."""
        name = (error.detail.message_id or '').rsplit('.', 1)[-1]
        return any(name in q.satisfied for q in seen.scope.quirks)

    def _push(self, seen: Seen, service: Fields, parts: list[Component],
              image: Ready, spec: Image | None, force: bool) -> Answer:
        choice = self._choice(seen, parts[0])
        targets: list[str] = [p.uri for p in parts if p.uri]
        if choice is not None and choice.instead:
            targets = list(choice.instead)
        if spec is not None and spec.push is not None:
            choice = _escape(spec, service, self._settings)
            if spec.push.targets is not None:
                targets = list(spec.push.targets)
        if choice is None:
            raise Rejected('the update service takes no push that is known')
        style = choice.style
        if style.force and not force:
            raise Rejected(f'push style {style.name} forces the update, and '
                           'the profile does not allow force')
        uri = styles.push_uri(style, service)
        if uri is None:
            raise Rejected(f'the update service does not offer {style.name}')
        body = styles.parameters(style, targets, force, service)
        self._writer.refresh(service.uri)
        if style.way == 'multipart':
            return self._writer.push_multipart(
                uri, body, image.path, image.size, image.sha256)
        if style.way == 'plain':
            return self._writer.push_plain(
                uri, image.path, image.size, image.sha256)
        return self._writer.send('POST', uri, self._fetched(
            service, body, image, spec))

    def _fetched(self, service: Fields, body: dict[str, Any], image: Ready,
                 spec: Image | None) -> dict[str, Any]:
        """The body of SimpleUpdate: the BMC fetches the image itself."""
        give = self._settings.image_uri
        uri = give(image, spec) if give else None
        if uri is None:
            raise Rejected('the BMC has to fetch the image, and there is no '
                           'URI at which it could',
                           error_class=ErrorClass.NEEDS_OPERATOR,
                           todo='configure where images are served to BMCs')
        body = {**body, 'ImageURI': uri}
        protocol = styles.transfer_protocol(service, uri)
        if protocol:
            body['TransferProtocol'] = protocol
        return body

    def poll(self, ticket: Ticket) -> Poll:
        """See what became of a write.

        :raises: Unreachable where the BMC does not answer.
        """
        told: Mapping[str, Any] = dict(ticket)
        kind = told.get('kind')
        if kind == 'set':
            return changes.poll_modes(self._connector, self._reader, told)
        if kind == 'reset':
            return changes.poll_reset(self._connector, told)
        if kind == 'done':
            return Ended(tuple(Result((p[0], p[1]), True)
                               for p in told.get('parts', ())))
        if kind == 'task':
            return tasks.poll(self._connector, told)
        return Unknown(f'a ticket of kind {kind!r}')

    def commit(self) -> tuple[str, ...]:
        """Commit images that run, where the vendor has such an action.

        ``#NvidiaUpdateService.CommitImage`` has a root of trust copy the
        running image to its other slot where it does not do so by itself.

        :returns: the paths of the entries that were named; empty where there
            is nothing to commit.
        :raises: Rejected, Unreachable, OutcomeUnknown.
        """
        seen = self._need()
        if seen.service is None:
            return ()
        action = seen.service.text(
            'Actions', 'Oem', '#NvidiaUpdateService.CommitImage', 'target')
        patterns = [q.commit for q in seen.scope.quirks if q.commit]
        targets = tuple(
            e.uri for e in seen.entries if styles.matches(
                patterns, last(e.uri)) and e.has(
                    'Oem', 'Nvidia', 'InactiveFirmwareSlot'))
        if action is None or not targets:
            return ()
        self._writer.refresh(seen.service.uri)
        self._writer.send('POST', action, {'Targets': list(targets)})
        return targets


def _escape(spec: Image, service: Fields, settings: Settings) -> Choice:
    """The push style that the profile asks for, whatever we would choose."""
    assert spec.push is not None  # noqa: S101
    style = styles.STYLES.get(spec.push.style)
    if style is None:
        raise Rejected(
            f'images.{spec.name}.push.style: {spec.push.style!r}: expected '
            f'one of {", ".join(styles.STYLES)}')
    if not styles.offers(service, style, settings):
        raise Rejected(f'images.{spec.name}.push.style: {style.name}: the '
                       'update service does not offer it')
    return Choice(style)
