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

"""BMCs that fetch their images, and facts that only a site knows.

The recorded Cray blade has SimpleUpdate alone, and nobody has published what
activates the FPGA of its baseboard: a site that tried it says so in a file of
its own, and the whole run goes by the command.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import functools
import http.server
import json
import pathlib
import threading

import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.faces.cli import image_serving_options
from ironic_accel.model.errors import Rejected
from ironic_accel_emulator import images
from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import Run

CAPTURE = (pathlib.Path(__file__).parents[2].parent / 'shared' / 'captures'
           / 'a100x4-cray-ex235n.tar.gz')
QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0', '--json',
         '--allow-disruption', '--yes')
ROWS = """
sources: {bench: "tried on a blade of this site"}
components:
  - {kind: baseboard, name: fpga, for: {product: [nvidia-hgx-a100-4gpu]},
     activation: power-cycle, source: [bench]}
"""
FPGA = 'Node0.AccFPGA0'


@pytest.fixture
def blade(boot: Boot) -> Machine:
    """A twin of the recorded blade, of which the site knows one thing."""
    if not CAPTURE.exists():
        pytest.skip('the recorded Cray blade is not here')
    found = boot(str(CAPTURE), activations={FPGA: 'power-cycle'})
    # The recorded one does not say when its host was last reset, and a tree
    # is settled once it has been the same for half a minute.
    node = found.box.documents.see('/redfish/v1/Systems/Node0')
    assert node is not None
    node['BootProgress'] = {'LastState': 'OSRunning'}
    return found


@pytest.fixture
def profile(tmp_path: pathlib.Path) -> pathlib.Path:
    """A profile that updates the FPGA of the blade's baseboard."""
    file = tmp_path / 'fpga.bin'
    digest = images.plain_image(file, 'fpga', '2.8')
    path = tmp_path / 'blade.yaml'
    path.write_text(json.dumps({
        'profile': 1, 'name': 'blade', 'images': {'fw': {
            'url': file.as_uri(), 'sha256': digest,
            'fits': {'board': 'NVIDIA.HGX.A100.4.GPU'}}},
        'devices': {'board': {
            'match': {'kind': 'baseboard'}, 'count': 1,
            'firmware': {'fpga': {'version': '2.8', 'image': 'fw'}}}}}))
    return path


@pytest.fixture
def rows(tmp_path: pathlib.Path) -> pathlib.Path:
    """The site's own file."""
    path = tmp_path / 'site.yaml'
    path.write_text(ROWS)
    return path


@pytest.fixture
def web(tmp_path: pathlib.Path) -> Iterator[tuple[pathlib.Path, str]]:
    """A web server that is there already: its folder and URL."""
    folder = tmp_path / 'www'
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0),
            functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f'http://127.0.0.1:{server.server_address[1]}'
        server.shutdown()
        thread.join()


def words(verb: str, machine: Machine, profile: pathlib.Path,
          *more: object) -> tuple[object, ...]:
    return (verb, '--bmc', machine.url, '--system', 'Node0', '--profile',
            profile, *more)


def test_an_update_with_unknown_activation_is_refused(
        blade: Machine, run: Run, profile: pathlib.Path) -> None:
    said = run(*words('apply', blade, profile, *QUICK))
    assert said.code == 3
    reasons = {r['reason'] for r in said.document['refused']}
    assert reasons == {'the reset that activates it is unknown (activation: '
                       'null in the catalogue), so it is not updated'}
    assert blade.box.ledger.pushes == []


def test_a_run_on_a_recorded_blade_converges(
        blade: Machine, run: Run, profile: pathlib.Path,
        rows: pathlib.Path) -> None:
    site = ('--catalogue', rows)
    planned = run(*words('plan', blade, profile, '--json',
                         '--allow-disruption', *site)).document
    assert [s['reset'] for s in planned['stages']] == ['power-cycle']
    said = run(*words('apply', blade, profile, *QUICK, *site))
    assert said.code == 0, said.err
    proof, = said.document['proofs']
    assert (proof['name'], proof['wanted']) == ('fpga', '2.8')
    ledger = blade.box.ledger
    assert [p.transport for p in ledger.pushes] == ['simple-update']
    assert [item for item, _ in ledger.updates()] == [FPGA]
    assert [(r.kind, r.target) for r in ledger.resets] == [
        ('ForceOff', 'Node0'), ('On', 'Node0')]
    assert blade.box.components['Node1.AccFPGA0'].running == '2.7'
    assert ledger.violations == []
    before = len(ledger.writes)
    again = run(*words('apply', blade, profile, *QUICK, *site))
    assert (again.code, again.document['writes']) == (0, 0)
    assert len(ledger.writes) == before


def test_an_existing_web_server_serves_the_image(
        blade: Machine, run: Run, profile: pathlib.Path, rows: pathlib.Path,
        web: tuple[pathlib.Path, str]) -> None:
    folder, url = web
    said = run(*words('apply', blade, profile, *QUICK, '--catalogue', rows,
                      '--image-folder', folder, '--image-url', url))
    assert said.code == 0, said.err
    push, = blade.box.ledger.pushes
    assert push.source is not None
    assert push.source.startswith(f'{url}/')
    assert push.source.endswith('.bin')
    # What was lent to it is taken away again.
    assert list(folder.iterdir()) == []


def test_a_failed_copy_leaves_no_file_for_the_web_server(
        tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'www'
    folder.mkdir()
    args = argparse.Namespace(image_folder=str(folder),
                              image_url='http://h/', image_address=None)
    gone = Ready(str(tmp_path / 'gone.bin'), 1, '0' * 64)
    with image_serving_options.Served(args, 'http://127.0.0.1:1') as made, \
            pytest.raises(Rejected, match='--image-folder'):
        made.uri(gone)
    assert list(folder.iterdir()) == []


def test_the_image_is_served_at_the_given_address(
        blade: Machine, run: Run, profile: pathlib.Path,
        rows: pathlib.Path) -> None:
    said = run(*words('apply', blade, profile, *QUICK, '--catalogue', rows,
                      '--image-address', 'localhost'))
    assert said.code == 0, said.err
    push, = blade.box.ledger.pushes
    assert push.source is not None
    assert push.source.startswith('http://localhost:')


@pytest.mark.parametrize('more, field', [
    (('--image-folder', '/'), '--image-url'),
    (('--image-url', 'http://h/'), '--image-folder'),
    (('--image-folder', '/no/folder', '--image-url', 'http://h/'),
     '/no/folder'),
    (('--image-folder', '/', '--image-url', 'ftp://h/'), '--image-url'),
    (('--image-folder', '/', '--image-url', 'http://u:secret@h/'),
     '--image-url'),
    (('--image-address', 'host:port'), '--image-address'),
    (('--image-address', 'http://host'), '--image-address'),
    (('--image-address', 'host', '--image-folder', '/', '--image-url',
      'http://h/'), '--image-address'),
    (('--catalogue', '/no/file'), '--catalogue: /no/file'),
])
def test_invalid_image_options_are_named(
        run: Run, profile: pathlib.Path, more: tuple[str, ...],
        field: str) -> None:
    said = run('apply', '--bmc', 'http://127.0.0.1:1', '--profile', profile,
               *more)
    assert (said.code, said.out) == (2, '')
    assert field in said.err
    assert 'secret' not in said.err


def test_a_site_s_rows_are_checked_and_used_by_validate(
        run: Run, tmp_path: pathlib.Path, rows: pathlib.Path) -> None:
    file = tmp_path / 'p.yaml'
    file.write_text(
        'profile: 1\nname: new\ndevices:\n  g:\n    match: {kind: gpu, '
        'product: acme-card}\n    modes: {ecc: enabled}\n')
    assert run('validate', file).code == 2
    product = ('sources: {bench: here}\nproducts:\n  - {name: acme-card, '
               'kind: gpu, vendor: nvidia, pci: ["10de:fff1"], components: '
               '[gpu], modes: [ecc], source: [bench]}\n')
    folder = tmp_path / 'site'
    folder.mkdir()
    assert run('validate', '--catalogue', folder, file).code == 2
    (folder / 'new.yaml').write_text(product)
    for where in (folder, folder / 'new.yaml'):
        said = run('validate', '--catalogue', where, '--catalogue', rows,
                   file)
        assert said.code == 0, said.err
    (folder / 'new.yaml').write_text(product.replace('gpu', 'gpux'))
    said = run('validate', '--catalogue', folder, file)
    assert said.code == 2
    assert 'new.yaml' in said.err
    assert 'gpux' in said.err
