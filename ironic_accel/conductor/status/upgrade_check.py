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

"""``ironic-accel-status upgrade check``: whether a conductor can be upgraded.

It runs where a conductor is installed, with Ironic's configuration, like
``ironic-status``. Exit codes are those of oslo.upgradecheck: 0 success, 1
warnings, 2 do not upgrade.
"""

from __future__ import annotations

from importlib import metadata
import pathlib
import sys
from typing import Any

from ironic.common import states
import ironic.conf
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_upgradecheck import upgradecheck
import packaging.requirements
import sqlalchemy.exc

from ironic_accel.bounded import files
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import options  # noqa: F401 - registers options
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.status import conductors
from ironic_accel.conductor.status import step_access
from ironic_accel.model.errors import AccelError
from ironic_accel.redfish import backend as redfish
from ironic_accel.model import loader
from ironic_accel.model import strict_yaml

CONF = ironic.conf.CONF
Code = upgradecheck.Code
Result = upgradecheck.Result

#: Nodes that are named; the rest is counted.
SHOWN = 5
#: Our hardware types with the interfaces that they cannot do without.
NEEDED = {
    'accel-redfish': ('accel-redfish', 'accelerator'),
    'accel-idrac': ('accel-idrac', 'accelerator-idrac'),
    'accel-ipmi': ('accel-ipmi', 'accelerator-ipmi')}


class Checks(upgradecheck.UpgradeCommands):
    """The checks, in the order in which they are shown."""

    def _check_ironic(self) -> Any:
        """The Ironic that is installed is one that we were tried with."""
        wanted = [packaging.requirements.Requirement(r)
                  for r in metadata.requires('ironic-accel') or ()]
        found = metadata.version('ironic')
        for one in wanted:
            if one.name == 'ironic' and not one.specifier.contains(
                    found, prereleases=True):
                return Result(Code.FAILURE, (
                    f'{conductors.release(found)} is installed, but '
                    f'{one.specifier} is required: install the matching '
                    'release of ironic-accel'))
        return Result(Code.SUCCESS, conductors.release(found))

    def _check_interfaces(self) -> Any:
        """Each enabled hardware type of ironic-accel has its interfaces
        enabled.
        """
        missing = []
        enabled = [t for t in CONF.enabled_hardware_types if t in NEEDED]
        for name in enabled:
            power, vendor = NEEDED[name]
            if power not in CONF.enabled_power_interfaces:
                missing.append(f'{power} in enabled_power_interfaces')
            if vendor not in CONF.enabled_vendor_interfaces:
                missing.append(f'{vendor} in enabled_vendor_interfaces')
        if missing:
            return Result(Code.FAILURE, 'missing: ' + '; '.join(missing))
        if not enabled:
            return Result(Code.WARNING, (
                'no hardware type of ironic-accel is in '
                'enabled_hardware_types'))
        return Result(Code.SUCCESS, ', '.join(enabled))

    def _check_inventory(self) -> Any:
        """Ironic keeps inspection data, where our inventory is."""
        backend = CONF.inventory.data_backend
        if backend == 'none':
            return Result(Code.FAILURE, (
                '[inventory]data_backend is none: no inventory is stored, '
                'and no plan can be made: set it to database or swift'))
        return Result(Code.SUCCESS, f'data_backend is {backend}')

    def _check_vendors(self) -> Any:
        """Every plug-in for a vendor's Redfish services can be used."""
        told = redfish.vendor_plugins()
        if told.left_out:
            return Result(Code.WARNING, _some([
                f'{name} {why}' for name, why in told.left_out.items()])
                + ': no firmware is written to BMCs whose vendor no other '
                'plug-in recognises')
        return Result(Code.SUCCESS, ', '.join(told.vendors) + (
            '; not in the metadata of this installation, which is of an '
            f'older version: {", ".join(told.unlisted)}'
            if told.unlisted else ''))

    def _check_profiles(self) -> Any:
        """Every site profile is valid for the version installed."""
        folder = CONF.accelerator.profile_path
        if not folder:
            return Result(Code.SUCCESS, 'profile_path is not set')
        if not pathlib.Path(folder).is_dir():
            return Result(Code.FAILURE, (
                f'profile_path: {folder}: not a directory'))
        bad = []
        paths = sorted(pathlib.Path(folder).glob('*.yaml'))
        for path in paths:
            try:
                loader.load_text(
                    files.read_text(str(path), strict_yaml.MAX_LENGTH),
                    source=path.name, catalog=catalogue.catalogue())
            except AccelError as exc:
                bad.append(str(exc))
            except (OSError, UnicodeDecodeError) as exc:
                bad.append(f'{path.name}: '
                           f'{getattr(exc, "strerror", None) or exc}')
        if bad:
            return Result(Code.FAILURE, '; '.join(bad))
        return Result(Code.SUCCESS, f'{len(paths)} files')

    def _check_files(self) -> Any:
        """Profile and catalogue files are not writable by other users."""
        folders = [pathlib.Path(f) for f in (
            CONF.accelerator.profile_path, CONF.accelerator.catalogue_path)
            if f]
        told = files.warning(str(p) for f in folders
                             for p in (f, *sorted(f.glob('*.yaml'))))
        if told:
            return Result(Code.WARNING, told)
        return Result(Code.SUCCESS)

    def _check_sessions(self) -> Any:
        """Ironic keeps a session for each BMC of a conductor."""
        size = CONF.redfish.connection_cache_size
        bmcs = queries.count_bmcs()
        online = max(1, len(profile_agreement.online()))
        if bmcs > size * online:
            return Result(Code.WARNING, (
                f'{bmcs} BMCs, {online} conductor{"s" * (online > 1)} online, '
                f'[redfish]connection_cache_size is {size}: a conductor that '
                'manages more BMCs than that logs in again for each reading '
                'of a BMC: set it to the number of BMCs that one conductor '
                'may have to manage'))
        return Result(Code.SUCCESS, f'{bmcs} BMCs')

    def _check_records(self) -> Any:
        """No node has a record that the version installed cannot read."""
        found = [f'{r.uuid}: {why}' for r in _nodes(keys.RECORD.name)
                 if (why := operation.later_version(r))]
        if found:
            return Result(Code.FAILURE, _some(found))
        return Result(Code.SUCCESS)

    def _check_updates(self) -> Any:
        """Nothing is being written: a restart can be waited with."""
        busy = [f"{r.uuid}: {g['what']}" for r in _nodes(keys.GUARD.name)
                if (g := flash_guard.lock_of(r))]
        stuck = [f'{r.uuid}: {r.provision_state}'
                 for r in _nodes(keys.OPERATION.name)
                 if r.provision_state in (
                     states.CLEANING, states.DEPLOYING, states.SERVICING)]
        lost = [f'{uuid}: an update in progress, whose record was overwritten'
                for uuid in sorted(guard_copy.all_overwritten())]
        if busy or stuck or lost:
            return Result(Code.WARNING, (
                'under way, and taken up again after a restart where the '
                'node waits: ' + _some(busy + stuck + lost)))
        return Result(Code.SUCCESS)

    _upgrade_checks = (
        ('Release of Ironic', _check_ironic),
        ('Conductors', lambda _: conductors.check()),
        ('Enabled interfaces', _check_interfaces),
        ('Disallowed steps', lambda _: step_access.disallowed()),
        ('Policies of single steps', lambda _: step_access.of_policies()),
        ('Storage of inventories', _check_inventory),
        ('Redfish vendor plug-ins', _check_vendors),
        ('Site profiles', _check_profiles),
        ('Permissions of the site profiles', _check_files),
        ('Sessions with BMCs', _check_sessions),
        ('Records of the nodes', _check_records),
        ('No update in progress', _check_updates))


def _nodes(key: str) -> list[Any]:
    return queries.with_key(key, ('provision_state',))


def _some(found: list[str]) -> str:
    more = len(found) - SHOWN
    return '; '.join(found[:SHOWN]) + (f'; {more} more' if more > 0 else '')


def main() -> int:
    """The command; see ``ironic-accel-status upgrade check --help``."""
    try:
        code: int = upgradecheck.main(
            cfg.CONF, project='ironic', upgrade_command=Checks())
    except (db_exc.DBError, sqlalchemy.exc.SQLAlchemyError) as exc:
        print(f'cannot read the database of Ironic: {exc}', file=sys.stderr)
        return int(Code.FAILURE)
    return code


if __name__ == '__main__':
    sys.exit(main())
