# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The twin judged by others: DMTF's validators and their command line.

About 55 seconds in all; the HGX box takes 20 of them. What a validator
reports and is not in ``EXCUSED`` fails, and so does a run that loaded no
schema or looked at little: without schemas every type would be unknown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironic_accel_emulator import FakeClock, TwinServer, load_box
from ironic_accel_emulator.images import pldm_bundle

USER, PASSWORD = 'root', 'calvin-and-hobbes'
BIN = Path(sys.executable).parent
SECONDS = 240

# What the service validator reports, and why that is no failure of ours.
EXCUSED = {
    r"Unable to locate the schema definition for the '#?Nvidia": (
        "NVIDIA's OEM schemas are not among DMTF's; the real machines that "
        'were recorded show the same types'
    ),
    r'^/HttpPushUri .*deprecated': (
        'real BMCs still offer it beside multipart, and managers meet it'
    ),
    r'^/FPGA/FirmwareVersion .*deprecated': (
        'FPGAs in the field report it there'
    ),
    r'^/Oem/Nvidia/@odata.type .*mandatory': (
        "BlueField's System links its OEM resource without a type"
    ),
}
# Properties that have to pass at least, so that an empty run cannot.
BOXES = {
    'pcie-a100': 900,
    'two-nodes': 600,
    'bluefield-3': 280,
    'hgx-h100': 3000,
}


@contextmanager
def secured(name: str, tls: bool = False) -> Iterator[TwinServer]:
    """A twin that asks for a password."""
    box = load_box(
        name,
        clock=FakeClock(),
        user=USER,
        password=PASSWORD,
        timing={'retry_after': 1},
    )
    server = TwinServer(box, tls=tls)
    with server:
        yield server


def command(
    name: str, *arguments: str, certificate: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of DMTF's commands to its end."""
    environment = dict(os.environ)
    if certificate is not None:
        environment['REQUESTS_CA_BUNDLE'] = str(certificate)
    return subprocess.run(
        [str(BIN / name), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment,
    )


@pytest.fixture(scope='module')
def csdl(
    schemas: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """DMTF's CSDL files, unpacked."""
    folder = tmp_path_factory.mktemp('schemas')
    with tarfile.open(schemas / 'csdl.tar.gz') as archive:
        archive.extractall(folder, filter='data')
    found = folder / 'csdl'
    assert len(list(found.glob('*.xml'))) > 100
    return found


@pytest.mark.parametrize('name', BOXES)
def test_service_validator(name: str, csdl: Path, tmp_path: Path) -> None:
    with secured(name) as server:
        ended = command(
            'rf_service_validator',
            '--ip', server.url, '-u', USER, '-p', PASSWORD,
            '--authtype', 'Basic', '--schema_directory', str(csdl),
            '--skipschema', '--payload', 'Tree', '/redfish/v1',
            '--logdir', str(tmp_path),
        )  # fmt: skip
    (log,) = tmp_path.rglob('*Debug*.log')
    strange = [
        text
        for text in re.findall(
            r'(?:WARN|FAIL) - (.*)', log.read_text(errors='replace')
        )
        if not any(re.search(known, text) for known in EXCUSED)
    ]
    assert strange == []
    totals = re.search(r'\|\s+(\d+)\s+\|\s+\d+\s+\|\s+(\d+)', ended.stdout)
    assert totals is not None, ended.stdout + ended.stderr
    assert int(totals[1]) >= BOXES[name]
    assert int(totals[2]) == 0


def test_protocol_validator(tmp_path: Path) -> None:
    with secured('pcie-a100', tls=True) as server:
        ended = command(
            'rf_protocol_validator',
            '-r', server.url, '-u', USER, '-p', PASSWORD,
            '--report-type', 'tsv', '--report-dir', str(tmp_path),
            '--avoid-http-redirect',
            certificate=server.certificate,
        )  # fmt: skip
    (report,) = tmp_path.glob('*.tsv')
    rows = [line.split('\t') for line in report.read_text().splitlines()]
    failed = [row for row in rows if 'FAIL' in row]
    assert failed == []
    passed = [row for row in rows if 'PASS' in row]
    assert len(passed) > 200, ended.stdout + ended.stderr


def test_dmtf_client_reads_inventory_and_firmware() -> None:
    with secured('hgx-h100') as server:
        login = ('-u', USER, '-p', PASSWORD, '-r', server.url)
        hardware = command('rf_sys_inventory.py', *login)
        images = command('rf_firmware_inventory.py', *login)
    assert hardware.returncode == 0, hardware.stdout + hardware.stderr
    assert hardware.stdout.count('NVIDIA H100 80GB HBM3') >= 8
    assert images.returncode == 0, images.stdout + images.stderr
    assert images.stdout.count('96.00.68.00.01') == 8


def test_dmtf_client_updates_firmware(tmp_path: Path) -> None:
    image = tmp_path / 'bundle.fwpkg'
    digest = pldm_bundle(image, {'gpu': '96.00.A6.00.01'})
    with secured('hgx-h100') as server:
        server.box.faults.parse('task-done')
        ended = command(
            'rf_update.py', '-u', USER, '-p', PASSWORD, '-r', server.url,
            '-i', str(image),
        )  # fmt: skip
        ledger = server.box.ledger
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [push.digest for push in ledger.pushes] == [digest]
    assert len(ledger.writes) == 8
    assert ledger.violations == []
