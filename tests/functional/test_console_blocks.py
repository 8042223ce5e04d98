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

"""The console blocks of the pages that need a cloud, against real services."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import pathlib
from typing import Any

import pytest

from tests import console_page
from tests import consoles
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine

#: Run by test_install_page.py, on an Ironic of its own.
INSTALL = consoles.SOURCE / 'install/index.rst'
PAGES = [page for page in consoles.PAGES
         if page != INSTALL and console_page.needs_cloud(page)]
#: A node without us, as ``enable`` finds it.
PLAIN = {'driver': 'redfish', 'power_interface': 'redfish',
         'vendor_interface': 'redfish', 'inspect_interface': 'no-inspect'}
HGX = ('--system', 'hgx-h100', '--power', 'on', '--time-scale',
       str(stage.SCALE))


@dataclasses.dataclass(frozen=True)
class Set:
    """What a page may use: its nodes, and a folder for its shell."""

    lab: Lab
    ironic: ironic_api.IronicApi
    make: MakeMachine
    folder: pathlib.Path

    def node(self, name: str, **fields: Any) -> Machine:
        """A manageable node with eight GPUs."""
        made = self.make(*HGX, system=stage.SYSTEM, name=name, **fields)
        self.ironic.manage(made.uuid)
        return made

    def looked_at(self, name: str, **fields: Any) -> Machine:
        """The same with an inventory."""
        made = self.node(name, **fields)
        stage.refresh(made)
        return made


def _plain(use: Set) -> None:
    for name in ('NODE', 'another-node'):
        use.node(name, **PLAIN)


def _clean_failed(use: Set) -> None:
    """A card was missing when its node was cleaned, and is back."""
    made = use.looked_at('NODE')
    card = next(name for name, device in made.twin.state()['devices'].items()
                if device['kind'] == 'gpu')
    made.twin.control.post('/device', {'device': card, 'present': False})
    use.ironic.set_provision(made.uuid, 'clean', clean_steps=[
        stage.step('hgx-ecc')])
    use.ironic.wait_node(made.uuid, 'clean failed', lambda node: (
        node['provision_state'] == 'clean failed'
        and not node['reservation']))
    made.twin.control.post('/device', {'device': card, 'present': True})


def _rack(use: Set) -> None:
    for number in (1, 2):
        use.looked_at(f'rack01-node0{number}')
    (use.folder / 'rack01').write_text('rack01-node01 rack01-node02\n')


def _plain_rack(use: Set) -> None:
    for number in (1, 2):
        use.node(f'rack01-node0{number}', **PLAIN)
    (use.folder / 'rack01').write_text('rack01-node01 rack01-node02\n')


def _active(use: Set) -> None:
    """A node for a clean, and one with an instance for a service."""
    use.looked_at('NODE')
    made = use.looked_at('ACTIVE-NODE')
    use.ironic.patch_node(made.uuid, instance_info={
        'image_source': 'http://127.0.0.1:9/image', 'image_checksum':
        '0' * 32, 'capabilities': {'boot_option': 'local'}})
    use.ironic.set_provision(made.uuid, 'adopt')
    use.ironic.wait_state(made.uuid, 'active')


def _one(use: Set) -> None:
    use.looked_at('NODE')


#: The page, its nodes and its files of site profiles.
SCENES: dict[str, tuple[Callable[[Set], None], tuple[str, ...]]] = {
    'admin/enabling.rst': (_plain, ()),
    'admin/first-night.rst': (_plain_rack, ('hgx-night',)),
    'admin/errors/index.rst': (_clean_failed, ('hgx-ecc',)),
    'admin/guides/fleet-upgrade.rst': (_rack, ('hgx-h100-2026-11',)),
    'admin/guides/mig.rst': (_one, ('mig',)),
    'admin/steps.rst': (_active, ('hgx-h100-secure',)),
    'admin/unread.rst': (_one, ()),
    'user/report.rst': (_rack, ('hgx-h100-2026-11',)),
}


@contextlib.contextmanager
def site_profiles(lab: Lab, page: pathlib.Path, names: tuple[str, ...]
                  ) -> Iterator[None]:
    """Site profiles as a page shows them.

    One that it only names disables ECC.
    """
    shown = {block.caption: block.text for block in consoles.blocks(page)}
    paths = [lab.profiles / f'{name}.yaml' for name in names]
    for path in paths:
        path.write_text(shown.get(path.name) or ECC_OFF.format(name=path.stem))
    try:
        yield
    finally:
        for path in paths:
            path.unlink()


def test_each_page_with_a_cloud_has_a_scene() -> None:
    assert {str(p.relative_to(consoles.SOURCE)) for p in PAGES} == set(SCENES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize('name', sorted(SCENES))
def test_each_command_of_a_page_works(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine,
        tmp_path: pathlib.Path, name: str) -> None:
    scene, profiles = SCENES[name]
    with site_profiles(lab, consoles.SOURCE / name, profiles):
        scene(Set(lab, ironic, machine, tmp_path))
        count = console_page.run(
            consoles.SOURCE / name, tmp_path, {
                'OS_AUTH_TYPE': 'none', 'OS_ENDPOINT': lab.ironic.url,
                'no_proxy': '127.0.0.1'},
            {'/etc/ironic/ironic.conf': str(lab.ironic.config)})
    assert count
    for template in ironic.get('/v1/deploy_templates')['deploy_templates']:
        ironic.delete_deploy_template(template['name'])


ECC_OFF = """\
profile: 1
name: {name}
devices:
  gpus:
    match: {{kind: gpu, product: nvidia-h100-sxm}}
    count: 8
    modes: {{ecc: disabled}}
"""
