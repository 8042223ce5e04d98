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


"""What travels between the loop and a backend on another machine.

Plain JSON in both directions; pure. A request contains the image as the
profile declares it: the agent fetches the file and verifies its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.converge.ports import Continues
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import item_from_dict
from ironic_accel.model.plan import item_to_dict
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import value_of
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.model.untrusted import Untrusted

START = 'accel-start/2'

#: What ``Result.answer`` may be; a result that has none was answered.
ANSWERS = ('told', 'refused', 'unknown', 'not-sent')


def transport_to_dict(transport: Transport) -> dict[str, Any]:
    """A transport as JSON."""
    updates = [{
        'device': device, 'name': name, 'lane': target.lane,
        'also_writes': [list(r) for r in target.also_writes],
        **({'pushes': [_pushed_to_dict(p, also)
                       for p, also in target.pushes.items()]}
           if target.pushes else {})}
        for (device, name), target in sorted(transport.updates.items())]
    commits = [[*ref, there]
               for ref, there in sorted(transport.commits.items())]
    return {
        'name': transport.name, 'updates': updates,
        'sets': sorted([device, name] for device, name in transport.sets),
        'resets': {k: str(v) for k, v in sorted(transport.resets.items())},
        **({'commits': commits} if commits else {})}


def _pushed_to_dict(push: Push, also: tuple[Ref, ...] | None
                    ) -> dict[str, Any]:
    return {**push_to_dict(push), 'also_writes': (
        None if also is None else [list(r) for r in also])}


def action_to_dict(action: Action) -> dict[str, Any]:
    """An action as JSON, with all that ``action_from_dict`` needs."""
    return {
        'verb': action.verb, 'transport': action.transport,
        'activation': action.activation,
        'changes': [{'item': item_to_dict(c.item), 'seen': plain(c.seen)}
                    for c in action.changes],
        'image': action.image, 'lane': action.lane,
        'also_writes': [list(r) for r in action.also_writes]}


def action_from_dict(raw: Mapping[str, Any]) -> Action:
    """Read an action back.

    :raises: AttributeError, KeyError, TypeError or ValueError for what is
        none.
    """
    action = Action(
        raw['verb'], raw['transport'],
        tuple(Change(item_from_dict(c['item']), value_of(c['seen']))
              for c in raw['changes']),
        Activation(raw['activation']), raw.get('image'),
        tuple((d, n) for d, n in raw.get('also_writes', ())),
        raw.get('lane', ''))
    texts = [action.verb, action.transport, action.lane, action.image or '',
             *(t for i in action.items for t in (*i.ref, i.kind)),
             *(t for ref in action.also_writes for t in ref)]
    if not all(isinstance(t, str) for t in texts):
        raise ValueError('names are texts')
    return action


def result_to_dict(result: Result) -> dict[str, Any]:
    """A result as JSON."""
    return {'ref': list(result.ref), 'ok': result.ok,
            'detail': result.detail.to_dict() if result.detail else None,
            **({} if result.answer == 'told' else {
                'answer': result.answer})}


def result_from_dict(raw: Mapping[str, Any]) -> Result:
    """Read a result back."""
    device, name = raw['ref']
    detail = raw.get('detail')
    answer = raw.get('answer', 'told')
    if answer not in ANSWERS:
        raise ValueError(f'answer: {answer!r}')
    return Result((device, name), raw['ok'],
                  Detail.from_dict(detail) if detail else None, answer)


def poll_to_dict(poll: Poll) -> dict[str, Any]:
    """The state of a write as JSON."""
    if isinstance(poll, Running):
        return {'state': 'running', 'summary': poll.summary,
                'percent': poll.percent}
    if isinstance(poll, Ended):
        return {'state': 'ended',
                'results': [result_to_dict(r) for r in poll.results]}
    if isinstance(poll, Continues):
        raise TypeError('an agent has no second request')
    return {'state': 'unknown', 'reason': poll.reason,
            'hidden': poll.hidden}


def image_to_dict(image: Image) -> dict[str, Any]:
    """An image, as the profile declares it, as JSON."""
    return {
        'name': image.name, 'url': image.url, 'sha256': image.sha256,
        'fits': {k: list(v) for k, v in image.fits.items()},
        'push': None if image.push is None else push_to_dict(image.push)}


def push_to_dict(push: Push) -> dict[str, Any]:
    """How an image is pushed, as JSON."""
    return {'style': push.style, 'targets': (
        None if push.targets is None else list(push.targets))}


def push_from_dict(raw: Mapping[str, Any]) -> Push:
    """Read it back."""
    targets = raw.get('targets')
    return Push(raw['style'], None if targets is None else tuple(targets))


def image_from_dict(raw: Mapping[str, Any]) -> Image:
    """Read an image declaration back."""
    push = raw.get('push')
    return Image(
        raw['name'], raw['url'], raw['sha256'],
        {k: tuple(v) for k, v in raw['fits'].items()},
        None if push is None else push_from_dict(push))


@dataclasses.dataclass(frozen=True, slots=True)
class Whose:
    """What a device of an action is known by on the other machine.

    The caller may have joined several inventories, and may have another id
    for the device than the machine itself.
    """

    id: str
    kind: str
    serial: str | None = None
    address: str | None = None
    location: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """A request to begin an action.

    :ivar devices: every device that the action names.
    :ivar image: for ``update``.
    :ivar sources: from where the image may be fetched: what the conductor's
        options allow (schemes, hosts, max_bytes), as plain data.
    """

    action: Action
    devices: tuple[Whose, ...]
    image: Image | None = None
    force: bool = False
    sources: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The document ``accel-start/2``."""
        return {
            'schema': START, 'action': action_to_dict(self.action),
            'devices': [dataclasses.asdict(d) for d in self.devices],
            'image': image_to_dict(self.image) if self.image else None,
            'force': self.force, 'sources': dict(self.sources)}


def start_from_dict(raw: Mapping[str, Any]) -> Start:
    """Read a request, also one of a conductor of the release before.

    :raises: BadInput for another schema or a field that is not right.
    """
    raw = earlier_documents.start(raw, START)
    if raw.get('schema') != START:
        raise BadInput(
            f"schema: {raw.get('schema')!r}, expected {START!r}")
    try:
        image = raw.get('image')
        return Start(
            action_from_dict(raw['action']),
            tuple(map(_whose, Untrusted(raw['devices'], 'devices').each())),
            image_from_dict(image) if image else None,
            bool(raw.get('force', False)), dict(raw.get('sources') or {}))
    except (AttributeError, IndexError, KeyError, TypeError,
            ValueError) as exc:
        raise BadInput(f'{START}: {type(exc).__name__}: '
                       f'{str(exc)[:200]}') from exc


def _whose(given: Untrusted) -> Whose:
    """:raises: Wrong"""
    def text(name: str) -> str | None:
        return given[name].maybe(given[name].text)

    return Whose(given['id'].text(), given['kind'].text(), text('serial'),
                 text('address'), text('location'))


def error_to_dict(error: AccelError) -> dict[str, Any]:
    """An error of a backend as JSON: it is told, not raised, so that it
    comes through whatever lies between as it is."""
    kinds = (OutcomeUnknown, Rejected, Unreachable, BadInput)
    kind = next((k.__name__ for k in kinds if isinstance(error, k)),
                AccelError.__name__)
    later = error.retry_after if isinstance(error, Rejected) else None
    return {'kind': kind, 'detail': error.detail.to_dict(),
            'retry_after': later}
