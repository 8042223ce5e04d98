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

"""The operator's commands against the real services, and their transcript.

The documentation shows what the commands print here: the test compares the
two, and writes the file with ``ACCEL_WRITE_TRANSCRIPT=1``. The nodes have
Ironic's own boot and deploy interfaces.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

from ironicclient.common import filecache
import pytest

from ironic_accel_emulator import images
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine
from tests.functional import transcript
from tests.functional.transcript import Shell

#: What a node without us has.
PLAIN = {'driver': 'redfish', 'power_interface': 'redfish',
         'vendor_interface': 'redfish',
         'boot_interface': 'redfish-virtual-media',
         'deploy_interface': 'direct', 'inspect_interface': 'no-inspect'}
OURS = ('driver', 'power_interface', 'vendor_interface')


@pytest.fixture(autouse=True)
def own_home(tmp_path: pathlib.Path,
             monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of this machine's user, no versions remembered."""
    monkeypatch.setattr(filecache, 'CACHE', None)
    monkeypatch.setattr(filecache, 'CACHE_FILENAME',
                        str(tmp_path / 'version.dbm'))
    monkeypatch.setattr(filecache, 'CACHE_DIR', str(tmp_path))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plain(ironic: ironic_api.IronicApi, machine: MakeMachine,
          ) -> Iterator[list[Machine]]:
    """Two systems with a hardware type of Ironic.

    The second one has an adopted instance: Ironic did not deploy it, and
    boots no ramdisk for it.
    """
    made = [machine('--system', 'hgx-h100', '--power', 'on', '--time-scale',
                    str(stage.SCALE), system=stage.SYSTEM, name='gpu-1',
                    **{**PLAIN, 'deploy_interface': 'ramdisk'}),
            machine('--system', 'pcie-a100', '--power', 'on', '--time-scale',
                    str(stage.SCALE), name='gpu-2', **PLAIN)]
    for one in made:
        ironic.manage(one.uuid)
    ironic.patch_node(made[1].uuid, instance_info={
        'image_source': 'http://127.0.0.1:9/image', 'image_checksum':
        '0' * 32, 'capabilities': {'boot_option': 'local'}})
    ironic.set_provision(made[1].uuid, 'adopt')
    ironic.wait_state(made[1].uuid, 'active')
    ironic.patch_node(
        made[1].uuid,
        instance_uuid='11111111-2222-4333-8444-555555555555')
    yield made


def unmanaged_state(ironic: ironic_api.IronicApi,
                    one: Machine) -> dict[str, Any]:
    """Everything that disable has to restore."""
    node = ironic.node(one.uuid)
    return {
        'node': {k: node[k] for k in (*PLAIN, 'extra', 'instance_uuid',
                                      'instance_info', 'maintenance',
                                      'provision_state', 'power_state',
                                      'resource_class')},
        'ours': [k for k in node['driver_internal_info']
                 if k.startswith('accel_')],
        'traits': ironic.traits(one.uuid),
        'firmware': ironic.firmware(one.uuid)}


def test_an_operator_s_day(
        lab: Lab, ironic: ironic_api.IronicApi, plain: list[Machine],
        tmp_path: pathlib.Path) -> None:
    shell = Shell(lab)
    one, two = plain
    before = [unmanaged_state(ironic, m) for m in plain]
    ironic.add_trait(two.uuid, 'CUSTOM_RACK_7')
    profile = tmp_path / 'profiles' / 'ecc-off.yaml'
    profile.parent.mkdir()
    profile.write_text(ECC_OFF)
    site = {'ecc-off': ECC_OFF, 'a100-ecc-off': A100_ECC_OFF,
            'h100-vbios': _vbios(lab)}
    for name, text in site.items():
        (lab.profiles / f'{name}.yaml').write_text(text)
    try:
        _in(shell, ironic, plain)
        _look(shell, two)
        _change(shell, ironic, one)
        _refuse(shell, one, two)
        _fail(shell, ironic, one)
        _out(shell, ironic, plain)
    finally:
        for name in site:
            (lab.profiles / f'{name}.yaml').unlink()
    ironic.delete(f'/v1/nodes/{two.uuid}/traits/CUSTOM_RACK_7')
    assert [unmanaged_state(ironic, m) for m in plain] == before
    transcript.hold('\n'.join(shell.lines))


def _in(shell: Shell, ironic: ironic_api.IronicApi,
        plain: list[Machine]) -> None:
    told = shell.refused('baremetal accelerator list gpu-2', 'gpu-2',
                         plain[1], status=1)
    assert 'accelerator enable gpu-2' in told.err
    for machine in plain:
        stage.forget(machine)
    told = shell.run('baremetal accelerator enable gpu-1 gpu-2 --dry-run '
                     '-c Node -c State -c Outcome')
    assert ironic.node(plain[0].uuid)['driver'] == 'redfish'
    told = shell.run('baremetal accelerator enable gpu-1 gpu-2 -c Node '
                     '-c State -c Changed -c Outcome -c Devices')
    assert told.status == 0, told
    for machine in plain:
        node = ironic.node(machine.uuid)
        assert [node[k] for k in OURS] == [
            'accel-redfish', 'accel-redfish', 'accelerator']
        assert not node['maintenance']
        # The first inventory is read-only.
        told_box = stage.ledger(machine)
        assert (told_box['writes'], told_box['resets']) == ([], [])
    assert ironic.node(plain[1].uuid)['provision_state'] == 'active'


def _look(shell: Shell, two: Machine) -> None:
    told = shell.start('baremetal accelerator list gpu-1 -c Device '
                       '-c Product -c Location -c Health -c Modes')
    assert (told.status, told.out.count('nvidia-h100-sxm')) == (0, 8), told
    told = shell.start('openstack baremetal accelerator list gpu-2 '
                       '-c Device -c Kind -c Product -c Firmware')
    assert (told.status, 'nvidia-a100-pcie' in told.out) == (0, True), told
    device = told.out.splitlines()[3].split('|')[1].strip()
    told = shell.run(f'baremetal accelerator show gpu-2 {device} '
                     '-c product -c serial -c pci -c modes')
    assert told.status == 0, told
    told = shell.run('baremetal accelerator traits gpu-2')
    assert 'CUSTOM_RACK_7' not in told.out
    assert 'CUSTOM_ACCEL_GPU_X4' in told.out
    # A card fails: refresh reports it, and the traits follow.
    card = next(k for k, v in _devices(two).items() if v['kind'] == 'gpu')
    two.twin.control.post('/device', {'device': card, 'present': False})
    told = shell.run('baremetal accelerator refresh gpu-2 -c Node -c Outcome '
                     '-c Drift -c "Traits added" -c "Traits removed"')
    assert (told.status, 'vanished' in told.out) == (0, True), told
    assert 'CUSTOM_ACCEL_GPU_X3' in told.out
    two.twin.control.post('/device', {'device': card, 'present': True})


def _devices(machine: Machine) -> dict[str, Any]:
    state = machine.twin.state()
    assert isinstance(state, dict)
    return dict(state['devices'])


def _change(shell: Shell, ironic: ironic_api.IronicApi,
            one: Machine) -> None:
    told = shell.run('baremetal accelerator profile validate '
                     'profiles/ecc-off.yaml -c Profile -c Offered -c Traits')
    assert told.status == 0, told
    told = shell.run('baremetal accelerator plan gpu-1 --profile ecc-off')
    assert (told.status, 'warm-reboot' in told.out) == (0, True), told
    told = shell.run('baremetal accelerator apply gpu-1 --profile ecc-off '
                     '--wait --max-in-flight 1 -c Node -c Operation '
                     '-c Outcome -c Writes -c Resets -c Verified')
    assert (told.status, 'converged' in told.out) == (0, True), told
    assert re.search(r'gpu-1: .*clean wait: warm-reboot', told.err), told.err
    assert 'CUSTOM_ACCEL_IS_ECC_OFF' in ironic.traits(one.uuid)
    told = shell.run('baremetal accelerator plan gpu-1 --profile ecc-off '
                     '--refresh -c Action -c Devices -c Item -c Target')
    assert 'nothing to do' in told.err
    told = shell.run('baremetal accelerator history gpu-1 --last 3 -c Event')
    assert 'apply_profile ecc-off: converged' in told.out
    told = shell.run('baremetal accelerator report gpu-1 gpu-2')
    assert 'ecc-off: compliant' in told.out
    assert ironic.node(one.uuid)['provision_state'] == 'manageable'


def _refuse(shell: Shell, one: Machine, two: Machine) -> None:
    """What cannot be done is refused before anything begins."""
    apply = 'baremetal accelerator apply'
    columns = '-c Node -c Outcome -c Note'
    told = shell.refused(f'{apply} gpu-2 --profile ecc-off {columns}',
                         'gpu-2', two, status=3)
    assert 'refused' in told.out
    # One of four cards is missing there, and an instance runs.
    told = shell.refused(f'{apply} gpu-2 --profile a100-ecc-off {columns}',
                         'gpu-2', two, status=3)
    assert 'refused' in told.out
    told = shell.refused(f'{apply} gpu-1 --profile h100-vbios '
                         f'--max-activation warm-reboot {columns}',
                         'gpu-1', one, status=3)
    assert 'aux-cycle' in told.out
    told = shell.refused(f'{apply} gpu-1 --profile no-such', 'gpu-1', one,
                         status=1)
    assert 'ecc-off' in told.err
    told = shell.run('baremetal accelerator hold gpu-1 --reason "rack 7 is '
                     'moved"')
    assert told.status == 0, told
    told = shell.refused(f'{apply} gpu-1 --profile h100-vbios {columns}',
                         'gpu-1', one, status=3)
    assert 'rack 7 is moved' in told.out + told.err
    told = shell.run('baremetal accelerator unhold gpu-1 --reason "rack 7 is '
                     'back"')
    assert told.status == 0, told


def _fail(shell: Shell, ironic: ironic_api.IronicApi, one: Machine) -> None:
    """A firmware update of one of eight fails; it is done again."""
    apply = ('baremetal accelerator apply gpu-1 --profile h100-vbios --wait '
             '--max-in-flight 1 -c Node -c Outcome -c Writes -c Resets '
             '-c Verified')
    stage.fault(one, 'fail-component', match='GPU_SXM_5')
    told = shell.run(apply)
    assert (told.status, 'failed' in told.out) == (4, True), told
    assert ironic.node(one.uuid)['provision_state'] == 'clean failed'
    assert 'CUSTOM_ACCEL_IS_H100_VBIOS' not in ironic.traits(one.uuid)
    told = shell.run('baremetal accelerator history gpu-1 --failed -c Outcome '
                     '-c Event')
    assert (told.status, 'h100-vbios' in told.out) == (0, True), told
    stage.lift(one)
    for line in ('baremetal node maintenance unset gpu-1',
                 'baremetal node manage gpu-1 --wait 60'):
        assert shell.run(line).status == 0
    told = shell.run(apply)
    assert (told.status, 'converged' in told.out) == (0, True), told
    assert 'CUSTOM_ACCEL_IS_H100_VBIOS' in ironic.traits(one.uuid)
    assert stage.running(one) == {stage.NEW['gpu']}
    assert stage.ledger(one)['violations'] == []


def _vbios(lab: Lab) -> str:
    """A site profile with firmware for all GPUs of the HGX box."""
    path = lab.folder / 'images' / 'h100-vbios.fwpkg'
    digest = images.pldm_bundle(path, {'gpu': stage.NEW['gpu']}, size=1 << 20)
    return json.dumps({
        'profile': 1, 'name': 'h100-vbios', 'offered': True,
        'images': {'fw': {'url': f'{lab.images.url}/{path.name}',
                          'sha256': digest,
                          'fits': {'board': 'HGX H100 8-GPU'}}},
        'devices': {'gpus': {
            'match': stage.GPUS, 'count': 8, 'firmware': {
                'gpu': {'version': stage.NEW['gpu'], 'image': 'fw'}}}}})


def _out(shell: Shell, ironic: ironic_api.IronicApi,
         plain: list[Machine]) -> None:
    two = plain[1]
    for machine in plain:
        stage.forget(machine)
    told = shell.run('baremetal accelerator disable gpu-1 gpu-2 -c Node '
                     '-c Outcome -c Driver -c "Firmware components"')
    assert told.status == 0, told
    assert ironic.traits(two.uuid) == {'CUSTOM_RACK_7'}
    for machine in plain:
        told_box = stage.ledger(machine)
        assert (told_box['writes'], told_box['resets']) == ([], [])
    told = shell.run('baremetal accelerator traits gpu-2')
    assert told.status == 1


def test_a_template_and_a_runbook_are_created_once(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine) -> None:
    shell = Shell(lab)
    one = machine('--system', 'pcie-a100', '--power', 'on', '--time-scale',
                  str(stage.SCALE), name='gpu-3')
    file = lab.profiles / 'ecc-off.yaml'
    file.write_text(ECC_OFF)
    made = ('template', '/v1/deploy_templates', 'CUSTOM_ACCEL_CAN_ECC_OFF'), (
        'runbook', '/v1/runbooks', 'CUSTOM_ACCEL_CAN_ECC_OFF')
    try:
        told = shell.run('baremetal accelerator profile list -f json')
        assert 'ecc-off' in [row['Profile'] for row in told.data], told
        for verb, path, name in made:
            line = f'baremetal accelerator {verb} create ecc-off -f json'
            told = shell.run(f'{line} --dry-run')
            assert (told.status, told.data['outcome']) == (
                0, 'would be created'), told
            assert name not in [o['name'] for o in ironic.get(path)[
                path.rpartition('/')[2]]]
            told = shell.run(line)
            assert (told.status, told.data['outcome']) == (0, 'created'), told
            first = ironic.get(f'{path}/{name}')
            assert first['uuid'] == told.data['uuid']
            assert [s['args'] for s in first['steps']] == [
                {'profile': 'ecc-off'}]
            told = shell.run(f'{line} --replace')
            assert (told.status, told.data['outcome']) == (
                0, 'unchanged'), told
            assert ironic.get(f'{path}/{name}') == first
            told = shell.run(f'{line} --via agent')
            assert (told.status, told.data['outcome']) == (3, 'differs'), told
            assert ironic.get(f'{path}/{name}') == first
            told = shell.run(f'{line} --via agent --replace')
            assert (told.status, told.data['outcome']) == (0, 'replaced'), told
            assert [s['step'] for s in ironic.get(f'{path}/{name}')[
                'steps']] == ['apply_profile_in_band']
        assert ironic.get(f'{path}/{name}/traits') == {
            'traits': ['CUSTOM_ACCEL_CAN_ECC_OFF']}
        assert ironic.node(one.uuid)['provision_state'] == 'enroll'
    finally:
        file.unlink()
        for _, path, name in made:
            ironic.delete(f'{path}/{name}')


def test_the_reasons_agree_with_what_the_conductor_published(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine) -> None:
    shell = Shell(lab)
    one = machine('--box', 'pcie-a100', '--power', 'on', '--time-scale',
                  str(stage.SCALE), name='gpu-4')
    ironic.manage(one.uuid)
    other = ironic.create_node(name='plain-4', **PLAIN)
    file = lab.profiles / 'a100-ecc-off.yaml'
    file.write_text(A100_ECC_OFF.replace('count: 3', 'count: 4'))

    def why(trait: str) -> dict[str, Any]:
        told = shell.run('baremetal accelerator traits gpu-4 --why '
                         f'{trait} -f json')
        assert told.status == 0, told
        [doc] = told.data
        assert doc['schema'] == 'trait-why/1'
        return dict(doc)
    try:
        told = shell.run('baremetal accelerator refresh gpu-4 -f json')
        assert told.status == 0, told
        published = ironic.traits(one.uuid)
        assert 'CUSTOM_ACCEL_GPU_X4' in published
        for trait in published:
            doc = why(trait)
            assert doc['status'] == 'published', doc
            assert {r['reason'] for r in doc['reasons']} == {'present'}, doc
        [count] = why('CUSTOM_ACCEL_GPU_X8')['reasons']
        assert (count['reason'], count['expected'], count['seen']) == (
            'count', 8, 4)
        [differs] = why('CUSTOM_ACCEL_IS_A100_ECC_OFF')['reasons']
        assert (differs['reason'], differs['item'], differs['group'],
                len(differs['devices'])) == ('differs', 'ecc', 'gpus', 4)
        card = next(k for k, v in _devices(one).items()
                    if v['kind'] == 'gpu')
        one.twin.control.post('/device', {'device': card, 'present': False})
        told = shell.run('baremetal accelerator refresh gpu-4 -f json')
        assert 'CUSTOM_ACCEL_GPU_X4' not in ironic.traits(one.uuid)
        assert {r['reason'] for r in why('CUSTOM_ACCEL_GPU_X4')['reasons']
                } == {'count'}
        told = shell.run('baremetal accelerator list --all -f csv')
        assert told.status == 0, told
        assert '"gpu-4"' in told.out and 'plain-4' not in told.out
    finally:
        file.unlink()
        ironic.delete_node(other['uuid'])


def test_a_conductor_may_be_upgraded(
        lab: Lab, ironic: ironic_api.IronicApi) -> None:
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name('ironic-accel-status'),
         '--config-file', lab.ironic.config, 'upgrade', 'check', '--json'],
        timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert {c['check']: c['result'] for c in told['checks']} == {
        name: 0 for name in (
            'Release of Ironic', 'Enabled interfaces', 'Site profiles',
            'Records of the nodes', 'Permissions of the site profiles',
            'No update in progress', 'Sessions with BMCs',
            'Redfish vendor plug-ins', 'Conductors', 'Disallowed steps',
            'Policies of single steps', 'Storage of inventories')}


ECC_OFF = """\
profile: 1
name: ecc-off
offered: true
devices:
  gpus:
    match: {kind: gpu, product: nvidia-h100-sxm}
    count: 8
    modes: {ecc: disabled}
"""

A100_ECC_OFF = """\
profile: 1
name: a100-ecc-off
devices:
  gpus:
    match: {kind: gpu, product: nvidia-a100-pcie-80gb}
    count: 3
    modes: {ecc: disabled}
"""
