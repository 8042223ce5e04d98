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

"""Reach the BMC of a run, also one that an interrupted run restarts."""

from __future__ import annotations

import argparse
from collections.abc import Generator
import contextlib
import time

from ironic_accel.converge.ports import Pace
from ironic_accel.converge import reset_note
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import image_serving_options
from ironic_accel.faces.cli import journal as journal_mod
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import session
from ironic_accel.faces.cli import workers
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record


@contextlib.contextmanager
def opened(args: argparse.Namespace, serving: image_serving_options.Served,
           profile: Profile, pace: Pace
           ) -> Generator[session.Opened, None, None]:
    """Connect to the BMC and wait until it responds.

    After an interrupted run the BMC may be restarting: wait as long as the
    run itself would. For a new run a BMC that does not respond is an error
    at once.

    :raises: Unreachable; BadInput if the BMC has no such System.
    """
    left = journal_mod.left_open(bmc_options.url(args), profile, args.journal)
    until = time.monotonic() + pace.unreachable
    while True:
        with contextlib.ExitStack() as stack:
            try:
                found = stack.enter_context(session.opened(args, serving.uri))
                _ = found.identity  # read before anything is changed
            except Unreachable as exc:
                if left is None or time.monotonic() > until or (
                        not _may_pass(exc, left)):
                    raise
                messages.say('continuing an interrupted run, waiting for '
                             f'the BMC: {exc.detail.summary}')
            else:
                yield found
                return
        workers.sleep(max(pace.look, 0.01))


def _may_pass(exc: Unreachable, left: Record) -> bool:
    """Whether a BMC may answer later to the run that left a record.

    One that lets nobody in may only while it restarts because of that run.
    """
    if isinstance(exc, NoAccess):
        return left.intent is not None and reset_note.restarts_bmc(
            left, left.intent.since, 0)
    return exc.detail.error_class is ErrorClass.TRANSIENT
