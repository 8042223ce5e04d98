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


"""The local backend: looks and writes, over a family of the tests' own."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pathlib
import select
import signal
import threading

import pytest

from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.profile import Image
from tests.unit.inband import sample

NIC = 'nic-MT2049X00001'


def wait(backend: LocalBackend, ticket: Ticket) -> Poll:
    """What a write ends with; its worker is joined, not slept for."""
    for thread in threading.enumerate():
        if thread.name.endswith(str(ticket['job'])[:8]):
            thread.join(60)
    return backend.poll(ticket)


def _backend(folder: pathlib.Path) -> LocalBackend:
    _, host = sample.machine(folder)
    return sample.backend(folder, host, sample.Burner(folder))


def test_inventory_has_what_sysfs_and_tools_report(
        tmp_path: pathlib.Path) -> None:
    seen = _backend(tmp_path).observe()
    assert (seen.host, seen.complete, seen.seen_via) == (
        'on', True, ('local',))
    assert seen.system == '4c4c4544-0000-1000-8000-000000000001'
    nic = seen.device(NIC)
    assert nic is not None
    assert (nic.kind, nic.vendor, nic.product) == (
        'nic', 'nvidia', 'nvidia-connectx-6-dx')
    assert (nic.address, nic.location) == ('0000:17:00.0', 'PCIe Slot 7')
    assert nic.macs == ('0c:42:a1:00:00:00', '0c:42:a1:00:00:01')
    assert (nic.fit, nic.health) == (Fit('MT_0000000359'), 'OK')
    assert {d.id for d in seen.devices} == {
        NIC, f'gpu@{sample.GPU}', f'crypto@{sample.QAT}'}


def test_the_catalogue_completes_what_a_tool_leaves_out(
        tmp_path: pathlib.Path) -> None:
    seen = _backend(tmp_path).observe()
    nic = seen.device(NIC)
    assert nic is not None
    part, mode = nic.component('nic'), nic.mode('sriov')
    assert part is not None and mode is not None
    assert (part.activation, part.shows_pending) == (
        Activation.DEVICE_RESET,
        True,
    )
    assert (mode.activation, mode.persistent) == (
        Activation.DEVICE_RESET, True)
    assert mode.allowed == ('enabled', 'disabled')
    # A name outside the closed list is not shown as a component.
    assert [c.name for c in nic.components] == ['nic']
    assert [w.message for w in seen.warnings
            if w.uri not in (sample.GPU, sample.QAT)] == [
        'a word', "ignoring component 'unheard-of': the catalogue lists none "
        'for kind nic']


def test_card_without_a_vendor_family_gets_a_warning(
        tmp_path: pathlib.Path) -> None:
    """The others' families say nothing of it: nobody was asked."""
    seen = _backend(tmp_path).observe()
    found = {w.uri: w.message for w in seen.warnings}
    assert all('no tool family supports this device' in found[at]
               for at in (sample.GPU, sample.QAT))
    assert 'no tool family' not in found[sample.NIC[0]]


def test_transport_has_what_the_installed_tools_can_do(
        tmp_path: pathlib.Path) -> None:
    backend = _backend(tmp_path)
    seen = backend.observe()
    assert backend.transports(seen)[0].updates == {}
    sample.tool(tmp_path, 'burner', 'true')
    (transport,) = backend.transports(seen)
    assert transport.updates[NIC, 'nic'].lane == 'burner:0000:17:00.0'
    assert transport.sets == {(NIC, 'sriov')}
    assert transport.resets == {NIC: Activation.DEVICE_RESET}
    assert transport.name == 'local'


def test_update_has_the_result_of_its_family(tmp_path: pathlib.Path) -> None:
    backend = _backend(tmp_path)
    sample.tool(tmp_path, 'burner', 'echo "$1 done"')
    ticket = backend.start(sample.burn(NIC), sample.image(tmp_path))
    end = wait(backend, ticket)
    assert isinstance(end, Ended)
    assert [(r.ref, r.ok) for r in end.results] == [((NIC, 'nic'), True)]
    assert backend.observe().busy == ()


def test_failed_update_has_a_reason(tmp_path: pathlib.Path) -> None:
    backend = _backend(tmp_path)
    sample.tool(tmp_path, 'burner', 'echo "bad image" >&2; exit 0')
    end = wait(backend, backend.start(
        sample.burn(NIC), sample.image(tmp_path)))
    assert isinstance(end, Ended)
    (result,) = end.results
    assert not result.ok and result.detail is not None
    assert result.detail.seen == 'bad image\n'


def test_a_mode_is_set_and_a_device_reset(tmp_path: pathlib.Path) -> None:
    backend = _backend(tmp_path)
    for action, name, text in (
            (sample.set_sriov(NIC), 'sriov', 'enabled'),
            (sample.reset(NIC), 'reset', 'device-reset')):
        end = wait(backend, backend.start(action))
        assert isinstance(end, Ended) and all(r.ok for r in end.results)
        assert (tmp_path / f'state-{name}').read_text() == text
    nic = backend.observe().device(NIC)
    mode = nic.mode('sriov') if nic else None
    assert mode is not None and mode.current == 'enabled'


def test_action_that_no_tool_can_do_is_refused_by_name(
        tmp_path: pathlib.Path) -> None:
    backend = _backend(tmp_path)
    gpu = f'gpu@{sample.GPU}'
    for action in (sample.burn(gpu), sample.set_sriov(gpu),
                   sample.reset(gpu)):
        end = wait(backend, backend.start(action, sample.image(tmp_path)))
        assert isinstance(end, Ended)
        (result,) = end.results
        assert not result.ok and result.detail is not None
        assert 'no installed tool can' in result.detail.summary
        assert result.detail.device == gpu


def test_unknown_device_is_rejected(
        tmp_path: pathlib.Path) -> None:
    with pytest.raises(Rejected, match='nic-other'):
        _backend(tmp_path).start(sample.set_sriov('nic-other'))


class Slow(sample.Burner):
    """A family whose writes last until they are let go."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(folder)
        self.go = threading.Event()

    def set(self, *args: object, **known: object) -> tuple[()]:
        self.go.wait(60)
        return ()


def test_running_write_is_busy_and_excludes_another(
        tmp_path: pathlib.Path) -> None:
    _, host = sample.machine(tmp_path)
    family = Slow(tmp_path)
    backend = sample.backend(tmp_path, host, family)
    ticket = backend.start(sample.set_sriov(NIC))
    assert isinstance(backend.poll(ticket), Running)
    seen = backend.observe()
    (busy,) = seen.busy
    assert (busy.targets, busy.ticket) == (((NIC, 'sriov'),), ticket)
    assert not seen.complete
    with pytest.raises(Rejected) as refused:
        backend.start(sample.reset(NIC))
    assert refused.value.retry_after
    # Another process, or the agent after a restart of the command, sees it.
    other = sample.backend(tmp_path, host, sample.Burner(tmp_path))
    assert isinstance(other.poll(ticket), Running)
    family.go.set()
    end = wait(backend, ticket)
    # It told nothing of its item: that is a failure, not a success.
    assert isinstance(end, Ended) and not end.results[0].ok


def test_card_keeps_its_identity_while_it_is_written(
        tmp_path: pathlib.Path) -> None:
    _, host = sample.machine(tmp_path)
    family = Slow(tmp_path)
    backend = sample.backend(tmp_path, host, family)
    before = backend.observe().device(NIC)
    ticket = backend.start(sample.set_sriov(NIC))
    during = backend.observe().device(NIC)
    family.go.set()
    wait(backend, ticket)
    assert before is not None and during is not None
    assert during.fit == before.fit and during.components == ()


def test_results_have_the_ids_of_the_caller(tmp_path: pathlib.Path) -> None:
    backend = _backend(tmp_path)
    at = sample.NIC[0]
    ticket = backend.begin(sample.set_sriov(at), names={at: 'nic-theirs'})
    end = wait(backend, ticket)
    assert isinstance(end, Ended)
    assert end.results[0].ref == ('nic-theirs', 'sriov')


def test_merged_inventory_keeps_its_own_ids(
        tmp_path: pathlib.Path) -> None:
    """As where Redfish and this way are joined, or an earlier look."""
    backend = _backend(tmp_path)
    seen = backend.observe()
    theirs = tuple(dataclasses.replace(
        d, id=f'{d.kind}-theirs', address=None if d.serial else d.address)
        for d in seen.devices)
    (transport,) = backend.transports(
        dataclasses.replace(seen, devices=theirs))
    assert transport.sets == {('nic-theirs', 'sriov')}
    end = wait(backend, backend.start(sample.set_sriov('nic-theirs')))
    assert isinstance(end, Ended)
    assert [(r.ref, r.ok) for r in end.results] == [
        (('nic-theirs', 'sriov'), True)]
    # A device of that name with another serial number is another device.
    other = dataclasses.replace(theirs[0], serial='MT-other')
    (transport,) = backend.transports(
        dataclasses.replace(seen, devices=(other,)))
    assert transport.sets == set()


def test_a_ticket_of_an_earlier_boot_is_unknown(
        tmp_path: pathlib.Path) -> None:
    tree, host = sample.machine(tmp_path)
    backend = sample.backend(tmp_path, host, sample.Burner(tmp_path))
    ticket = backend.start(sample.set_sriov(NIC))
    wait(backend, ticket)
    tree.reboot()
    assert isinstance(backend.poll(ticket), Unknown)
    for strange in ({}, {'job': '../x'}, {'job': 'f' * 32}):
        assert isinstance(backend.poll(strange), Unknown)


def _begin_and_wait(folder: str) -> None:
    """Begin a burn in this process, and wait to be killed."""
    path = pathlib.Path(folder)
    backend = _backend(path)
    ticket = backend.start(sample.burn(NIC), sample.image(path))
    # The tool says that it runs: whether its process has been noted or not.
    with open(path / 'begun', encoding='ascii') as begun:
        begun.read()
    (path / 'ticket').write_text(str(ticket['job']))
    with open(path / 'told', 'w', encoding='ascii') as told:
        told.write('x')
    signal.pause()


def test_flashing_tool_survives_the_agent(tmp_path: pathlib.Path) -> None:
    for name in ('begun', 'go', 'told', 'over'):
        os.mkfifo(tmp_path / name)
    _, host = sample.machine(tmp_path)
    sample.tool(tmp_path, 'burner', f'''
        echo $$ > {tmp_path}/pid
        echo x > {tmp_path}/begun
        read x < {tmp_path}/go
        echo done > {tmp_path}/flashed
        echo x > {tmp_path}/over''')
    child = multiprocessing.get_context('spawn').Process(
        target=_begin_and_wait, args=(str(tmp_path),))
    child.start()
    with open(tmp_path / 'told', encoding='ascii') as told:
        told.read()
    child.kill()
    child.join(30)
    backend = sample.backend(tmp_path, host, sample.Burner(tmp_path))
    ticket = {'transport': 'local', 'job': (tmp_path / 'ticket').read_text()}
    poll = backend.poll(ticket)
    assert isinstance(poll, Running) and 'without' in poll.summary
    (busy,) = backend.observe().busy
    assert busy.targets == ((NIC, 'nic'),)
    with pytest.raises(Rejected):
        backend.start(sample.set_sriov(NIC))
    _release(tmp_path)
    assert (tmp_path / 'flashed').read_text() == 'done\n'
    lost = backend.poll(ticket)
    assert isinstance(lost, Unknown) and 'the agent ended' in lost.reason
    assert backend.observe().busy == ()


def _release(folder: pathlib.Path) -> None:
    """Let the tool go on, and wait until its process is gone."""
    handle = os.pidfd_open(int((folder / 'pid').read_text()))
    with open(folder / 'go', 'w', encoding='ascii') as go:
        go.write('\n')
    with open(folder / 'over', encoding='ascii') as over:
        over.read()
    assert select.select([handle], [], [], 60)[0]
    os.close(handle)


def test_update_past_its_deadline_is_waited_for_and_then_unknown(
        tmp_path: pathlib.Path) -> None:
    for name in ('begun', 'go', 'over'):
        os.mkfifo(tmp_path / name)
    _, host = sample.machine(tmp_path)
    sample.tool(tmp_path, 'burner', f'''
        echo $$ > {tmp_path}/pid
        echo x > {tmp_path}/begun
        read x < {tmp_path}/go
        echo x > {tmp_path}/over''')
    backend = sample.backend(
        tmp_path, host, sample.Burner(tmp_path, timeout=0.2))
    ticket = backend.start(sample.burn(NIC), sample.image(tmp_path))
    assert isinstance(wait(backend, ticket), Running)
    with open(tmp_path / 'begun', encoding='ascii') as begun:
        begun.read()
    _release(tmp_path)
    end = backend.poll(ticket)
    assert isinstance(end, Unknown) and 'did not end in time' in end.reason


class _Raises(sample.Burner):
    def __init__(self, folder: pathlib.Path, error: Exception) -> None:
        super().__init__(folder)
        self._error = error

    def set(self, *args: object, **known: object) -> tuple[()]:
        raise self._error

    def read(self, *args: object, **known: object) -> ToolReading:
        raise self._error


@pytest.mark.parametrize(('error', 'kind', 'words'), [
    (AccelError(Detail('it says no', seen='E5')), Ended, 'it says no'),
    (ZeroDivisionError('oh'), Ended, 'ZeroDivisionError: oh'),
    (OutcomeUnknown('the line broke'), Unknown, 'the line broke'),
])
def test_exception_of_a_family_is_reported(
        tmp_path: pathlib.Path, error: Exception, kind: type[Poll],
        words: str) -> None:
    _, host = sample.machine(tmp_path)
    backend = sample.backend(tmp_path, host, _Raises(tmp_path, error))
    end = wait(backend, backend.start(sample.set_sriov(NIC)))
    assert isinstance(end, kind)
    said = (end.reason if isinstance(end, Unknown)
            else str(end))
    assert words in said
    # What it costs is what it would have told, of its devices alone.
    seen = backend.observe()
    assert seen.complete and seen.complete_of('nic')
    assert [(u.about, u.source) for u in seen.unread] == [(NIC, 'burner')]
    assert 'failed' in seen.unread[0].answer
    assert [d.id for d in seen.devices if d.is_unread('firmware:nic')] == [
        NIC]


class _Hangs(sample.Burner):
    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(folder)
        self.asked = 0
        self.go = threading.Event()

    def read(self, host: object, functions: object) -> ToolReading:
        self.asked += 1
        self.go.wait(60)
        return super().read(host, functions)  # type: ignore[arg-type]


def test_hanging_tool_does_not_delay_the_inventory(
        tmp_path: pathlib.Path) -> None:
    _, host = sample.machine(tmp_path)
    family = _Hangs(tmp_path)
    backend = LocalBackend(host, [family], patience=0.1,
                           folder=str(tmp_path / 'jobs'))
    seen = backend.observe()
    nic = seen.device(NIC)
    assert nic is not None and nic.is_unread('health', 'mode:sriov')
    assert ['no answer in' in u.answer for u in seen.unread] == [True]
    since = seen.unread[0].since
    again = backend.observe()
    assert since is not None and again.unread[0].since == since
    family.go.set()
    for thread in threading.enumerate():
        if thread.name.startswith('accel-look-burner'):
            thread.join(60)
    # The answer that came late is heard, and asked for once.
    seen = backend.observe()
    assert (seen.unread, family.asked) == ((), 1)


def test_update_by_another_process_is_waited_for(
        tmp_path: pathlib.Path) -> None:
    tree, host = sample.machine(tmp_path)
    backend = sample.backend(tmp_path, host, sample.Burner(tmp_path))
    tree.put('/proc/4711/cmdline',
             b'/usr/bin/mstflint\0-d\x0017:00.0\0-i\0fw.bin\0burn\0')
    (busy,) = backend.observe().busy
    assert (busy.kind, busy.ref, busy.ticket) == (
        'flash', 'process 4711', None)
    assert '0000:17:00.0' in busy.summary
    with pytest.raises(Rejected) as refused:
        backend.start(sample.set_sriov(NIC))
    assert refused.value.retry_after
    # Another card is not concerned.
    end = wait(backend, backend.start(sample.set_sriov(
        f'gpu@{sample.GPU}')))
    assert isinstance(end, Ended)


class _Images:
    def __init__(self, *answers: Ready | Fetching | Bad) -> None:
        self._answers = list(answers)

    def get(self, image: Image) -> Ready | Fetching | Bad:
        return (self._answers.pop(0) if len(self._answers) > 1
                else self._answers[0])


@pytest.mark.parametrize(('last', 'ok'), [(None, True), (
    Bad('its SHA-256 differs', '00', '11'), False)])
def test_an_image_that_is_named_is_fetched_first(
        tmp_path: pathlib.Path, last: Bad | None, ok: bool) -> None:
    backend = _backend(tmp_path)
    sample.tool(tmp_path, 'burner', 'echo done')
    spec = Image('image', 'https://images.example.org/x', '0' * 64,
                 {'psid': ('MT_0000000359',)})
    images = _Images(Fetching('on its way', 3),
                     last or sample.image(tmp_path))
    ticket = backend.begin(
        sample.burn(sample.NIC[0]), None, spec, images=images)
    end = wait(backend, ticket)
    assert isinstance(end, Ended)
    (result,) = end.results
    assert result.ok is ok
    if not ok:
        assert result.detail is not None
        assert 'SHA-256' in result.detail.summary


def test_update_without_an_image_is_rejected(
        tmp_path: pathlib.Path) -> None:
    with pytest.raises(Rejected, match='no source to fetch it from'):
        _backend(tmp_path).start(sample.burn(NIC))
