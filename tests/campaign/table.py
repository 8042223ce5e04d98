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

"""Every fault at every moment, and what comes of it, in print."""

from __future__ import annotations

from collections.abc import Iterator
import itertools

from tests.campaign import play
from tests.campaign.case import Case
from tests.campaign.case import Trouble

#: What goes wrong: a title, and the fault; GETs alone where not said.
FAULTS: tuple[tuple[str, Trouble], ...] = (
    ('503 everywhere', Trouble('status', '503', None, 'GET')),
    ('devices 503', Trouble('status', '503', '/NetworkAdapters', 'GET')),
    ('devices 404', Trouble('status', '404', '/NetworkAdapters', 'GET')),
    ('firmware 500', Trouble('status', '500', '/FirmwareInventory', 'GET')),
    ('update service 503', Trouble('status', '503', '/UpdateService$',
                                   'GET')),
    ('tasks 503', Trouble('status', '503', '/TaskService', 'GET')),
    ('system empty', Trouble('empty', None, '/Systems/1$', 'GET')),
    ('system garbage', Trouble('garbage', None, '/Systems/1$', 'GET')),
    ('bodies cut', Trouble('cut', None, '/Chassis', 'GET')),
    ('no answer', Trouble('hang', '600', None, None)),
    ('version null', Trouble('null', '/Version', '/FirmwareInventory/')),
    ('health unknown', Trouble('unknown-enum', '/Status/Health', '/')),
    ('collections short', Trouble('short', '1', '/NetworkAdapters')),
    ('pages of one', Trouble('pages', '1', '/redfish')),
    ('links astray', Trouble('absolute', None, '/redfish')),
    ('redirects astray', Trouble('redirect', None, '/Chassis', 'GET')),
    ('task purged', Trouble('task-purged')),
    ('task forgotten', Trouble('task-forgotten', '60')),
    ('task stuck', Trouble('task-stuck')),
    ('task waits', Trouble('task-waits')),
    ('task warns', Trouble('task-warning')),
    ('monitor in error', Trouble('monitor-error')),
    ('bare 202', Trouble('bare', '202')),
    ('Success, no task', Trouble('success')),
    ('job, no task', Trouble('jobs')),
    ('push refused 503', Trouble('push-refused', '503')),
    ('push dropped', Trouble('drop', None, '/update-multipart', 'POST')),
    ('image not taken', Trouble('fail-component')),
    ('image without effect', Trouble('silent-noop')),
    ('another update', Trouble('foreign-task', '600')),
    ('reset too weak', Trouble('weak-reset')),
    ('devices late', Trouble('late-devices', '400')),
)
MOMENTS = ('start', 'verify', 'flash', 'landed', 'reset', 'off', 'boot',
           'after')
#: How long a fault stands, in seconds; None is for good.
SPANS: tuple[float | None, ...] = (120.0, None)


def cases(scene: str = 'nic') -> Iterator[tuple[str, str, Case]]:
    """(fault, moment and length, case)."""
    for title, fault in FAULTS:
        for moment in MOMENTS:
            for span in SPANS:
                one = Trouble(fault.name, fault.value, fault.match,
                              fault.method, at=None, phase=moment,
                              lasts=span)
                length = 'for good' if span is None else f'{span:.0f} s'
                yield title, f'{moment}, {length}', Case(
                    scene, troubles=(one,))


#: Calls of a port, and saves, of a run without trouble.
CALLS, SAVES = 36, 9


def others(scene: str = 'nic') -> Iterator[tuple[str, str, Case]]:
    """As ``cases``, of a process that stands still or dies."""
    for call in range(1, CALLS + 1):
        for seconds in (0.0, 400.0):
            yield 'another conductor', f'call {call}, {seconds:.0f} s', Case(
                scene, stops=((call, seconds),))
    for save in range(1, SAVES + 1):
        for when, sign in (('before', -1), ('after', 1)):
            yield 'the process dies', f'{when} save {save}', Case(
                scene, deaths=(sign * save,))


def main() -> int:
    """Print the table; 1 where something was that must never be."""
    print(f'{"fault":<22}{"from, for":<20}{"outcome":<12}{"pushes":>7}'
          f'{"resets":>7}{"seconds":>9}')
    wrong = 0
    for title, when, case in itertools.chain(cases(), others()):
        report = play.play(case)
        print(f'{title:<22}{when:<20}{report.outcome:<12}'
              f'{report.pushes:>7}{report.resets:>7}{report.seconds:>9.0f}',
              flush=True)
        for sin in report.sins:
            wrong += 1
            print(f'   WRONG: {sin}\n   {case.dump()}', flush=True)
    return 1 if wrong else 0
