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


"""The agent's plug-in, over its real base classes and no agent process.

Run by ``test_core_agent`` in a process of its own: the agent and Ironic each
take oslo.config's one global CONF for themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from typing import Any
from unittest import mock

from ironic_python_agent import config
from ironic_python_agent import encoding
from ironic_python_agent import errors
from ironic_python_agent import hardware
import pytest

from ipa_hardware_manager import backend
from ipa_hardware_manager import collector
from ipa_hardware_manager import conf
from ipa_hardware_manager import extension
from ipa_hardware_manager import manager
from ironic_accel.converge import agent_answers
from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Unknown
from ironic_accel.inband.inventory import detect
from ironic_accel.inband.inventory import device_builder
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools import loader
from ironic_accel.model import catalog
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Rejected
from ironic_accel.model.profile import Image
from ironic_accel.model import serialization
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree
from tests.unit.inband import sample

NIC = 'nic-MT2049X00001'

# Importing it registers the options that the other modules read.
assert config.CONF is conf.CONF


@pytest.fixture(name='tree')
def agent_tree(tmp_path: pathlib.Path) -> Iterator[Tree]:
    """The sample host, and an agent configured to be on it."""
    tree, host = sample.machine(tmp_path)
    conf.register()
    for name, value in (
            ('root', host.root), ('tool_path', host.path),
            ('run_dir', str(tmp_path / 'run')),
            ('image_cache_dir', str(tmp_path / 'cache')),
            ('image_dirs', [str(tmp_path)])):
        conf.CONF.set_override(name, value, group='accelerator')
    backend.get.cache_clear()
    backend._store.cache_clear()
    with mock.patch.object(
            loader, 'load', autospec=True,
            return_value=loader.accepted([sample.Burner(tmp_path)])):
        yield tree
    for name in ('root', 'tool_path', 'run_dir', 'image_cache_dir',
                 'image_dirs'):
        conf.CONF.clear_override(name, group='accelerator')


def run(command: str, **args: Any) -> Any:
    """A command's result as the conductor gets it."""
    result = extension.AccelExtension().execute(command, **args)
    text = encoding.RESTJSONEncoder().encode(result)
    raw = json.loads(text)
    assert raw['command_status'] == 'SUCCEEDED'
    return raw['command_result']


def _ended(ticket: dict[str, Any]) -> Any:
    for thread in threading.enumerate():
        if thread.name.endswith(str(ticket['job'])[:8]):
            thread.join(60)
    return agent_answers.poll(
        run('accel_poll', ticket=ticket)['poll'])


def test_hardware_manager_is_offered_with_an_accelerator_only(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    plug = manager.AccelHardwareManager()
    support = hardware.HardwareSupport
    assert plug.evaluate_hardware_support() == support.SERVICE_PROVIDER
    plain = Tree(tmp_path / 'plain')
    plain.add(Card('0000:00:1f.0', ('8086', '7a84', '1028', '0000')))
    conf.CONF.set_override('root', str(plain.root), group='accelerator')
    assert plug.evaluate_hardware_support() == support.NONE


@pytest.mark.parametrize('error', [
    ZeroDivisionError, OSError, AccelError('/sys/bus/pci cannot be read')])
def test_failure_of_the_probe_does_not_stop_the_agent(
        tree: Tree, error: Any) -> None:
    """Nor does it say that there is nothing: the step is offered."""
    with mock.patch.object(detect, 'has_accelerator', autospec=True,
                           side_effect=error):
        plug = manager.AccelHardwareManager()
        assert plug.evaluate_hardware_support() == (
            hardware.HardwareSupport.SERVICE_PROVIDER)


@pytest.mark.parametrize('kind', ['clean', 'deploy', 'service'])
def test_the_step_is_declared(kind: str) -> None:
    plug = manager.AccelHardwareManager()
    (step,) = getattr(plug, f'get_{kind}_steps')({}, [])
    assert (step['step'], step['interface'], step['priority']) == (
        'apply_profile_in_band', 'vendor', 0)
    assert (step['abortable'], step['reboot_requested']) == (False, False)
    # Those of activation_limit.ARGUMENTS; a conductor of an earlier version
    # passes on requests with the deprecated name.
    assert set(step['argsinfo']) == {
        'profile', 'max_activation', 'max_effect', 'allow_disruption'}
    assert step['argsinfo']['max_effect']['description'].startswith(
        'Deprecated, use max_activation')
    assert callable(getattr(plug, step['step']))
    assert plug.get_version() == {
        'name': 'AccelHardwareManager', 'version': '1'}


def test_the_step_itself_is_not_run_here() -> None:
    with pytest.raises(errors.CommandExecutionError,
                       match='vendor_interface'):
        manager.AccelHardwareManager().apply_profile_in_band({}, [])


def test_conductor_gets_devices_and_transports(tree: Tree) -> None:
    seen = run('accel_observe')
    inventory = serialization.inventory_from_dict(seen['inventory'])
    assert inventory.seen_via == ('agent',)
    assert inventory.device(NIC) is not None
    transport, = agent_answers.transports(
        seen['transports'], 'agent', inventory)
    assert transport.name == 'agent'
    assert transport.sets == {(NIC, 'sriov')}


def _request(
    known: agent_schema.Whose, burn: Image | None = None
) -> dict[str, Any]:
    action = (sample.burn('nic-theirs') if burn
              else sample.set_sriov('nic-theirs'))
    return agent_schema.Start(action, (known,), burn, False,
                      {'schemes': ['file', 'https']}).to_dict()


@pytest.mark.parametrize('known', [
    agent_schema.Whose('nic-theirs', 'nic', 'mt2049x00001', None),
    agent_schema.Whose('nic-theirs', 'nic', None, '0000:17:00.0'),
    agent_schema.Whose('nic-theirs', 'dpu', None, None, 'PCIe Slot 7'),
])
def test_device_is_found_by_serial_address_and_location(
        tree: Tree, known: agent_schema.Whose, tmp_path: pathlib.Path) -> None:
    answer = run('accel_start', request=_request(known))
    end = _ended(answer['ticket'])
    assert isinstance(end, Ended)
    assert [(r.ref, r.ok) for r in end.results] == [
        (('nic-theirs', 'sriov'), True)]
    assert (tmp_path / 'state-sriov').read_text() == 'enabled'


@pytest.mark.parametrize('known', [
    agent_schema.Whose('nic-theirs', 'nic', 'MT-other', '0000:17:00.0'),
    agent_schema.Whose('nic-theirs', 'gpu', None, '0000:17:00.0'),
    agent_schema.Whose('nic-theirs', 'nic'),
])
def test_another_device_is_not_matched(
        tree: Tree, known: agent_schema.Whose, tmp_path: pathlib.Path) -> None:
    answer = run('accel_start', request=_request(known))
    error = agent_answers.error(answer['error'])
    assert isinstance(error, Rejected)
    assert error.detail.device == 'nic-theirs'
    assert not (tmp_path / 'state-sriov').exists()


@pytest.mark.parametrize(('digest', 'ok'), [
    ('8b5a4ea6a0a2f4d2', False), (None, True)])
def test_the_image_is_fetched_here_and_its_digest_checked(
        tree: Tree, tmp_path: pathlib.Path, digest: str | None,
        ok: bool) -> None:
    sample.tool(tmp_path, 'burner', 'echo done')
    ready = sample.image(tmp_path)
    right = hashlib.sha256(b'firmware').hexdigest()
    spec = Image('image', f'file://{ready.path}',
                 right if digest is None else digest * 4, {'psid': ('X',)})
    answer = run('accel_start', request=_request(agent_schema.Whose(
        'nic-theirs', 'nic', 'MT2049X00001'), spec))
    end = _ended(answer['ticket'])
    assert isinstance(end, Ended)
    (result,) = end.results
    assert result.ok is ok
    if not ok:
        assert result.detail is not None
        assert 'SHA-256' in result.detail.summary


def test_a_lost_ticket_is_unknown(tree: Tree) -> None:
    poll = agent_answers.poll(
        run('accel_poll', ticket={'job': 'gone'})['poll'])
    assert isinstance(poll, Unknown)


def test_inspection_carries_the_inventory(tree: Tree) -> None:
    data: dict[str, Any] = {}
    collector.collect(data, mock.sentinel.failures)
    told = json.loads(json.dumps(data))['accelerators']
    inventory = serialization.inventory_from_dict(told['inventory'])
    assert inventory.device(NIC) is not None
    transport, = agent_answers.transports(
        told['transports'], 'agent', inventory)
    assert transport.name == 'agent'
    assert (NIC, 'sriov') in transport.sets


def test_inspection_says_that_there_is_none(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'bare' / 'sys' / 'bus').mkdir(parents=True)
    conf.CONF.set_override('root', str(tmp_path / 'bare'),
                           group='accelerator')
    data: dict[str, Any] = {}
    with mock.patch.object(backend, 'get', autospec=True) as get:
        collector.collect(data, mock.sentinel.failures)
    get.assert_not_called()
    inventory = serialization.inventory_from_dict(
        data['accelerators']['inventory'])
    assert inventory.devices == ()
    assert (inventory.complete, inventory.seen_via) == (True, ('agent',))
    assert data['accelerators']['transports'] == []


def test_inspection_without_an_answer_does_not_report_no_device(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    """A /sys that cannot be read is no machine without accelerators."""
    (tmp_path / 'bare').mkdir()
    conf.CONF.set_override('root', str(tmp_path / 'bare'),
                           group='accelerator')
    data: dict[str, Any] = {}
    collector.collect(data, mock.sentinel.failures)
    assert set(data) == {'accelerators_error'}
    assert '/sys/bus/pci/devices' in data['accelerators_error']


def test_inspection_continues_if_the_collector_fails(tree: Tree) -> None:
    data: dict[str, Any] = {}
    with mock.patch.object(pci_functions, 'bus', autospec=True,
                           side_effect=OSError('no sysfs')):
        collector.collect(data, mock.sentinel.failures)
    assert data == {'accelerators_error': 'OSError: no sysfs'}


def test_the_agents_start_loads_no_catalogue() -> None:
    code = ('import sys\n'
            'import ironic_python_agent.config\n'
            'import ipa_hardware_manager.extension\n'
            'import ipa_hardware_manager.manager as m\n'
            'm.AccelHardwareManager().evaluate_hardware_support()\n'
            'print(sorted(n for n in sys.modules if n.startswith(("ironic_acc'
            'el", "jsonschema"))))\n')
    ran = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True,
        check=True, timeout=120, env={**os.environ, 'PYTHONPATH': str(
            pathlib.Path(__file__).parents[3])})
    assert 'ironic_accel.inband.inventory.detect' in ran.stdout
    for heavy in ('model.catalog', 'inband.backend', 'images'):
        assert f"'ironic_accel.{heavy}'" not in ran.stdout
    assert "'jsonschema'" not in ran.stdout


SITE = '''
sources: {bench: tried on a card of rack 4}
products:
  - {name: acme-card, kind: nic, vendor: intel, pci: [8086:1521],
     components: [nic], modes: [vfs], source: [bench]}
'''


@pytest.fixture
def site(tree: Tree, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The file of a site's catalogue, and a machine with its product alone."""
    plain = Tree(tmp_path / 'plain')
    plain.add(Card('0000:01:00.0', ('8086', '1521', '8086', '0001')))
    conf.CONF.set_override('root', str(plain.root), group='accelerator')
    folder = tmp_path / 'catalogue'
    folder.mkdir()
    conf.CONF.set_override('catalogue_path', str(folder), group='accelerator')
    for cached in (backend.get, backend.site_rows):
        cached.cache_clear()
    (folder / 'site.yaml').write_text(SITE)
    yield folder / 'site.yaml'
    conf.CONF.clear_override('catalogue_path', group='accelerator')
    for cached in (backend.get, backend.site_rows):
        cached.cache_clear()


def test_a_product_of_the_site_is_found(site: pathlib.Path) -> None:
    plug = manager.AccelHardwareManager()
    assert plug.evaluate_hardware_support() == (
        hardware.HardwareSupport.SERVICE_PROVIDER)
    data: dict[str, Any] = {}
    collector.collect(data, None)
    found, = data['accelerators']['inventory']['devices']
    assert (found['product'], found['address']) == (
        'acme-card', '0000:01:00.0')
    # Families know it too, without a catalogue of their own.
    claimed, = (f for card in device_builder.cards(
        pci_functions.bus(backend.host()).functions,
        catalog.extended(backend.site_rows())) for f in card.functions)
    product = common.product_of(claimed)
    assert product is not None and product.name == 'acme-card'


def test_without_its_row_it_is_no_accelerator(site: pathlib.Path) -> None:
    site.unlink()
    assert manager.AccelHardwareManager().evaluate_hardware_support() == (
        hardware.HardwareSupport.NONE)


@pytest.mark.parametrize(('text', 'said'), [
    (SITE.replace('[bench]', '[bank]'), "'bank'"),
    ('products: [', 'site.yaml'), (None, 'No such file or directory')])
def test_rows_that_are_not_valid_are_an_error_of_the_inventory(
        site: pathlib.Path, text: str | None, said: str) -> None:
    if text is None:
        shutil.rmtree(site.parent)
    else:
        site.write_text(text)
    data: dict[str, Any] = {}
    collector.collect(data, None)
    assert 'accelerators' not in data
    assert said in data['accelerators_error']
    assert manager.AccelHardwareManager().evaluate_hardware_support() == (
        hardware.HardwareSupport.SERVICE_PROVIDER)


def test_the_directory_of_the_default_need_not_exist(
        site: pathlib.Path) -> None:
    shutil.rmtree(site.parent)
    with mock.patch.object(conf, 'CATALOGUE', str(site.parent)):
        assert backend.site_rows() == {}
