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

"""The power of a host as a run found it, restored when the run ends.

A host that was off before the run was powered on for its inventory. It is
powered off in the end, unless somebody has restarted it since: it may be in
use then.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.converge.perform_reset import HostPower
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.faces.cli import workers
from ironic_accel.faces.cli.journal import FileJournal
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable


def was_restarted(host: HostPower, journal: FileJournal) -> bool:
    """Whether somebody has restarted a host that the run powered on.

    Its boot mark shows it. A host that somebody else has powered off since is
    off as before; without a mark, or within the same boot, nothing shows that
    the host is in use.

    :raises: Unreachable.
    """
    return (journal.found == 'off' and journal.boot is not None
            and host.power_state() == 'on'
            and host.boot_mark() not in (None, journal.boot))


def restore(host: HostPower, journal: FileJournal, times: ResetTimes,
            say: Callable[[str], None]) -> None:
    """Power off a host that was off before the run.

    :raises: AccelError, which tells what to do, if it is not off in the end.
    """
    try:
        if was_restarted(host, journal):
            say('the host was off before the run, and was restarted since: '
                'it stays on')
            return
        say('powering off the host, which was off before the run')
        _power_off(host, times, journal.time.now)
    except AccelError as exc:
        raise AccelError(dataclasses.replace(
            exc.detail, summary='cannot power off the host, which was off '
            f'before the run: {exc.detail.summary}',
            todo='power it off, or run the same command again, which does'
        )) from exc


def _power_off(host: HostPower, times: ResetTimes, now: Callable[[], float]
              ) -> None:
    """Power a host off, and wait until the BMC reports that it is off.

    :param now: the clock of the run, in seconds.
    :raises: AccelError if it is not off ``times.hard`` seconds after the
        request.
    """
    again = now()
    until = again + times.hard
    asked, power, why = False, 'unknown', ''
    while True:
        # The power state is read once more after the time is over.
        late = now() > until
        try:
            power = host.power_state()
            if power == 'off':
                return
            # One that is neither on nor off may be powering off.
            if not late and now() >= again and (power == 'on' or not asked):
                again = now() + times.again
                host.power_off(soft=False)
                until, asked = until if asked else now() + times.hard, True
        except NoAccess:
            raise
        except Rejected as exc:
            if exc.retry_after is None and power == 'on':
                raise
            again = now() + (exc.retry_after or times.again)
            why = f': {exc.detail.summary}'
        except (OutcomeUnknown, Unreachable) as exc:
            why = f': {exc.detail.summary}'
        if late:
            raise AccelError(
                f'it is not off {times.hard:g} s after the request{why}',
                error_class=ErrorClass.NEEDS_OPERATOR, expected='off',
                seen=power)
        workers.sleep(max(times.look, 0.01))
