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

"""Fuzzing of what is read inside a machine without any tool: sysfs, VPD,
SMBIOS, /proc, an instance's files, our own files, and requests."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import io
import json
from pathlib import Path
import random
import tempfile
from typing import Any

from ironic_accel.converge.ports import Images
from ironic_accel.faces.cli.journal import FileJournal
from ironic_accel.inband import agent_rpc
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.firstboot import applier
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import items
from ironic_accel.inband.firstboot import target
from ironic_accel.inband.inventory import external_flashers
from ironic_accel.inband.inventory.identity_store import IdentityStore
from ironic_accel.inband.jobs.job_store import Jobs
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.machine import smbios_slots
from ironic_accel.inband.machine import vpd
from ironic_accel.inband.tools import loader
from ironic_accel.inband.tools.qat import tool as qat
from ironic_accel.inband.tools.sriov import tool as sriov
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Rejected
from ironic_accel.model.record import dump
from ironic_accel.model.record import Record
from ironic_accel.model.serialization import inventory_to_dict
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from ironic_accel_emulator.inside.tree import slot_entry
from ironic_accel_emulator.inside import vpd as made
from tests.security import mutate
from tests.unit.inband import sample

BOOT = {'schema': 'first-boot/1', 'profile': 'p', 'digest': 'd', 'items': [
    {'device': 'nic-1', 'address': sample.NIC[0], 'pci': '15b3:101d',
     'mode': 'vfs', 'wanted': 4},
    {'device': 'crypto-1', 'address': sample.QAT, 'pci': '8086:4940',
     'mode': 'services', 'wanted': ['sym', 'dc']}]}
SOURCES = {'schemes': ['https'], 'hosts': ['images.example.org'],
           'max_bytes': 1 << 30}
#: Command lines as /proc has them.
LINES = (b'mstflint\0-d\0000:17:00.0\0-i\0fw.bin\0burn\0',
         b'/usr/bin/python3\0-s\0/usr/bin/fpgasupdate\0x\0',
         b'/bin/bash\0/usr/sbin/bfb-install\0--bfb\0x\0')
#: Files of an instance that are looked into.
ETC = {'etc/fstab': '/dev/sda1 / ext4 ro 0 0\n',
       'etc/crypttab': 'root UUID=x none\n',
       'etc/cloud/cloud.cfg': 'datasource_list: [ConfigDrive]\n',
       'boot/loader/entries/1.conf': 'options root=/dev/sda1\n'}


class Bad(Machine):
    """A host of which files say something else."""

    rng: random.Random
    often: float
    mutated: int

    def read_bytes(self, path: str, most: int = 1 << 20) -> bytes | None:
        """The file, or something in its place."""
        good = super().read_bytes(path, most)
        if good is None or self.rng.random() > self.often:
            return good
        self.mutated += 1
        return self.rng.choice((
            None, b'', b'\xff' * min(most, 64),
            mutate.text(self.rng, good)[:most]))


class Inside:
    """What is tried, on one machine made once.

    :param folder: to work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tree, self.host = sample.machine(folder)
        self.setters = {m: s.setter for m, s in items.settable().items()}
        self.flashers = external_flashers.programs(loader.load()[0])
        for number, line in enumerate(LINES):
            tree.put(f'/proc/{4000 + number}/cmdline', line)
            tree.put(f'/proc/{4000 + number}/stat',
                     f'{4000 + number} (x) S 1 {4000 + number} 1 0')
        for name, text in (('state', 'up'), ('cfg_services', 'sym;asym')):
            tree.put(f'/sys/bus/pci/devices/{sample.QAT}/qat/{name}', text)
        self.tries: dict[str, Callable[[random.Random], int]] = {
            'vpd': self.vpd, 'sysfs': self.sysfs, 'dmi': self.dmi,
            'flashes': self.flashes, 'files': self.files,
            'first boot': self.first_boot, 'instance': self.instance,
            'requests': self.requests}

    def bad(self, rng: random.Random) -> Bad:
        """The machine, some of whose files lie."""
        host = Bad(self.host.root, self.host.path, modules={'pynvml': None})
        host.rng, host.mutated = rng, 0
        host.often = rng.choice((0.1, 0.5, 1.0))
        return host

    def vpd(self, rng: random.Random) -> int:
        """Vital product data."""
        raw = mutate.text(rng, made.build('ConnectX', {
            'PN': 'MCX623106AN-CDAT', 'SN': 'MT2049X00001'}), 8)
        vpd.is_any(raw)
        found = vpd.parse(raw)
        for text in (found.name, found.part_number, found.serial):
            assert text is None or (text.isprintable() and len(text) <= (
                1 << 16))
        return 1

    def sysfs(self, rng: random.Random) -> int:
        """A whole look, and the families that read files alone."""
        host = self.bad(rng)
        seen = LocalBackend(
            host, [qat.Qat(), sriov.Sriov()], folder=str(
                self.folder / 'jobs')).observe()
        json.dumps(inventory_to_dict(seen)).encode()
        pci_functions.scan(host)
        return host.mutated

    def dmi(self, rng: random.Random) -> int:
        """Slots of the SMBIOS."""
        raw = mutate.text(rng, slot_entry('PCIe Slot 7', '0000:17:00.0'), 6)
        path = self.folder / 'root/sys/firmware/dmi/entries/9-0/raw'
        path.write_bytes(raw)
        for card, word in smbios_slots.designations(self.host).items():
            assert card.isascii() and word
        return 1

    def flashes(self, rng: random.Random) -> int:
        """Processes of others."""
        host = self.bad(rng)
        external_flashers.flashes(host, self.flashers, {4000})
        return host.mutated

    def files(self, rng: random.Random) -> int:
        """Our own files: a journal, a job, who the devices are."""
        path = self.folder / 'journal.json'
        record = dump(Record(profile='p', digest='d', started=1.0,
                             deadline=2.0))
        good = {'schema': 'journal/1', 'bmc': 'http://b', 'system': 's',
                'found': 'on', 'record': record}
        path.write_bytes(self._spoilt(rng, good))
        jobs = Jobs(str(self.folder / 'some'))
        job = self.folder / 'some' / ('f' * 32)
        job.mkdir(parents=True, exist_ok=True)
        (job / 'job.json').write_bytes(self._spoilt(rng, {
            'schema': 'job/2', 'id': 'f' * 32, 'transport': 'local',
            'verb': 'set',
            'refs': [['a', 'b']], 'cards': [sample.NIC[0]], 'boot': 'b',
            'since': 1.0, 'names': {}, 'worker': [1, 2], 'begun': 1.0,
            'flashes': [[3, 4]], 'lost': None, 'results': [{
                'ref': ['a', 'b'], 'ok': True, 'detail': None}]}))
        for one in jobs.all():
            jobs.goes_on(one)
            one.busy()
        LocalBackend(self.host, [], folder=str(self.folder / 'some')).poll(
            {'job': 'f' * 32})
        known = self.folder / 'known.json'
        known.write_bytes(self._spoilt(rng, {
            'schema': 'known/1', 'boot': 'b', 'devices': [{
                'address': sample.GPU, 'kind': 'gpu', 'serial': '1',
                'pci': ['10de', '20b0', '10de', '1463']}]}))
        IdentityStore(str(known)).load('b')
        FileJournal(str(path), BmcIdentity('http://b', 's')).load()
        return 3

    @staticmethod
    def _spoilt(rng: random.Random, good: Any) -> bytes:
        match rng.randrange(4):
            case 0:
                return rng.choice(mutate.BODIES)
            case 1:
                return mutate.text(rng, mutate.encoded(good))
            case _:
                return mutate.encoded(mutate.document(rng, good))

    def first_boot(self, rng: random.Random) -> int:
        """The document that an instance sets its modes by."""
        raw = mutate.document(rng, BOOT)
        root = self.folder / 'instance'
        for at in sample.NIC[:1]:
            where = root / 'sys/bus/pci/devices' / at
            where.mkdir(parents=True, exist_ok=True)
            for name, text in (('vendor', '0x15b3'), ('device', '0x101d'),
                               ('sriov_numvfs', '0')):
                (where / name).write_text(f'{text}\n')
        with contextlib.redirect_stdout(io.StringIO()) as said:
            well = applier.apply(raw, str(root), patience=0.0,
                                 setters=self.setters)
        assert well in (True, False)
        assert said.getvalue().startswith('<')
        with contextlib.suppress(AccelError):
            deliver.vendor_part(deliver.files(raw))
        return 1

    def instance(self, rng: random.Random) -> int:
        """The files of an image that somebody else made."""
        root = self.folder / 'image'
        for name, text in ETC.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = mutate.text(rng, text.encode(), 8)
            path.write_bytes(rng.choice((data, rng.choice(mutate.BODIES))))
        target.examine(root, ())
        return len(ETC)

    def requests(self, rng: random.Random) -> int:
        """What a conductor asks the agent, or somebody in its place."""
        backend = _Refuses(self.host, [sample.Burner(self.folder)],
                           folder=str(self.folder / 'jobs'))
        device = next(d for d in backend.observe().devices
                      if d.kind == 'nic')
        from tests.security import fuzz
        request = {**fuzz.request(device.id), 'sources': SOURCES}
        raw = mutate.document(rng, request)
        for answer in (agent_rpc.start(backend, raw, _images),
                       agent_rpc.poll(backend, mutate.document(
                           rng, {'job': 'f' * 32, 'transport': 'agent'}))):
            json.dumps(answer).encode()
            assert set(answer) <= {'ticket', 'poll', 'error'}
        return 2


class _Refuses(LocalBackend):
    """A backend that begins nothing."""

    def begin(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse."""
        raise Rejected('not here')


def _images(sources: Any) -> Images:
    """What the agent makes of the sources that it is told."""
    agent_rpc.sources(sources)
    raise Rejected('no images here')


@contextlib.contextmanager
def machine() -> Iterator[Inside]:
    """The machine on which all is tried."""
    with tempfile.TemporaryDirectory(prefix='accel-fuzz-') as name:
        yield Inside(Path(name))
