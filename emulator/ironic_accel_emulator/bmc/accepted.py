# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Responses to writes: preconditions, refusals and accepted updates."""

from __future__ import annotations

from collections.abc import Callable

from ironic_accel_emulator.bmc.messages import Reply
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import Document
from ironic_accel_emulator.errors import RedfishError, message
from ironic_accel_emulator.tasks import TASKS, Task


def refuse(
    box: Box, targets: tuple[str, ...] | None, discard: Callable[[], None]
) -> None:
    """Refuse a received image before anything is done with it.

    Raises RedfishError with the status of the fault.
    """
    fault = box.faults.take('push-refused')
    if fault is not None:
        discard()
        status = int(fault.value or 400)
        if status in (429, 503):
            error = RedfishError.busy(box.retry_after(30))
            error.status = status
            raise error
        raise RedfishError(status, 'GeneralError')
    if len(targets or ()) > 1 and box.faults.active('one-target'):
        discard()
        args = (str(list(targets or ())), 'Targets')
        raise RedfishError(400, 'PropertyValueFormatError', args)


def answer(box: Box, task: Task, document: Document | None) -> Reply:
    """The response to an accepted image."""
    fault = box.faults.take('bare')
    if fault is not None:
        return Reply(int(fault.value or 202))
    if box.faults.take('success'):
        return Reply(200, {'@Message.ExtendedInfo': [message('Success')]})
    if box.faults.find('upload-waits') is not None and task.name != 'Update':
        return named(task)
    wait = str(box.retry_after(box.options.timing.retry_after))
    if task.place != TASKS:
        # An iDRAC returns only the location of the job.
        return Reply(202, None, {'Location': task.uri})
    headers = {'Location': task.monitor, 'Retry-After': wait}
    return Reply(202, document, headers)


def named(task: Task) -> Reply:
    """Supermicro X12: the task is named in a message, without Location."""
    entry = message(
        'SMC.1.0.OemSimpleupdateAcceptedMessage', (task.uri,),
        f'Please also check Task Resource {task.uri} to see more '
        'information.', 'Ok',
    )  # fmt: skip
    return Reply(202, {'Accepted': {'@Message.ExtendedInfo': [entry]}})


def shown_tag(box: Box, tag: str) -> str:
    """The ETag as a service returns it in the header."""
    fault = box.faults.find('if-match')
    if fault is not None and fault.value == 'quoted':
        return f'"{_strong(tag)}"'
    return tag


def check_tag(form: str, tag: str, given: str | None) -> None:
    """Require If-Match, in one form.

    Raises RedfishError 428 without it, 412 for any other form.
    """
    if given is None:
        raise RedfishError(428, 'PreconditionRequired')
    wanted = tag if form == 'weak' else _strong(tag)
    if given != wanted:
        raise RedfishError(412, 'PreconditionFailed')


def _strong(tag: str) -> str:
    return tag.removeprefix('W/')
