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

"""The reasons why the planner refuses a change.

Each function checks one condition and returns a refusal for each item that
violates it; an empty list means that the condition holds.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses

from ironic_accel.model.device import base_name
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import strongest
from ironic_accel.model.device import Value
from ironic_accel.model import matching
from ironic_accel.model.matching import Knowledge
from ironic_accel.model import nv_parameters
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import INSIDE
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import NO_NEEDS
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Staged
from ironic_accel.model import stages
from ironic_accel.model import version


#: Why a change is refused that needs a stronger reset than is allowed.
TOO_STRONG = ('its activation needs a stronger reset than limits.reset '
              'allows')


def unread(item: Item, device: Device, inventory: Inventory) -> Refusal:
    """An item whose value could not be read."""
    name = (f'firmware:{item.name}' if item.kind == 'firmware'
            else f'mode:{item.name}')
    why = [u.words for u in inventory.unread if u.about == device.id and (
        not u.facts or {'presence', name, name.partition(':')[0],
                        f'{item.kind}s'} & {*u.facts})]
    return Refusal(item, why[0] if why else 'its value could not be read',
                   item.wanted, None, True)


def conflict(item: Item, values: Sequence[str]) -> Refusal:
    """An item for which two sources report different values."""
    return Refusal(item, 'its sources report different values: '
                   + ', '.join(values), item.wanted, ', '.join(values), True)


def too_strong(item: Item, activation: Activation, profile: Profile
               ) -> list[Refusal]:
    """A reset beyond what the profile allows."""
    if activation.rank <= profile.limits.reset.rank:
        return []
    return [Refusal(item, TOO_STRONG, profile.limits.reset, activation)]


def _activated(item: Item, activation: Activation | None, profile: Profile,
               changed: str, seen: Value | None) -> list[Refusal]:
    """A reset that is unknown, or beyond what the profile allows."""
    if activation is None:
        return [Refusal(item, 'the reset that activates it is unknown '
                        '(activation: null in the catalogue), so it is not '
                        + changed, item.wanted, seen)]
    return too_strong(item, activation, profile)


def activation(entry: Staged, device: Device, profile: Profile,
               transports: Sequence[Transport]) -> list[Refusal]:
    """A staged item whose activation the profile does not allow."""
    activation = stages.real_activation(
        device.id, entry.activation, transports)
    if entry.tried is not None:
        return []
    return too_strong(entry.item, activation, profile)


def change(item: Item, device: Device, image: Image | None,
           profile: Profile, transports: Sequence[Transport], facts: Knowledge,
           meant: Collection[Ref] = ()
           ) -> tuple[list[Refusal], stages.Todo | None]:
    """What speaks against changing an item, or the change to be staged.

    Asked only about items that were read: no reason here rests on something
    that was asked for and not told.

    :param meant: what the profile wants written with the same image.
    """
    if item.kind == 'firmware':
        return _firmware(
            item, device, image, profile, transports, facts, meant)
    return _mode(item, device, profile, transports, facts)


def _firmware(item: Item, device: Device, image: Image | None,
              profile: Profile, transports: Sequence[Transport],
              facts: Knowledge, meant: Collection[Ref]
             ) -> tuple[list[Refusal], stages.Todo | None]:
    part = device.component(item.name)
    wanted, seen = item.wanted, part.running if part else None
    if part is None or seen is None:
        return [Refusal(item, 'its running version is not reported, so an '
                        'update could not be verified'
                        + _elsewhere(transports), wanted, None)], None
    if image is None:
        return [Refusal(item, 'its version differs, and the profile has no '
                        'image for it', wanted, part.pending or seen)], None
    form = matching.version_form(device, item.name, facts)
    transport = next((w for w in transports if item.ref in w.updates), None)
    # A BMC that cannot write it does not exclude the agent: it reports on
    # its own UpdateService (SoftwareInventory v1.4, Updateable).
    locked = transport is None and part.updateable is False
    no = _writable(item, part, profile, locked)
    fit = matching.misfit(image, device, item)
    no += [fit] if fit else []
    no += _direction(item, part, profile, form)
    if transport is None and not locked:
        bars = [w.bars[item.ref] for w in transports if item.ref in w.bars]
        no.append(Refusal(item, '; '.join(
            ['no transport can update it, of: ' + _names(transports),
             *bars]),
            wanted, seen))
    if no or transport is None or part.activation is None:
        return no, None
    target = pushed(transport, item, image)
    if target is None:
        return [Refusal(
            item, f'image {image.name}: {transport.name} does not support '
            f'push style {image.push.style if image.push else None}',
            wanted, seen)], None
    no = _image_needs(item, image, target, profile)
    if no:
        return no, None
    unasked = [r for r in target.also_writes if r not in meant]
    if unasked and 'collateral' not in profile.allow:
        more = ', '.join(f'{d}/{n}' for d, n in unasked[:4])
        dots = ', ...' if len(unasked) > 4 else ''
        return [Refusal(
            item, 'the update may not be limited to its targets and may also '
            f'write {len(unasked)} other components ({more}{dots}); to accept '
            'this, add collateral to allow of the profile', wanted,
            *((None, True) if image.push is not None
              and image.push not in target.pushes else (seen,)))], None
    activation = part.activation
    if target.at_reset:
        # Nothing weaker than a reset of the host begins the writing.
        activation = strongest([activation, Activation.WARM_REBOOT])
    real = stages.real_activation(device.id, activation, transports)
    late = too_strong(item, real, profile)
    if late:
        return late, None
    known = matching.component_facts(device, item.name, facts)
    return [], stages.Todo(
        item, seen, transport.name, activation, real,
        image=image.name, target=target,
        order=stages.order_of(base_name(item.name), known, profile),
        alone=bool(known and known.alone))


def _image_needs(item: Item, image: Image, target: UpdateTarget,
                 profile: Profile) -> list[Refusal]:
    """What the push requires of the image or the profile, and lacks."""
    name = image.url.rsplit('/', 1)[-1].lower()
    suffixes = target.needs.suffixes
    if suffixes and not name.endswith(suffixes):
        return [Refusal(
            item, f'image {image.name}: the UpdateService requires a suffix '
            'of the image file name; use an image URL that ends in the '
            'original file name', ' or '.join(suffixes), name)]
    if target.needs.force and 'force' not in profile.allow:
        return [Refusal(
            item, f'image {image.name}: the push always forces the update; '
            'to accept this, add force to allow of the profile', item.wanted,
            None)]
    return []


def pushed(transport: Transport, item: Item, image: Image
          ) -> UpdateTarget | None:
    """How a component is written with an image that may want another push.

    :returns: with what else that push writes; None if the transport does not
        support it. A push that the transport was not asked about may write
        anything that the transport can.
    """
    target = transport.updates[item.ref]
    if image.push is None or transport.name in INSIDE:
        return target
    also = target.pushes.get(image.push, tuple(
        r for r in transport.updates if r != item.ref))
    if also is None:
        return None
    return dataclasses.replace(
        target, also_writes=also,
        at_reset=image.push in target.reset_pushes,
        needs=target.push_needs.get(image.push, NO_NEEDS))


def _names(transports: Sequence[Transport]) -> str:
    return ', '.join(w.name for w in transports) or 'none'


def _writable(item: Item, part: Component, profile: Profile, locked: bool
              ) -> list[Refusal]:
    if locked:
        return [Refusal(item, 'the device reports it as not updateable',
                        item.wanted, part.running)]
    return _activated(item, part.activation, profile, 'updated', part.running)


def _direction(item: Item, part: Component, profile: Profile, form: str
               ) -> list[Refusal]:
    """Downgrades, and versions that cannot be compared."""
    wanted, seen = str(item.wanted), str(part.running)
    order = version.compare(wanted, seen, form)
    if item.at_least and order is None:
        return [Refusal(item, 'at_least: the versions cannot be compared',
                        wanted, seen)]
    if order is not None and order < 0 and 'downgrade' not in profile.allow:
        return [Refusal(item, 'it would be a downgrade; to accept this, add '
                        'downgrade to allow of the profile', wanted, seen)]
    if part.lowest is not None:
        floor = version.compare(wanted, part.lowest, form)
        if floor is not None and floor < 0:
            return [Refusal(item, 'the version is lower than the lowest '
                            'version that the device supports', part.lowest,
                            wanted)]
    return []


def _mode(item: Item, device: Device, profile: Profile,
          transports: Sequence[Transport], facts: Knowledge
         ) -> tuple[list[Refusal], stages.Todo | None]:
    mode = device.mode(item.name)
    if mode is None:
        return [_no_mode(item, device, transports, facts)], None
    known = facts.mode(device.kind, item.name, device.product, device.vendor)
    if known is not None and known.read_only:
        return [Refusal(item, f'it is read and not set: {known.read_only}',
                        item.wanted, mode.current)], None
    no = _settable(item, mode, profile, transports)
    transport = next((w for w in transports if item.ref in w.sets), None)
    if transport is None:
        no.append(
            Refusal(item, 'no transport can set it, of: '
                    + _names(transports) + _elsewhere(transports),
                    item.wanted, mode.current))
    if no or transport is None or mode.activation is None:
        return no, None
    real = stages.real_activation(device.id, mode.activation, transports)
    if mode.persistent is False and real.is_host_reset:
        return [Refusal(item, 'it would be lost at the host reset that '
                        'activates it, and no transport can reset the '
                        'device alone', mode.activation, real)], None
    late = too_strong(item, real, profile)
    if late:
        return late, None
    return [], stages.Todo(
        item, mode.current, transport.name, mode.activation, real,
        order=stages.mode_order(known.order if known else 0),
        late=mode.persistent is not True and not real.is_host_reset)


def _no_mode(item: Item, device: Device, transports: Sequence[Transport],
             facts: Knowledge) -> Refusal:
    """A mode that the device lacks, or that no transport reports of it.

    Only a source that was asked for the mode and answered that there is none
    shows that the device lacks it: the document of a BMC without the property
    shows nothing.
    """
    known = facts.mode(device.kind, item.name, device.product, device.vendor)
    if known is None and nv_parameters.is_name(item.name):
        return Refusal(
            item, 'the allow list of NV configuration parameters does not '
            f'have it for product {device.product}', item.wanted, None)
    if f'mode:{item.name}' in device.absent:
        return Refusal(item, 'the device does not support this mode',
                       item.wanted, None)
    inside = {w.name in INSIDE for w in transports}
    text = ('the BMC does not report this mode' if inside == {False}
            else 'the tools in the host do not report this mode'
            if inside == {True}
            else f'no transport reports this mode, of: {_names(transports)}')
    more = (f': {known.absent}' if known is not None and known.absent
            else _elsewhere(transports))
    return Refusal(item, text + more, item.wanted, None)


def _elsewhere(transports: Sequence[Transport]) -> str:
    """Where else to try what the transports at hand do not report or do."""
    inside = {w.name in INSIDE for w in transports}
    if inside == {False}:
        return '; try in band (apply_profile_in_band)'
    if inside == {True}:
        return '; try out of band (apply_profile)'
    return ''


def _settable(item: Item, mode: Mode, profile: Profile,
              transports: Sequence[Transport]) -> list[Refusal]:
    if mode.current is None:
        return [Refusal(item, 'its value is not reported, so a change '
                        'could not be verified' + _elsewhere(transports),
                        item.wanted, None)]
    no = matching.unaccepted(mode, item)
    if no is not None:
        return [no]
    return _activated(item, mode.activation, profile, 'changed', mode.current)
