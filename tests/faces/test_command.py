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

"""The command ``ironic-accel`` against simulated machines."""

from __future__ import annotations

import collections
import os
import pathlib
import subprocess
import sys

import pytest

from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import NEW
from tests.faces.conftest import OLD
from tests.faces.conftest import Run

CAPTURES = (pathlib.Path(__file__).resolve().parents[3] / 'shared'
            / 'captures')
QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0',
         '--allow-disruption', '--yes')


def test_inventory_prints_a_document(boot: Boot, run: Run) -> None:
    said = run('inventory', '--bmc', boot('hgx-h100').url, '--json')
    assert said.code == 0
    assert said.document['schema'] == 'inventory/3'
    kinds = collections.Counter(
        d['kind'] for d in said.document['devices'])
    assert kinds == {'gpu': 8, 'baseboard': 1}
    assert {d['product'] for d in said.document['devices']
            if d['kind'] == 'gpu'} == {'nvidia-h100-sxm'}


def test_inventory_prints_a_table(boot: Boot, run: Run) -> None:
    said = run('inventory', '--bmc', boot('pcie-a100').url, '--firmware')
    assert said.code == 0
    assert 'amd-alveo-u55c' in said.out
    assert '32.38.1002' in said.out


def test_the_inventory_of_a_host_that_is_off_is_not_complete(
        boot: Boot, run: Run) -> None:
    machine = boot('hgx-h100', power='Off')
    said = run('inventory', '--bmc', machine.url, '--json')
    assert said.code == 0
    assert (said.document['host'], said.document['settled']) == (
        'off', False)
    assert said.err.startswith('the host is off: ')
    # Eight places of GPUs that do not respond are one line.
    assert said.err.count('HTTP 404') == 1


@pytest.mark.parametrize('capture, system, expected', [
    ('gb300-supermicro', 'System_0', {'gpu': 4, 'nic': 4, 'dpu': 1}),
    ('a100x4-cray-ex235n', 'Node0', {'gpu': 4}),
    ('a100x4-cray-ex235n', '/redfish/v1/Systems/Node1', {'gpu': 4}),
    ('dmtf-smartnic', None, {'fpga': 1}),
])
def test_captures_of_real_machines(
        boot: Boot, run: Run, capture: str, system: str | None,
        expected: dict[str, int]) -> None:
    path = CAPTURES / f'{capture}.tar.gz'
    if not path.is_file():
        pytest.skip(f'{path} is not there')
    more = ('--system', system) if system else ()
    said = run('inventory', '--bmc', boot(str(path)).url, '--json',
               '--warm-up', '0.1', *more)
    assert said.code == 0, said.err
    assert said.document['settled']
    assert all(said.document['complete'].values())
    kinds = collections.Counter(
        d['kind'] for d in said.document['devices'])
    assert expected.items() <= kinds.items()


def untold(boot: Boot) -> Machine:
    """A BMC that reports no boot progress and no time of the last reset."""
    machine = boot('pcie-a100', boot_mark=False)
    for host in machine.box.hosts.values():
        document = machine.box.documents.see(host.uri)
        assert document is not None
        document.pop('BootProgress', None)
    return machine


def test_a_second_inventory_is_taken_without_a_reset_time(
        boot: Boot, run: Run) -> None:
    machine = untold(boot)
    said = run('inventory', '--bmc', machine.url, '--json', '--once')
    assert (said.code, said.document['settled']) == (0, False)
    assert 'does not report the last host reset' in said.err
    assert not any(said.document['complete'].values())
    twice = run('inventory', '--bmc', machine.url, '--json', '--warm-up',
                '0.3')
    assert (twice.code, twice.document['settled']) == (0, True)
    assert 'taking a second inventory in 0.3 s' in twice.err
    plan = run('inventory', '--bmc', machine.url, '--json', '--warm-up', '0')
    assert plan.document['settled']


@pytest.mark.parametrize('uri', [
    '/redfish/v1/Systems/1', '/redfish/v1/Systems/1/Processors',
    '/redfish/v1/Chassis/1/NetworkAdapters/NIC5',
    '/redfish/v1/TaskService/Tasks/7', '/redfish/v1/UpdateService',
    '/redfish/v1/UpdateService/FirmwareInventory/GPU1',
    '/redfish/v1/JobService/Jobs', 'https://192.0.2.1/redfish/v1/X',
    '/redfish/v1/Managers/1/Oem/Dell/Jobs/JID_1'])
def test_required_resources_cannot_be_allowed_as_unreadable(
        run: Run, uri: str) -> None:
    said = run('inventory', '--bmc', 'http://127.0.0.1:1',
               '--allow-unreadable', uri)
    assert said.code == 2
    assert uri in said.err


def test_a_plan_with_changes_exits_with_0(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    said = run('plan', '--bmc', machine.url, '--profile', profile(),
               '--allow-disruption', '--json')
    assert said.code == 0, said.err
    assert said.document['schema'] == 'plan/2'
    assert not said.document['converged']
    assert [s['reset'] for s in said.document['stages']] == ['aux-cycle']
    assert machine.box.ledger.count('POST', 'PATCH') == 0


def test_a_refused_plan(boot: Boot, run: Run, profile: MakeProfile) -> None:
    said = run('plan', '--bmc', boot('hgx-h100').url, '--profile',
               profile(OLD), '--allow-disruption', '--json')
    assert said.code == 3
    refused = said.document['refused']
    assert len(refused) == 8
    assert 'downgrade' in refused[0]['reason']
    assert (refused[0]['expected'], refused[0]['seen']) == (
        OLD, '96.00.68.00.01')


def test_max_activation_limits_the_resets(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    said = run('plan', '--bmc', boot('hgx-h100').url, '--profile',
               profile(), '--json', '--allow-disruption',
               '--max-activation', 'warm-reboot')
    assert said.code == 3
    assert {r['name'] for r in said.document['refused']} == {'gpu'}


def test_a_host_that_is_off_cannot_be_planned(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    said = run('plan', '--bmc', boot('hgx-h100', power='Off').url,
               '--profile', profile(), '--json')
    assert (said.code, said.document['schema']) == (4, 'error/1')
    assert 'the host is off' in said.err


def test_apply_verifies_its_writes_and_does_not_repeat_them(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    words = ('apply', '--bmc', machine.url, '--profile', profile(),
             '--json', *QUICK)
    said = run(*words)
    assert said.code == 0, said.err
    document = said.document
    assert document['outcome'] == 'converged'
    assert len(document['proofs']) == 16
    # A mode is one write for each device; one more is the commit of what was
    # written and runs.
    planned = sum(len(a['items']) if a['verb'] == 'set' else 1
                  for s in document['stages'] for a in s['actions'])
    assert (document['writes'], document['resets']) == (planned + 1, 1)
    assert document['error'] is None
    assert [s['reset'] for s in document['stages']] == ['aux-cycle']
    assert {c.running for name, c in machine.box.components.items()
            if name.startswith('HGX_FW_GPU')} == {NEW}
    assert machine.resets() == ['ForceOff', 'AuxPowerCycle', 'On']
    assert machine.box.ledger.violations == []
    machine.box.ledger.clear()
    again = run(*words)
    assert again.code == 0
    assert (again.document['writes'], again.document['resets']) == (0, 0)
    assert again.document['converged']
    assert machine.box.ledger.count('POST', 'PATCH') == 0


def test_apply_powers_off_a_host_that_was_off(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100', power='Off')
    said = run('apply', '--bmc', machine.url, '--profile', profile(),
               *QUICK)
    assert said.code == 0, said.err
    assert '16 items verified' in said.out
    assert machine.resets() == [
        'On', 'ForceOff', 'AuxPowerCycle', 'On', 'ForceOff']


def test_a_dry_run_changes_nothing(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    said = run('apply', '--dry-run', '--bmc', machine.url, '--profile',
               profile(), '--allow-disruption')
    assert said.code == 0
    assert 'aux-cycle' in said.out
    assert machine.box.ledger.count('POST', 'PATCH') == 0


@pytest.mark.parametrize('image, reason', [
    ({'sha256': '0' * 64}, 'SHA-256'),
    ({'fits': {'board': 'HGX H200 8-GPU'}}, 'does not match'),
])
def test_an_unsuitable_image_is_refused(
        boot: Boot, run: Run, profile: MakeProfile,
        image: dict[str, object], reason: str) -> None:
    machine = boot('hgx-h100')
    said = run('apply', '--bmc', machine.url, '--profile',
               profile(**image), '--json', *QUICK)
    assert said.code == 3, said.err
    assert said.document['outcome'] == 'refused'
    assert reason in said.document['refused'][0]['reason']
    assert machine.box.ledger.count('POST', 'PATCH') == 0


def test_an_update_that_the_bmc_fails_exits_with_4(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    machine.box.faults.parse('fail-component=HGX_FW_GPU_SXM_3')
    said = run('apply', '--bmc', machine.url, '--profile', profile(),
               '--json', *QUICK)
    assert said.code == 4
    assert said.document['outcome'] == 'failed'
    assert 'gpu' in said.document['error']['component']


@pytest.mark.parametrize('words, field', [
    (('--bmc', 'ftp://host'), '--bmc'),
    (('--bmc', 'http://user:secret@host'), '--bmc'),
    (('--bmc', 'http://host:port'), '--bmc'),
    (('--bmc', 'http://127.0.0.1:1', '--user', 'u'), '--password-file'),
    (('--bmc', 'http://127.0.0.1:1', '--password-file', 'f'), '--user'),
    (('--bmc', 'https://127.0.0.1:1', '--ca', '/no/file'), '--ca'),
    ((), '--bmc'),
])
def test_invalid_options_are_named(
        run: Run, words: tuple[str, ...], field: str) -> None:
    said = run('inventory', *words)
    assert (said.code, said.out) == (2, '')
    assert field in said.err
    assert 'secret' not in said.err


def test_a_bmc_that_does_not_respond_exits_with_4(run: Run) -> None:
    said = run('inventory', '--bmc', 'http://127.0.0.1:1', '--json')
    assert said.code == 4
    assert said.document['error']['class'] == 'transient'
    assert '127.0.0.1:1' in said.err


def test_an_unknown_system_is_named(boot: Boot, run: Run) -> None:
    said = run('inventory', '--bmc', boot('two-nodes').url, '--system',
               'Node7')
    assert (said.code, said.out) == (2, '')
    assert 'Node7' in said.err
    assert 'Node0' in said.err


def test_a_password_is_used_and_never_printed(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    url = boot('plain', user='root', password='s3cret').url
    good, bad = tmp_path / 'good', tmp_path / 'bad'
    good.write_text('s3cret\n')
    bad.write_text('s3cret-not\n')
    said = run('inventory', '--bmc', url, '--user', 'root',
               '--password-file', good)
    assert said.code == 0, said.err
    for words in ((), ('--user', 'root', '--password-file', bad)):
        said = run('inventory', '--bmc', url, *words)
        assert said.code == 4
        assert 's3cret' not in said.out + said.err


def test_certificates_are_verified(boot: Boot, run: Run) -> None:
    url = boot('plain', tls=True).url
    said = run('inventory', '--bmc', url)
    assert said.code == 4
    assert 'self-signed and not trusted' in said.err
    assert 'next: set --ca FILE, or --insecure' in said.err
    assert run('inventory', '--bmc', url, '--insecure').code == 0


@pytest.mark.parametrize('words', [
    (), ('--user', 'root', '--password-file', 'wrong')])
def test_an_apply_that_is_not_let_in_ends_at_once(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path,
        words: tuple[str, ...]) -> None:
    machine = boot('hgx-h100', user='root', password='s3cret')
    wrong = tmp_path / 'wrong'
    wrong.write_text('no')
    said = run('apply', '--bmc', machine.url, '--profile', profile(), *QUICK,
               *(str(wrong) if w == 'wrong' else w for w in words))
    assert said.code == 4
    assert 'next: set --user and --password-file' in said.err
    assert len(machine.box.ledger.requests) < 8


def test_an_error_of_a_profile_names_the_path(
        run: Run, tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'bad.yaml'
    file.write_text('profile: 1\nname: x\ndevices:\n  gpus:\n'
                    '    match: {kind: gpu}\n    modes: {ecc: true}\n')
    for words in (('validate', file),
                  ('plan', '--bmc', 'http://127.0.0.1:1', '--profile',
                   file)):
        said = run(*words)
        assert (said.code, said.out) == (2, '')
        assert 'devices.gpus.modes.ecc' in said.err


def test_validate_prints_what_other_spellings_are_read_as(
        run: Run, tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'site.yaml'
    file.write_text('profile: 2\nname: x\ndevices:\n  gpus:\n'
                    '    match: {kind: gpu, arch: Hopper}\n'
                    '    modes: {MIG: on, ecc: true}\n')
    told = ["line 5: devices.gpus.match.arch: 'Hopper' is read as 'hopper'",
            "line 6: devices.gpus.modes.MIG: 'MIG' is read as 'mig'",
            "line 6: devices.gpus.modes.MIG: 'on' is read as 'enabled'",
            "line 6: devices.gpus.modes.ecc: true is read as 'enabled'"]
    said = run('validate', file)
    assert (said.code, said.err) == (0, '')
    first, *notes = said.out.splitlines()
    assert first.startswith(f'{file}: profile x is valid')
    assert notes == [f'  {note}' for note in told]
    [row] = run('validate', '--json', file).document['profiles']
    assert row['notes'] == told
    file.write_text(file.read_text().replace('profile: 2', 'profile: 3'))
    said = run('validate', file)
    assert (said.code, said.out) == (2, '')
    assert 'line 1: profile: 3, expected 1 or 2' in said.err


def test_a_file_of_several_profiles_needs_a_name(
        run: Run, tmp_path: pathlib.Path) -> None:
    one = ('profile: 1\nname: {}\ndevices:\n  g:\n'
           '    match: {{kind: gpu}}\n    modes: {{ecc: enabled}}\n')
    file = tmp_path / 'two.yaml'
    file.write_text(one.format('first') + '---\n' + one.format('second'))
    words = ('plan', '--bmc', 'http://127.0.0.1:1', '--profile', file)
    said = run(*words)
    assert said.code == 2
    assert 'first, second' in said.err
    assert run(*words, '--name', 'third').code == 2
    assert run(*words, '--name', 'second').code == 4  # nobody answers
    assert run('validate', file).out.count('is valid') == 2
    document = run('validate', '--json', file).document
    assert [p['name'] for p in document['profiles']] == ['first', 'second']


def test_help_imports_no_heavy_module() -> None:
    """It imports nothing that takes time, or that an extra brings."""
    code = ('import sys\nfrom ironic_accel.faces.cli.main import main\n'
            'assert main(["--help"]) == 0\n'
            'print(*(m.partition(".")[0] for m in sys.modules), '
            'file=sys.stderr)')
    result = subprocess.run([sys.executable, '-c', code], text=True,
                            capture_output=True, check=True)
    assert 'inventory' in result.stdout
    assert set(result.stderr.split()).isdisjoint(
        {'ironic', 'jsonschema', 'requests', 'rich', 'sushy', 'yaml'})


def test_an_inventory_imports_nothing_that_reads_profiles() -> None:
    code = ('import sys\nfrom ironic_accel.faces.cli.main import main\n'
            'assert main(["inventory", "--bmc", "http://127.0.0.1:1"]) == 4\n'
            'print(*sys.modules, file=sys.stderr)')
    result = subprocess.run(
        [sys.executable, '-c', code], text=True, capture_output=True,
        check=True, env={**os.environ, 'IRONIC_ACCEL_USER': 'root',
                         'IRONIC_ACCEL_PASSWORD': 'secret'})
    assert 'ironic_accel.redfish.backend' in result.stderr.split()
    assert {m.partition('.')[0] for m in result.stderr.split()}.isdisjoint(
        {'ironic', 'jsonschema', 'rich'})


@pytest.mark.parametrize('words, code', [
    ((), 2), (('nonsense',), 2), (('plan', '--help'), 0)])
def test_wrong_usage_exits_with_2(
        run: Run, words: tuple[str, ...], code: int) -> None:
    assert run(*words).code == code
