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
"""What it takes to update the firmware of equal cards, beside upstream.

A simulated PCIe server with one, four and eight equal network adapters, and
an image for all of them. Time is that of the simulation: an upload, an update
and a restart of the host take what they take there. Ours is a whole run, from
the first inventory to the versions that were read back. The peer is Ironic's
own ``RedfishFirmware.update`` with one entry for each adapter, its periodic
(once a minute) and the restarts of the host that it asks for. Images are
already where the BMC reads them.

"One target a push" is the same on a BMC of Supermicro, which takes no more:
ours sends one push after another, each for the adapter that it
names, and one restart activates all of them. Ironic names no adapter, and the
simulated BMC writes all that the image fits by the first of its pushes; what
a real one does is not specified.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import datetime
import logging
import pathlib
import sys
import tempfile
from typing import Any
from unittest import mock

sys.path.insert(0, str(
    pathlib.Path(__file__).resolve().parents[1] / 'emulator'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import results
from bench.measure import upstream
from ironic.conf import CONF
from ironic.drivers.modules.redfish import firmware
from ironic_accel_emulator import images
import yaml

from ironic_accel.converge import outcome
from tests.contract.machine import Machine
from tests.contract.machine import machine

SIZES, QUICK = (1, 4, 8), (1, 2)
BOX = 'pcie-a100'
#: An adapter, its image, and where the box has it.
ADAPTER, VERSION, PSID = 'NIC6', '28.43.1014', 'MT_0000000834'
PROFILE = """
profile: 1
name: nics
images:
  nic: {url: 'file:///i/nic', sha256: %s, fits: {psid: %s}}
devices:
  nics:
    match: {kind: nic}
    count: %d
    firmware: {nic: {version: %s, image: nic}}
"""
#: Polls of upstream's periodic, at most.
POLLS = 600
#: Uploads and restarts of ours, whatever the number is; its time, for each
#: second of Ironic's.
GOAL_UPLOADS, GOAL_RESETS, GOAL_TIME = 1, 1, 1.0


@dataclasses.dataclass(frozen=True)
class Cost:
    """What an update took; seconds are simulated."""

    uploads: int
    seconds: float
    resets: int
    requests: int


class UpdateFailed(Exception):
    """Ironic's own update ended with an error."""


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('adapters', nargs='*', type=int, metavar='ADAPTERS',
                        help='numbers of adapters')
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    report = results.report(__file__, __doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        upstream.begin(folder)
        try:
            numbers = sorted(options.adapters) or (
                QUICK if options.quick else SIZES)
            for number in numbers:
                _measure(folder, number, report)
            _measure(folder, numbers[len(numbers) // 2], report, single=True)
        finally:
            upstream.end()
    return report.end(options)


def _measure(folder: pathlib.Path, number: int, report: results.Report,
             single: bool = False) -> None:
    """Register what an update of so many adapters costs.

    Ironic 32 restarts the host 300 s after it has begun an update, which ends
    one that takes longer.

    :param single: on a BMC that takes one target a push.
    """
    costs: dict[Any, Cost] = {}
    for update in (_ours, _theirs):
        with _box(folder, number, single) as box:
            began = box.clock.now()
            try:
                update(box, number)
            except UpdateFailed as error:
                report.skip(f"Ironic's update, {number} adapters", str(error))
                continue
            ledger = box.box.ledger
            versions = {item: n for item, n in ledger.updates().items()}
            costs[update] = Cost(
                len(ledger.pushes), box.clock.now() - began,
                len(ledger.resets), len(ledger.requests))
            if len({item for item, _ in versions}) != number:
                raise RuntimeError(f'{update.__name__}: expected {number} '
                                   f'updated adapters, got {versions}')
    ours, theirs = costs[_ours], costs.get(_theirs)
    for name, unit, goal in (
            ('uploads', 'uploads', results.at_most(
                number if single else GOAL_UPLOADS)),
            ('seconds', 'simulated s', results.ratio_at_most(GOAL_TIME)
             if theirs and number == max(SIZES) and not single else None),
            ('resets', 'resets of the host', results.at_most(GOAL_RESETS)),
            ('requests', 'requests', None)):
        report.add(f'{name}, one target a push' if single else name,
                   getattr(ours, name), unit, goal, results.Peer(
                       "Ironic's update", getattr(theirs, name))
                   if theirs else None, number)


@contextlib.contextmanager
def _box(folder: pathlib.Path, number: int, single: bool = False
         ) -> Iterator[Machine]:
    """A server with so many equal adapters, and their image.

    :param single: its BMC is one of Supermicro; by default one that does what
        the standard has.
    """
    shipped = pathlib.Path(images.__file__).parent / 'boxes' / f'{BOX}.yaml'
    described = yaml.safe_load(shipped.read_text('utf-8'))
    if not single:
        del described['service']['vendor']
        described['service']['push'] = ['simple']
    host = described['hosts'][0]
    one = next(a for a in host['adapters'] if a['id'] == ADAPTER)
    host['adapters'] = [{
        **one, 'id': f'NIC{n}', 'serial': f'{one["serial"]}{n}',
        'firmware': f'NIC{n}_ConnectX-7',
        'macs': [f'a0:88:c2:00:{n:02x}:{m:02x}' for m in range(2)]}
        for n in range(number)]
    path = folder / f'{number}.yaml'
    path.write_text(yaml.safe_dump(described), 'utf-8')
    with machine(path, folder) as made:
        yield made


def _ours(box: Machine, number: int) -> None:
    digest = images.mlnx_image(box.folder / 'nic', VERSION, PSID)
    end = box.run(PROFILE % (digest, PSID, number, VERSION))
    if not isinstance(end, outcome.Converged):
        raise RuntimeError(f'the run did not converge: {end}')


def _theirs(box: Machine, number: int) -> None:
    """Ironic's own code, in the time of the simulation.

    :raises: UpdateFailed
    """
    images.mlnx_image(box.folder / 'nic', VERSION, PSID)
    url = (box.folder / 'nic').as_uri()
    interface = firmware.RedfishFirmware()
    done: list[Any] = []

    def fail(_task: Any, message: str, *_more: Any, **_options: Any) -> None:
        raise UpdateFailed(message)

    def restart(_task: Any, _state: str, _timeout: int = 0) -> None:
        box.power('ForceRestart')

    def now(with_timezone: bool = False) -> datetime.datetime:
        found = datetime.datetime.fromtimestamp(box.clock.now(), datetime.UTC)
        return found if with_timezone else found.replace(tzinfo=None)

    clock = mock.Mock(spec_set=['time', 'sleep'])
    clock.time.side_effect = box.clock.now
    clock.sleep.side_effect = box.clock.advance
    with upstream.task(box.url, box.system) as task, \
            mock.patch.object(firmware, 'time', clock), \
            mock.patch.object(firmware.timeutils, 'utcnow', autospec=True,
                              side_effect=now), \
            mock.patch.object(firmware.manager_utils, 'node_power_action',
                              autospec=True, side_effect=restart), \
            mock.patch.object(interface, '_stage_firmware_file',
                              autospec=True, return_value=(url, None)), \
            mock.patch.object(firmware.manager_utils,
                              'notify_conductor_resume_clean', autospec=True,
                              side_effect=done.append), \
            mock.patch.object(firmware.manager_utils,
                              'cleaning_error_handler', autospec=True,
                              side_effect=fail):
        task.node.clean_step = {'step': 'update', 'interface': 'firmware'}
        interface.update(task, [{'component': f'nic:NIC{n}', 'url': url}
                                for n in range(number)])
        for _ in range(POLLS):
            if done:
                break
            box.clock.advance(CONF.redfish.firmware_update_status_interval)
            interface._check_node_redfish_firmware_update(task)
    if not done:
        raise RuntimeError("Ironic's update does not end")


if __name__ == '__main__':
    sys.exit(main())
