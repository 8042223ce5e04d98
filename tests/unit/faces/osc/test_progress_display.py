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

import dataclasses
import io
import re
import time
from typing import Any
from typing import cast
from typing import TextIO
from unittest import mock

import pytest

from ironic_accel.faces import board
from ironic_accel.faces.board import NodeProgress
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Item
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged
from tests import terminals


def cleaned(**info: object) -> api.Ironic:
    """An Ironic whose one node is being cleaned."""
    made = mock.create_autospec(api.Ironic, instance=True)
    made.node.return_value = {
        'uuid': 'one', 'provision_state': 'clean wait',
        'reservation': None, 'driver_internal_info': info}
    return cast(api.Ironic, made)


def node(number: int, state: board.State = 'running', text: str = 'x',
         **known: Any) -> NodeProgress:
    return NodeProgress(f'node-{number}', state, text, **known)


def plain(*moments: list[NodeProgress], step: float = 2.0) -> list[str]:
    """The lines on a pipe; between two moments some seconds pass."""
    stream = io.StringIO()
    with mock.patch.object(time, 'monotonic', autospec=True,
                           return_value=0.0) as clock:
        shown = progress_display.on(stream)
        for nodes in moments:
            shown.show(nodes)
            clock.return_value += step
        shown.close()
    return [re.sub(r'^ *[\d.]+ s  ', '', line)
            for line in stream.getvalue().splitlines()]


def test_a_pipe_gets_a_line_for_a_new_phase_only() -> None:
    writing = 'clean wait: Update Running: gpu-{}'
    assert plain(
        [node(1, text='clean wait')],
        *([node(1, text=writing.format(n), percent=n)]
          for n in (1, 5, 19, 21)),
        [node(1, text='clean wait: update finished, verifying')],
        [node(1, 'done', 'manageable: converged')]) == [
            'node-1: clean wait', 'node-1: clean wait: Update Running: '
            'gpu-1 (1 %)', 'node-1: clean wait: update finished, verifying',
            'node-1: manageable: converged']


def test_a_pipe_gets_a_line_each_minute() -> None:
    moments = [[node(1, text='x: y', percent=n), node(2, 'waiting', 'waiting')]
               for n in range(80)]
    assert plain(*moments) == [
        'node-1: x: y (0 %)', 'node-2: waiting',
        '2 nodes: 1 running, 1 waiting; 0 %, 60 s', 'node-1: x: y (30 %)',
        '2 nodes: 1 running, 1 waiting; 0 %, 2 min', 'node-1: x: y (60 %)']


def test_of_many_nodes_a_pipe_gets_the_ends_and_the_totals() -> None:
    first = [node(n, text='started') for n in range(100)]
    later = [node(n, text='clean wait: writing') for n in range(100)]
    last = [node(0, 'failed', 'clean failed: no answer'),
            node(1, 'done', 'manageable: converged'), *later[2:]]
    assert plain(first, later, last, last, step=30.0) == [
        'node-0: clean failed: no answer', 'node-1: manageable: converged',
        '100 nodes: 1 done, 98 running, 1 failed; 2 %, 2 min'][:2]
    assert plain(first, later, last, last, last, last, step=30.0)[2:] == [
        '100 nodes: 1 done, 98 running, 1 failed; 2 %, 2 min']


def live(nodes: list[NodeProgress], **size: int) -> list[str]:
    """The screen lines of a board before it is drawn again."""
    def write(stream: TextIO) -> None:
        shown = progress_display.on(stream)
        shown.show(nodes)
        shown.close()
    text = terminals.shown(write, **size)
    first = text.split('\x1b[1A')[0]
    return re.sub(r'\x1b\[[0-9;?]*[a-zA-Z]|\r', '', first).split('\n')


def test_a_terminal_shows_totals_and_nodes() -> None:
    text = '\n'.join(live([
        node(1, text='clean wait: writing [0]', percent=10, seconds=65.0),
        node(2, 'waiting', 'waiting')]))
    assert '2 nodes: 1 running, 1 waiting; 0 %, 0 s' in text
    # Brackets of a text are no markup.
    assert re.search(r'node-1 +clean wait: writing \[0\] +\S+ +65 s', text)


@pytest.mark.parametrize('lines', [8, 24, 50])
def test_a_board_of_many_nodes_fits_the_terminal(lines: int) -> None:
    nodes = [node(n, 'done', 'converged', percent=None, seconds=60.0)
             for n in range(900)] + [
        node(n, 'running', 'writing', percent=5, seconds=30.0)
        for n in range(900, 905)] + [
        node(905, 'failed', 'clean failed: no answer', seconds=9.0),
        *(node(n, 'waiting', 'waiting') for n in range(906, 2000))]
    shown = [x for x in live(nodes, lines=lines) if x.strip()]
    assert len(shown) <= lines - 1
    assert max(map(len, shown)) <= 80
    heading = next(n for n, x in enumerate(shown) if x.startswith('Node'))
    assert ' '.join(shown[:heading]).startswith(
        '2000 nodes: 900 done, 5 running, 1 failed, 1094 waiting; 45 %')
    failed, running, *_, last = shown[heading + 1:]
    assert failed.startswith('node-905 ')
    assert 'clean failed: no answer' in failed
    assert running.startswith('node-900 ')
    assert re.search(r'and \d+ more: .*900 done', last)


def test_a_running_node_has_its_step_and_the_time_that_is_left() -> None:
    text = '\n'.join(live([node(1, text='clean wait: writing', percent=40,
                                step='step 2/3', left=185.0, seconds=60.0)]))
    assert 'step 2/3, clean wait: writing' in text
    assert re.search(r'60 s +about 3 min', text)
    assert 'Left' not in '\n'.join(live([node(1)]))


def test_one_node_has_no_totals() -> None:
    assert 'running' not in '\n'.join(live([node(1, text='writing')]))


def test_a_terminal_that_was_redrawn_keeps_the_last_board() -> None:
    def write(stream: TextIO) -> None:
        shown = progress_display.on(stream)
        shown.show([node(1, text='writing')])
        shown.show([node(1, 'done', 'compliant')])
        shown.close()
    text = terminals.shown(write)
    assert '\x1b[' in text
    assert text.rindex('compliant') > text.index('writing')


def test_quiet_shows_nothing() -> None:
    app = mock.Mock(stderr=io.StringIO())
    app.options.verbose_level = 0
    shown = progress_display.of(app)
    shown.show([node(1)])
    shown.close()
    assert app.stderr.getvalue() == ''


def test_failed_nodes_leave_room_for_running_ones() -> None:
    found, hidden = board.rows([*(node(n, 'failed') for n in range(50)),
                                *(node(n) for n in range(50, 100))], 11)
    assert [r.state for r in found] == [
        *['failed'] * 5, *['running'] * 5]
    assert hidden == 'and 90 more: 45 failed, 45 running'


def test_devices_with_the_same_progress_share_a_row() -> None:
    one = node(1, devices=tuple(
        (f'gpu-{n}', 'ecc: writing' if n == 3 else 'waiting')
        for n in range(1, 5)))
    assert [(r.name, r.text) for r in board.rows([one], 20)[0]] == [
        ('node-1', 'x'), ('', '  waiting: 3: gpu-1, gpu-2, gpu-4'),
        ('', '  ecc: writing: gpu-3')]
    assert len(board.rows([one], 2)[0]) == 1
    done = dataclasses.replace(one, state='done')
    assert len(board.rows([done], 20)[0]) == 1


@pytest.mark.parametrize('nodes, left', [
    # Four at once, one of which is half done.
    ([node(0, 'done', seconds=100.0), *(
        node(n, 'running', seconds=50.0) for n in range(1, 5)), *(
        node(n, 'waiting') for n in range(5, 9))], 150.0),
    ([node(0, 'done', seconds=100.0), node(1, seconds=40.0)], 60.0),
    # It takes longer than the others: not known.
    ([node(0, 'done', seconds=100.0), node(1, seconds=140.0)], None),
    # None has ended yet, or only a failed one, or one without changes.
    ([node(0, seconds=5.0)], None),
    ([node(0, 'failed', seconds=100.0), node(1, seconds=5.0)], None),
    ([node(0, 'done', seconds=3.0), node(1, seconds=1.0, changes=True)],
     None),
    ([node(0, 'done', seconds=3.0)], 0.0)])
def test_the_remaining_time_is_that_of_nodes_that_have_ended(
        nodes: list[NodeProgress], left: float | None) -> None:
    assert board.remaining(nodes) == left


def test_the_totals_tell_the_remaining_time_if_it_is_known() -> None:
    nodes = [node(0, 'done', seconds=600.0), node(1, seconds=60.0)]
    assert board.totals(nodes, 660.0) == (
        '2 nodes: 1 done, 1 running; 50 %, 11 min, about 9 min left')
    assert 'left' not in board.totals([node(1)], 5.0)


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


def test_the_time_that_is_left_follows_from_the_percentage() -> None:
    with mock.patch.object(time, 'monotonic', autospec=True,
                           return_value=1000.0) as clock:
        job = mock.create_autospec(parallel.NodeJob, instance=True)
        job.read.return_value = run_status.Status(
            'clean wait', 'Update Running: gpu-1', 20)
        one = parallel.NodeRun(job, began=1000.0)
        one.read()
        clock.return_value = 1030.0
        job.read.return_value = run_status.Status(
            'clean wait', 'Update Running: gpu-2', 25)
        one.read()
        assert one.left == 90.0
        job.read.return_value = run_status.Status(
            'clean wait', 'update finished, verifying', None)
        one.read()
        assert one.left is None


def test_a_record_of_a_later_version_shows_the_progress_only() -> None:
    status = run_status.read(
        cleaned(accel_operation=RUN,
                accel_record={'schema': 'record/9'}), 'one', None)
    assert (status.text, dict(status.devices)) == ('setting', {})
