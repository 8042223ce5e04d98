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

"""``ironic-accel plan``: what it refuses, apply refuses, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator
import fcntl
import functools
import http.server
import os
import pathlib
import threading
from typing import Any

import pytest

from ironic_accel.faces.cli import bmc_lock
from ironic_accel.faces.cli import journal
from ironic_accel.faces.cli import step_times
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import Run

ALLOWED = '--allow-disruption'
QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0', '--yes')
MIG = ('profile: 1\nname: mig\ndevices:\n  gpus:\n'
       '    match: {kind: gpu}\n    count: 4\n    modes: {mig: enabled}\n')


def mode_profile(folder: pathlib.Path, text: str = MIG) -> pathlib.Path:
    """A profile in a file."""
    path = folder / 'mode.yaml'
    path.write_text(text)
    return path


def untouched(machine: Machine) -> bool:
    """Whether the BMC was only read."""
    ledger = machine.box.ledger
    return not (ledger.count('POST', 'PATCH') or ledger.pushes
                or ledger.resets)


def both(run: Run, machine: Machine, profile: pathlib.Path, *more: str
         ) -> tuple[Any, Any]:
    """Plan a profile, then apply it with the same options."""
    words = ('--bmc', machine.url, '--profile', profile, '--json', *more)
    planned = run('plan', *words)
    assert untouched(machine)
    return planned, run('apply', *words, *QUICK)


def test_a_reset_of_gpus_is_counted_as_it_is_sent(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('pcie-a100')
    planned, applied = both(run, machine, mode_profile(tmp_path), ALLOWED)
    assert planned.document['counts'] == {
        'writes': 8, 'device_resets': 4, 'resets': 0}
    assert {name: applied.document[name] for name in (
        'writes', 'device_resets', 'resets')} == planned.document['counts']
    ledger = machine.box.ledger
    assert (ledger.count('PATCH'), ledger.count('POST')) == (4, 4)
    assert machine.resets() == []


def test_a_host_that_is_on_is_not_reset_without_consent(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    planned, applied = both(run, machine, profile())
    assert (planned.code, applied.code) == (3, 3)
    assert untouched(machine)
    assert planned.document['refused'] == applied.document['refused']
    reasons = {r['reason'] for r in planned.document['refused']}
    assert reasons == {'it needs a reset and the host is on; to allow this, '
                       'use --allow-disruption'}
    assert 'with --allow-disruption: 1 stage, 10 writes, 1 host reset ' \
        '(aux-cycle)' in planned.err


@pytest.mark.parametrize('limit, code', [
    ('warm-reboot', 3), ('power-cycle', 3), ('aux-cycle', 0)])
def test_the_limit_of_the_reset_is_that_of_apply(
        boot: Boot, run: Run, profile: MakeProfile, limit: str, code: int
        ) -> None:
    machine = boot('hgx-h100')
    planned, applied = both(run, machine, profile(), ALLOWED,
                            '--max-activation', limit)
    assert (planned.code, applied.code) == (code, code)
    assert untouched(machine) is (code == 3)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@pytest.fixture
def served(tmp_path: pathlib.Path) -> Iterator[str]:
    """The URL of a web server with the folder of the test."""
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(
            _Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_address[1]}'
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize('image, reason', [
    ({'sha256': '0' * 64}, 'SHA-256 digest differs'),
    ({'url': '{web}/gone.fwpkg'}, 'returned HTTP 404'),
    ({'url': 'http://127.0.0.1:1/gone.fwpkg'}, 'cannot connect'),
    ({'url': 'file:///nowhere/gone.fwpkg'}, 'No such file'),
    ({'fits': {'board': 'HGX H200 8-GPU'}}, 'does not match'),
])
def test_an_image_that_apply_refuses_is_refused_in_the_plan(
        boot: Boot, run: Run, profile: MakeProfile, served: str,
        image: dict[str, Any], reason: str) -> None:
    machine = boot('hgx-h100')
    given = {k: v.format(web=served) if isinstance(v, str) else v
             for k, v in image.items()}
    planned, applied = both(run, machine, profile(**given), ALLOWED)
    assert (planned.code, applied.code) == (3, 3)
    assert reason in planned.document['refused'][0]['reason']
    assert planned.document['refused'] == applied.document['refused']
    assert untouched(machine)


def test_an_image_that_is_too_large_is_refused_in_the_plan(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    service = machine.box.documents.see('/redfish/v1/UpdateService')
    assert service is not None
    service['MaxImageSizeBytes'] = 100
    planned, applied = both(run, machine, profile(), ALLOWED)
    assert (planned.code, applied.code) == (3, 3)
    assert 'larger than the update service accepts' in (
        planned.document['refused'][0]['reason'])
    assert planned.document['refused'] == applied.document['refused']
    assert untouched(machine)


def test_the_exit_code_tells_changes_from_nothing_to_do(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('pcie-a100')
    words = ('plan', '--bmc', machine.url, '--profile',
             mode_profile(tmp_path), ALLOWED)
    assert run(*words).code == 0
    detailed = (*words, '--detailed-exitcode')
    assert run(*detailed).code == 1
    assert run(*detailed, '--max-activation', 'none').code == 3
    assert run('apply', *words[1:], *QUICK).code == 0
    again = run(*detailed)
    assert (again.code, '4 items compliant' in again.out) == (0, True)


def test_a_profile_that_does_not_apply_is_no_error(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('hgx-h100')
    path = mode_profile(tmp_path, (
        'profile: 1\nname: fpgas\ndevices:\n  g:\n    match: {kind: fpga}\n'
        '    count: {min: 0}\n    modes: {virtual-functions: 2}\n'))
    planned, applied = both(run, machine, path, '--detailed-exitcode')
    assert (planned.code, applied.code) == (0, 0)
    assert planned.document['applies'] is False
    assert planned.document['converged'] is False
    assert applied.document['outcome'] == 'does-not-apply'
    assert untouched(machine)
    said = run('plan', '--bmc', machine.url, '--profile', path)
    assert said.out == ('the profile does not apply: no group matches a '
                        'device; nothing to do\n')


def early(boot: Boot, tmp_path: pathlib.Path, what: str) -> tuple[
        tuple[object, ...], int]:
    """The words of a command that ends early, and its exit code."""
    good = mode_profile(tmp_path)
    bad = tmp_path / 'bad.yaml'
    bad.write_text(MIG.replace('count: 4', 'count: many'))
    wrong = tmp_path / 'wrong'
    wrong.write_text('no')
    wrong.chmod(0o600)
    url = 'http://127.0.0.1:1'
    at: dict[str, tuple[tuple[object, ...], int]] = {
        'profile': (('--bmc', url, '--profile', bad), 2),
        'file': (('--bmc', url, '--profile', tmp_path / 'none'), 2),
        'option': (('--bmc', url, '--profile', good,
                    '--max-activation', 'gentle'), 2),
        'missing': (('--profile', good), 2),
        'ca': (('--bmc', url, '--profile', good, '--ca', '/none'), 2),
        'away': (('--bmc', url, '--profile', good), 4)}
    if what in at:
        return at[what]
    if what == 'tls':
        return ('--bmc', boot('plain', tls=True).url, '--profile', good), 4
    if what == 'login':
        return ('--bmc', boot('plain', user='root', password='x').url,
                '--profile', good, '--user', 'root', '--password-file',
                wrong), 4
    if what == 'off':
        return ('--bmc', boot('pcie-a100', power='Off').url, '--profile',
                good), 4
    return ('--bmc', boot('plain').url, '--system', 'Node7', '--profile',
            good), 2


@pytest.mark.parametrize('what, field, value, expected', [
    ('profile', 'devices.gpus.count', "'many'", 'number'),
    ('file', None, None, None),
    ('option', '--max-activation', "'gentle'", 'warm-reboot'),
    ('missing', '--bmc --bmc-file', None, 'a value'),
    ('ca', '--ca', None, None),
    ('away', None, None, None), ('tls', None, None, None),
    ('login', None, None, None), ('off', None, None, None),
    ('system', '--system', None, None)])
def test_an_early_failure_is_a_document(
        boot: Boot, run: Run, tmp_path: pathlib.Path, what: str,
        field: str | None, value: str | None, expected: str | None) -> None:
    words, code = early(boot, tmp_path, what)
    said = run('plan', *words, '--json')
    assert said.code == code
    document = said.document
    assert list(document) == ['schema', 'command', 'exit_code', 'error']
    assert (document['schema'], document['command'],
            document['exit_code']) == ('error/1', 'plan', code)
    error = document['error']
    assert {'class', 'summary', 'field', 'value', 'expected', 'seen', 'next',
            'device', 'component', 'message_id', 'running'} <= set(error)
    assert error['class'] in ('transient', 'permanent', 'needs-operator')
    assert error['field'] == field
    assert error['value'] == value
    if expected:
        assert expected in error['expected']
    # People read the same on standard error.
    assert error['summary'][:30] in said.err
    if what != 'off':
        assert run('apply', *words, '--json', *QUICK).document[
            'error'] == error


def test_an_interruption_is_a_document(
        boot: Boot, run: Run, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    from ironic_accel.faces.cli import planning
    machine = boot('pcie-a100')

    def interrupted(*_args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(planning, 'make', interrupted)
    said = run('plan', '--bmc', machine.url, '--profile',
               mode_profile(tmp_path), '--json')
    assert said.code == 4
    assert said.document['error']['summary'] == 'interrupted'
    assert said.document['error']['next'] == 'run the same command again'


def test_the_plan_comes_before_the_first_write(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('pcie-a100')
    said = run('apply', '--bmc', machine.url, '--profile',
               mode_profile(tmp_path), ALLOWED, *QUICK)
    assert said.code == 0
    assert said.err.index('8 writes (4 device resets)') < said.err.index(
        'set mig on')
    assert '4: gpu-1324521000001 .. gpu-1324521000004' in said.err


@pytest.mark.parametrize('is_same_name', [True, False])
def test_the_lock_of_another_run_is_in_the_plan(
        boot: Boot, run: Run, tmp_path: pathlib.Path, is_same_name: bool
        ) -> None:
    machine = boot('pcie-a100')
    path = mode_profile(tmp_path)
    holds = bmc_lock.hold_url(machine.url) if is_same_name else (
        bmc_lock.hold_bmc(identity_of(machine)))
    with holds:
        planned, applied = both(run, machine, path, ALLOWED)
        text = run('plan', '--bmc', machine.url, '--profile', path, ALLOWED)
    assert (planned.code, applied.code, text.code) == (4, 4, 4)
    one, = planned.document['blocked']
    assert one['reason'] == applied.document['error']['summary']
    assert one['next'] == applied.document['error']['next']
    assert f': process {os.getpid()} on ' in one['reason']
    # The plan itself is there, for the time after that run.
    assert planned.document['counts']['writes'] == 8
    assert 'refused: another run of ironic-accel is using the BMC' in text.out
    assert untouched(machine)
    assert run('plan', '--bmc', machine.url, '--profile', path, ALLOWED
               ).code == 0


def test_a_plan_keeps_and_creates_no_lock(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('pcie-a100')
    assert run('plan', '--bmc', machine.url, '--profile',
               mode_profile(tmp_path), ALLOWED).code == 0
    assert not (tmp_path / 'state').exists()


def test_a_run_waits_while_a_plan_looks_at_the_lock() -> None:
    with bmc_lock.hold_url('http://bmc'):
        pass
    path, = pathlib.Path(journal.default_folder()).glob('bmc-*.lock')
    with path.open(encoding='utf-8') as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        timer = threading.Timer(0.2, fcntl.flock, (file, fcntl.LOCK_UN))
        timer.start()
        with bmc_lock.hold_url('http://bmc'):
            timer.join()


def test_a_bmc_that_another_run_restarts_is_in_use(
        run: Run, tmp_path: pathlib.Path) -> None:
    url = 'http://127.0.0.1:1'
    words = ('plan', '--bmc', url, '--profile', mode_profile(tmp_path),
             '--json')
    with bmc_lock.hold_url(url):
        said = run(*words)
    assert said.code == 4
    assert 'another run' in said.document['error']['summary']
    assert 'another run' not in run(*words).err


def identity_of(machine: Machine) -> BmcIdentity:
    """What identifies the BMC of a machine, whatever it is called."""
    service = machine.box.documents.see('/redfish/v1')
    assert service is not None
    uuid = service['UUID'].lower()
    return BmcIdentity('http://another-name', '/S', uuid, None, None, ())


def test_a_run_that_takes_longer_than_its_limit_is_foreseen(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine, path = boot('hgx-h100'), profile()
    words = ('--bmc', machine.url, '--profile', path, ALLOWED)
    assert run('apply', *words, *QUICK).code == 0
    for _ in range(5):
        step_times.save(dict.fromkeys(step_times.load(), 3000.0))
    again = boot('hgx-h100')
    words = ('--bmc', again.url, *words[2:])
    said = run('plan', *words)
    assert said.code == 0
    line = ('it takes about 3 h 20 min, as in earlier runs; limits.minutes '
            'ends the run after 2 h')
    assert line in said.out
    document = run('plan', *words, '--json').document
    assert document['duration'] == {
        'seconds': 12000.0, 'steps': 4, 'unknown': 0, 'is_limit': False,
        'limit': 7200, 'exceeds_limit': True}
    # Before the first write, too.
    applied = run('apply', *words, *QUICK)
    assert applied.err.index(line) < applied.err.index('step 1/4')
