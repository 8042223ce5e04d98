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

"""Progress, on a terminal and elsewhere; and what is read off a record."""

from __future__ import annotations

import io
import re
from typing import cast
from typing import TextIO
from unittest import mock

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs.progress_display import Line
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Item
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record
from tests import terminals


def cleaned(**info: object) -> api.Ironic:
    """An Ironic whose one node is being cleaned."""
    made = mock.create_autospec(api.Ironic, instance=True)
    made.node.return_value = {
        'uuid': 'one', 'provision_state': 'clean wait',
        'reservation': None, 'driver_internal_info': info}
    return cast(api.Ironic, made)


def test_plain_lines_are_printed_for_changes_only() -> None:
    stream = io.StringIO()
    shown = progress_display.of(stream)
    for percent in (1, 5, 19, 21, 30, 100):
        shown.show([Line('one', '', 'clean wait'),
                    Line('one', 'gpu-0', 'gpu: writing', percent)])
    shown.close()
    lines = [re.sub(r'^ *[\d.]+ s  ', '', line)
             for line in stream.getvalue().splitlines()]
    assert lines == ['one: clean wait', 'one gpu-0: gpu: writing (1 %)',
                     'one gpu-0: gpu: writing (21 %)',
                     'one gpu-0: gpu: writing (100 %)']


def test_a_terminal_shows_a_table_redrawn_in_place() -> None:
    def write(stream: TextIO) -> None:
        shown = progress_display.of(stream)
        shown.show([Line('one', 'gpu-[0]', 'gpu: writing', 10)])
        shown.show([Line('one', 'gpu-[0]', 'compliant')])
        shown.close()
    text = terminals.shown(write)
    assert '\x1b[' in text
    # Brackets of a name are no markup.
    assert 'gpu-[0]' in text
    assert 'compliant' in text


RUN = {'kind': 'clean', 'step': 'apply_profile', 'work': 'apply',
       'progress': 'setting'}


def test_the_progress_of_devices_is_read_from_the_record() -> None:
    ecc = [Item(f'gpu-{n}', 'ecc', 'mode', 'disabled') for n in (0, 1)]
    raw = record_mod.to_dict(
        Record(
            'p',
            'd',
            started=1.0,
            staged=(Staged(ecc[0], Activation.WARM_REBOOT),),
            intent=Intent(
                'action', Activation.WARM_REBOOT, 1.0, 2.0, items=(ecc[1],)),
        )
    )
    status = run_status.read(
        cleaned(accel_operation={**RUN, 'percent': 50}, accel_record=raw),
        'one', None)
    assert (status.text, status.percent, status.outcome) == (
        'setting', 50, None)
    assert status.devices == {
        'gpu-0': 'ecc staged, active after warm-reboot',
        'gpu-1': 'ecc: writing'}


def test_a_record_of_a_later_version_shows_the_progress_only() -> None:
    status = run_status.read(
        cleaned(accel_operation=RUN,
                accel_record={'schema': 'record/9'}), 'one', None)
    assert (status.text, dict(status.devices)) == ('setting', {})
