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

"""Whether all images of a plan are there, are as declared, and fit."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.converge import intent_resolution
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Profile


@dataclasses.dataclass(frozen=True, slots=True)
class ImageCheck:
    """The images of a plan.

    :ivar ready: those that are there and have their digest, by name.
    :ivar fetching: those that are being fetched, in the order of the plan.
    :ivar refused: the items of those that cannot be had or are not what the
        profile declares, or that are too large for their device.
    """

    ready: dict[str, Ready] = dataclasses.field(default_factory=dict)
    fetching: tuple[tuple[Image, Fetching], ...] = ()
    refused: tuple[Refusal, ...] = ()


def check(plan: Plan, profile: Profile, images: Images,
          inventory: Inventory) -> ImageCheck:
    """Ask for every image of a plan. Does not block."""
    ready: dict[str, Ready] = {}
    fetching: dict[str, tuple[Image, Fetching]] = {}
    refused: list[Refusal] = []
    for action in _updates(plan):
        image = profile.images[action.image or '']
        got = images.get(image)
        if isinstance(got, Fetching):
            fetching.setdefault(image.name, (image, got))
        elif isinstance(got, Bad):
            refused += [Refusal(i, f'image {image.name}: {got.reason}',
                                got.expected, got.seen)
                        for i in action.items]
        else:
            ready[image.name] = got
            refused += intent_resolution.too_large(action, got, inventory)
    return ImageCheck(ready, tuple(fetching.values()), tuple(refused))


def wait(plan: Plan, profile: Profile, images: Images, inventory: Inventory,
         pause: Callable[[Image, Fetching], bool]) -> tuple[
             Plan, tuple[Image, ...]]:
    """A plan that is refused where one of its images is.

    A refused plan is returned as it is: its images are not asked for.

    :param pause: waits a moment for an image that is being fetched, and
        returns whether to go on waiting.
    :returns: the plan, and the images that are still being fetched.
    """
    if plan.refused:
        return plan, ()
    while True:
        found = check(plan, profile, images, inventory)
        if not found.fetching or not pause(*found.fetching[0]):
            break
    if found.refused:
        plan = dataclasses.replace(plan, refused=found.refused)
    return plan, tuple(image for image, _ in found.fetching)


def _updates(plan: Plan) -> list[Action]:
    return [a for s in plan.stages for a in s.actions if a.verb == 'update']
