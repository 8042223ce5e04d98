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

"""What ``plan`` and ``apply`` have in common: options, limits, images.

``plan`` makes its plan of all that ``apply`` goes by, so that the same
options give the same verdict.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator
import contextlib
import dataclasses
import os
from typing import Any

from ironic_accel.converge import advance as loop
from ironic_accel.converge import forecast
from ironic_accel.converge.forecast import Duration
from ironic_accel.converge import image_check
from ironic_accel.converge.ports import Fetching
from ironic_accel.faces.cli import bmc_lock
from ironic_accel.faces.cli import consent
from ironic_accel.faces.cli import journal as journal_mod
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import session
from ironic_accel.faces.cli import step_times
from ironic_accel.faces.cli import workers
from ironic_accel.faces import plan_view
from ironic_accel import images
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record

#: The user of the command may read local files anyway.
_SCHEMES = frozenset({'http', 'https', 'file'})

#: Seconds between two looks at an image that is being fetched.
_PAUSE = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it was made of.

    :ivar hint: what the plan would be if resets of the host were allowed;
        None if they are, or if that changes nothing.
    :ivar in_use: the error with which a run would end now, because another
        one is using the BMC; or None.
    :ivar duration: how long the run would take; None if it would begin
        nothing.
    """

    plan: Plan
    inventory: Inventory
    hint: str | None = None
    in_use: bmc_lock.InUse | None = None
    duration: Duration | None = None

    def to_dict(self) -> dict[str, Any]:
        """The document of the plan.

        ``not_checked`` is empty: everything was read, and the images were
        fetched.
        """
        blocked = [] if self.in_use is None else [{
            'device': 'system', 'item': 'lock', 'class': 'transient',
            'reason': self.in_use.detail.summary,
            'next': self.in_use.detail.todo}]
        return {**self.plan.to_dict(), 'not_checked': [], 'blocked': blocked,
                'duration': self.duration and self.duration.to_dict()}


@contextlib.contextmanager
def image_store(args: argparse.Namespace
                ) -> Generator[images.ImageStore, None, None]:
    """The cache of images of this user."""
    store = images.ImageStore(_image_cache(args), images.Policy(
        schemes=_SCHEMES, folders=('/',), verify=args.image_ca or True))
    try:
        yield store
    finally:
        store.close()


def _image_cache(args: argparse.Namespace) -> str:
    if args.image_cache:
        return str(args.image_cache)
    base = os.environ.get('XDG_CACHE_HOME', '')
    if not os.path.isabs(base):
        base = os.path.expanduser('~/.cache')
    return os.path.join(base, 'ironic-accel', 'images')


def begin(profile: Profile, earlier: Record | None, now: float,
          is_running: bool = False) -> Record:
    """The record to start with; an interrupted run keeps its limits.

    :param is_running: whether the earlier run is not interrupted: it is
        still in progress.
    """
    if (earlier is not None and earlier.digest == profile.digest
            and now < earlier.deadline):
        if not is_running:
            messages.say(
                f'continuing the interrupted run of profile {profile.name}: '
                f'{earlier.progress or "nothing started"}')
        return earlier
    return loop.begin(profile, earlier, now)


def duration(plan: Plan, seen: Inventory, catalog: Catalog, record: Record,
             now: float) -> Duration | None:
    """How long a plan takes by earlier runs and the catalogue.

    None if there is nothing to do.
    """
    steps = [*forecast.steps(plan, seen, catalog)]
    if plan.refused or not steps:
        return None
    return forecast.duration(steps, step_times.load(),
                             max(round(record.deadline - now), 0))


def make(args: argparse.Namespace, profile: Profile,
         opened: session.Opened) -> Planned:
    """Plan what ``apply`` with the same options would do now.

    :raises: AccelError if the host is off or its inventory is not complete,
        so that nobody can tell; InUse if that is so while another run is
        using the BMC.
    """
    in_use = bmc_lock.in_use(opened.bmc, opened.identity)
    journal = journal_mod.of(opened.identity, args.journal)
    earlier = journal.load()
    allowed = consent.limited(args, profile, opened, journal, earlier)
    record = begin(allowed, earlier, journal.time.now(), in_use is not None)
    inventory = opened.settled()
    if inventory.host == 'off':
        off = forecast.while_off(inventory, allowed, record)
        if off.refused:
            return Planned(off, inventory, in_use=in_use)
    if in_use is not None and not (
            inventory.complete and inventory.host == 'on'):
        raise in_use
    _check_complete(inventory)
    plan = opened.plan(inventory, allowed, record)
    with image_store(args) as store:
        plan, _ = image_check.wait(plan, allowed, store, inventory, _pause)
    hint = None
    if plan.refused and allowed is not profile:
        plan = consent.explained(plan)
        more = opened.plan(inventory, profile, record)
        if not more.refused:
            hint = ('with --allow-disruption: '
                    + plan_view.headline(more.to_dict()))
    return Planned(plan, inventory, hint, in_use, duration(
        plan, inventory, opened.catalog, record, journal.time.now()))


def _check_complete(inventory: Inventory) -> None:
    """Make sure that a plan can be made from an inventory.

    :raises: AccelError if the host is off or the inventory is not complete.
    """
    if inventory.host == 'off':
        raise AccelError(
            'the host is off, its devices are not listed',
            error_class=ErrorClass.TRANSIENT,
            todo='power it on, or use apply, which powers it on')
    if not inventory.complete:
        raise AccelError(
            f'the host is not ready: {inventory.unready}',
            error_class=ErrorClass.TRANSIENT,
            todo='wait until the host has booted, then run again')


def _pause(image: Image, got: Fetching) -> bool:
    """Wait a moment for an image; the store limits its time."""
    with messages.status(lambda: (
            f'fetching image {image.name}: {got.summary}')):
        workers.sleep(_PAUSE)
    return True
