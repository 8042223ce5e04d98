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

"""The example's tool family at work: a run for ``test_examples.py``.

``python -m tests.unit.docs.tool_family_run FOLDER ROWS`` prints JSON. The
package of the example is installed on the path.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import runpy
import sys
import time
from typing import Any

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import items
from ironic_accel.model import catalog
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model import loader
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model import version
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree
from tests.unit.inband import sample

AT = '0000:d8:00.0'
BOOST = f'/sys/bus/pci/devices/{AT}/acme/boost'
_ACMECTL = """
case $1 in
show) printf '{"firmware": "%s"}' "$(cat FOLDER/release)";;
update) echo A1-r10 > FOLDER/release;;
esac
"""


def _update(backend: LocalBackend, device: str,
            folder: pathlib.Path) -> list[bool]:
    item = Item(device, 'gpu', 'firmware', 'A1-r10')
    ticket = backend.start(
        Action('update', 'local', (Change(item, 'A1-r9'),), Activation.NONE,
               'image'), sample.image(folder))
    while isinstance(end := backend.poll(ticket), Running):
        time.sleep(0.05)
    return [r.ok for r in end.results] if isinstance(end, Ended) else []


def _first_boot(folder: pathlib.Path, tree: Tree, seen: Inventory,
                known: Catalog) -> bool:
    profile = loader.load_data({
        'profile': 1, 'name': 'boosted', 'allow': ['first_boot'],
        'devices': {'cards': {
            'match': {'product': 'acme-a1', 'kind': 'gpu'}, 'count': 1,
            'modes': {'boost': 'enabled'}}}}, catalog=known)
    wanted, _ = items.volatile(profile, seen, known)
    document = items.build(profile, wanted, seen)
    instance = folder / 'instance'
    instance.mkdir()
    deliver.inject(instance, deliver.files(document), lambda path: None)
    applier = runpy.run_path(str(instance / deliver.APPLIER))
    with contextlib.redirect_stdout(sys.stderr):
        return bool(applier['apply'](document, str(tree.root), 0.0))


def main(folder: pathlib.Path, rows: pathlib.Path) -> dict[str, Any]:
    """Read, update and set up the card of the example."""
    known = catalog.extended({rows.name: rows.read_text()})
    tree, host = sample.machine(folder, Card(
        AT, ('1d0f', '00a1', '1d0f', '0001'), '030200', driver='acme'))
    tree.put(BOOST, 'disabled')
    (folder / 'release').write_text('A1-r9')
    sample.tool(folder, 'acmectl', _ACMECTL.replace('FOLDER', str(folder)))
    backend = LocalBackend(host, catalog=known, folder=str(folder / 'jobs'))
    seen = backend.observe()
    card = next(d for d in seen.devices if d.product == 'acme-a1')
    facts = known.component('gpu', 'gpu', card.product)
    out: dict[str, Any] = {
        'before': [c.running for c in card.components],
        'order': version.compare(
            'A1-r9', 'A1-r10', facts.form if facts else 'none')}
    tree.put('/proc/4711/cmdline', f'acmectl\0update\0{AT}\0x'.encode())
    out['others'] = [b.summary for b in backend.observe().busy]
    tree.at('/proc/4711/cmdline').unlink()
    (transport,) = backend.transports(backend.observe())
    out['updates'] = (card.id, 'gpu') in transport.updates
    out['results'] = _update(backend, card.id, folder)
    after = backend.observe().device(card.id)
    out['after'] = [c.running for c in after.components] if after else []
    out['first_boot'] = _first_boot(folder, tree, seen, known)
    out['boost'] = tree.get(BOOST)
    return out


if __name__ == '__main__':
    print(json.dumps(main(*map(pathlib.Path, sys.argv[1:]))))
