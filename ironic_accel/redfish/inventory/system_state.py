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

"""The state of the system as a whole: power, boot and background copies."""

from __future__ import annotations

from collections.abc import Iterator
import datetime
from typing import Literal

from ironic_accel.model.activity import Busy
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors import registry

Power = Literal['on', 'off', 'unknown']

#: Values of Resource.PowerState.
_POWER: dict[str, Power] = {'On': 'on', 'Off': 'off', 'Paused': 'on',
                            'PoweringOn': 'unknown', 'PoweringOff': 'unknown'}

#: Values of ComputerSystem.BootProgress.LastState before all devices exist.
_EARLY = frozenset({
    'PrimaryProcessorInitializationStarted', 'BusInitializationStarted',
    'MemoryInitializationStarted', 'SecondaryProcessorInitializationStarted',
    'PCIResourceConfigStarted'})

#: Values after the host's firmware has enumerated its devices (BootProgress,
#: long descriptions of ComputerSystem v1.22).
_BOOTED = frozenset({'SystemHardwareInitializationComplete', 'SetupEntered',
                     'OSBootStarted', 'OSRunning'})

#: Message while only a second inventory can show that the tree is complete.
UNTOLD = ('the BMC does not report the last host reset: waiting for an '
          'inventory {:g} s later that shows the same devices')


def power(system: Fields) -> Power:
    """The power state of the host."""
    word = system.word('PowerState', known=_POWER, needed=True)
    return _POWER[word] if word else 'unknown'


def boot_mark(system: Fields) -> str | None:
    """A value that changes at each host reset: LastResetTime (v1.12)."""
    return system.text('LastResetTime')


def since_reset(service: Fields | None, system: Fields) -> float | None:
    """Seconds since the host's last reset by the BMC's own clock, or None.

    Both times are the BMC's. None if they are inconsistent, because the clock
    was set in between.
    """
    if service is None:
        return None
    now, then = (moment(service.text('DateTime')),
                 moment(system.text('LastResetTime')))
    if now is None or then is None:
        return None
    seconds = (now - then).total_seconds()
    return seconds if seconds >= 0 else None


def moment(text: str | None) -> datetime.datetime | None:
    """A time as a service reports it, or None."""
    if text is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def lacking(scope: Scope, host: Power, age: float | None, same: float,
            mode: str | None, settings: BmcSettings) -> tuple[str, ...]:
    """Why the tree of a system is not complete yet; empty if it is.

    A long uptime of the host does not prove that the tree is complete; it
    only no longer delays an inventory.

    :param age: seconds since the host's last reset, or None.
    :param same: seconds for which inventories have been equal.
    :param mode: mode of a DPU that is the System itself, if reported.
    """
    if host == 'off':
        return ('the host is off',)
    early = starting(scope.system, host, age, settings)
    if early is not None:
        return (early,)
    stage = _stage(scope.system)
    out = []
    for one in scope.systems:
        status = one.doc.get('Status')
        state = status.get('State') if isinstance(status, dict) else None
        steady = state == 'StandbyOffline' and mode == 'nic'
        if state in ('Starting', 'StandbyOffline') and not steady:
            out.append(f'{one.uri} is {state}')
    told = age is not None or stage in _BOOTED or mode == 'nic'
    if not out and not told and same < settings.warm_up:
        out.append(UNTOLD.format(settings.warm_up))
    return tuple(out)


def starting(system: Fields, host: Power, age: float | None,
             settings: BmcSettings) -> str | None:
    """Why the host is still booting; None if it is not.

    :param age: seconds since the host's last reset, or None.
    """
    if host == 'unknown':
        return 'the power state of the host is changing or unknown'
    if host == 'on' and age is not None and age < settings.warm_up:
        return f'the host was reset {int(age)} s ago'
    stage = _stage(system)
    return f'the host is booting: {stage}' if stage in _EARLY else None


def _stage(system: Fields) -> str | None:
    """``BootProgress.LastState`` (ComputerSystem v1.13)."""
    told = system.doc.get('BootProgress')
    stage = told.get('LastState') if isinstance(told, dict) else None
    return stage if isinstance(stage, str) else None


def copies(scope: Scope) -> Iterator[Busy]:
    """Running background copies."""
    rows = [row for vendor in registry.vendors() for row in vendor.copies]
    for chassis in scope.chassis.values():
        for row in rows:
            state = chassis.word(*row.state, known=row.going | row.others)
            if state in row.going:
                yield Busy('background-copy', chassis.uri,
                           f'{chassis.uri}: background copy {state}')
