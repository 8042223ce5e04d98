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

"""Deliver a first-boot unit to an instance.

Modes that do not survive a reboot cannot be set from the ramdisk. Where the
profile and the site allow it, the instance gets a systemd unit that sets
them at each boot: in the config drive where its cloud-init reads one, as
files in its root file system otherwise.

The tenant's config drive is on the disk by then, and its content stays: the
unit is added to ``vendor_data2.json``, which cloud-init processes besides
user data and which a tenant can switch off (cloud-init 26.2,
sources/helpers/openstack.py, sources/__init__.py convert_vendordata).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
import contextlib
import gzip
import io
import json
import pathlib
import posixpath
from typing import Any
import zlib

from openstack.baremetal import configdrive as os_configdrive
import pycdlib
from pycdlib import pycdlibexception

from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access.agent_client import Lost
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation.completion import SHOWN
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation import observe
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import items
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Profile

STEP = 'deliver_first_boot'
WORK = 'first_boot'

#: What a config drive is called, and the folder of OpenStack's data.
DRIVE_LABEL = 'config-2'
DRIVE_ROOT = 'openstack'
VENDOR = 'vendor_data2.json'
#: A drive's files by their path.
Files = dict[str, bytes]


class DriveUnfit(Exception):
    """A drive that cannot carry more, and why."""


@context.register_work(WORK)
def deliver_unit(ctx: Context) -> Ending | None:
    """Take an inventory of devices and instance, and deliver the unit.

    Calling it again gives the same result.

    :raises: Unreachable if the agent does not respond or is busy.
    """
    profile = context.profile_of(ctx.node, ctx.operation)
    seen = ctx.backend.observe()
    if seen.busy or not seen.complete:
        return observe.wait(ctx, seen)
    wanted, refused = items.volatile(profile, seen, ctx.facts)
    if refused:
        first = refused[0]
        return _refused(ctx, first.reason, device=first.item.device or None,
                        component=first.item.name or None,
                        expected=_text(first.expected),
                        seen=_text(first.seen))
    if not wanted:
        return Ending(ctx.operation, facts={
            'note': 'nothing to deliver: all modes of the profile are '
                    'persistent'})
    return _deliver(ctx, profile, wanted, seen)


def _deliver(ctx: Context, profile: Profile, wanted: tuple[Item, ...],
             seen: Inventory) -> Ending:
    calls = AgentCalls(ctx.task)
    document = items.build(profile, wanted, seen)
    found = _ask(calls, document=document, look_only=True)
    if found['reasons']:
        return _refused(ctx, '; '.join(found['reasons']))
    drive, why = None, 'cloud-init of the image does not read a config drive'
    # A ramdisk of the release before has the method under ``way``.
    if found.get('method', found.get('way')) == 'configdrive':
        try:
            drive = add_vendor_part(
                ctx.node, deliver.vendor_part(deliver.files(document)))
        except DriveUnfit as exc:
            why = str(exc)
    done = _ask(calls, document=document, configdrive=drive,
                node=ctx.node.uuid)
    if done['reasons']:
        return _refused(ctx, '; '.join(done['reasons']))
    facts = {'profile': profile.name, 'digest': profile.digest,
             'delivered': done['delivered'],
             'first_boot': [f'{i.device}/{i.name}' for i in wanted][:SHOWN],
             'first_boot_count': len(wanted)}
    if done['delivered'] == 'files':
        facts['note'] = f'as files: {why}'
    return Ending(ctx.operation, facts=facts)


def _ask(calls: AgentCalls, **params: Any) -> dict[str, Any]:
    """Send the request to the agent. It is idempotent, so a lost response is
    not an unknown result.

    :raises: Unreachable; AccelError if the unit cannot be written.
    """
    try:
        answer: dict[str, Any] = calls.ask('accel_first_boot', **params)[
            'first_boot']
    except Lost as exc:
        raise Unreachable(exc.detail) from exc
    return answer


def _refused(ctx: Context, reason: str, **known: Any) -> Ending:
    return Ending(ctx.operation, Detail(
        f'refused, nothing was delivered: {reason}',
        ErrorClass.NEEDS_OPERATOR, **known))


def _text(value: object) -> str | None:
    return None if value is None else (
        value if isinstance(value, str) else json.dumps(value))


def add_vendor_part(node: Any, part: str) -> str:
    """The node's config drive with a part of vendor data added.

    :returns: base64 of a gzipped ISO 9660 image, as Ironic has them.
    :raises: DriveUnfit where there is none, or it cannot be changed. Without a
        drive none is made: it would take the place of the metadata service
        from which cloud-init has the instance's keys and network.
    """
    drive = node.instance_info.get('configdrive')
    if not drive:
        raise DriveUnfit('the instance has no config drive')
    if isinstance(drive, Mapping):
        files = _of_data(node, drive)
    elif isinstance(drive, str) and '://' not in drive[:16]:
        files = read_drive(drive)
    else:
        raise DriveUnfit('the config drive is a URL')
    folders = sorted({posixpath.dirname(p) for p in files
                      if p.startswith(f'{DRIVE_ROOT}/')
                      and p.endswith('/meta_data.json')})
    if not folders:
        raise DriveUnfit(f'the config drive has no directory {DRIVE_ROOT}')
    for folder in folders:
        if b'vendor_data' in files.get(f'{folder}/user_data', b''):
            raise DriveUnfit('the user data configure vendor data')
        path = f'{folder}/{VENDOR}'
        files[path] = _added(files.get(path), part)
    return _pack(files)


def _of_data(node: Any, drive: Mapping[str, Any]) -> Files:
    """The files of a drive given as data, as Ironic fills it up
    (ironic/conductor/configdrive_utils.py build_configdrive)."""
    meta = {'uuid': node.uuid, **({'name': node.name} if node.name else {}),
            **(drive.get('meta_data') or {})}
    user = drive.get('user_data')
    if isinstance(user, dict | list):
        user = json.dumps(user)
    with os_configdrive.populate_directory(
            meta, user_data=user.encode() if user else None,
            network_data=drive.get('network_data'),
            vendor_data=drive.get('vendor_data')) as folder:
        root = pathlib.Path(folder)
        return {p.relative_to(root).as_posix(): p.read_bytes()
                for p in root.rglob('*') if p.is_file()}


def read_drive(drive: str) -> Files:
    """The files of a drive, as Ironic has them.

    :raises: DriveUnfit where it is no such image.
    """
    files: Files = {}
    iso = pycdlib.PyCdlib()
    try:
        raw = gzip.decompress(base64.b64decode(drive))
        iso.open_fp(io.BytesIO(raw))
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error,
            pycdlibexception.PyCdlibException) as exc:
        raise DriveUnfit('the config drive is not an ISO 9660 image') from exc
    with contextlib.closing(iso):
        if not iso.has_rock_ridge():
            raise DriveUnfit('the config drive has no Rock Ridge extensions')
        for folder, _, names in iso.walk(rr_path='/'):
            for name in names:
                path = posixpath.join(folder, name)
                out = io.BytesIO()
                iso.get_file_from_iso_fp(out, rr_path=path)
                files[path.lstrip('/')] = out.getvalue()
    return files


def _added(before: bytes | None, part: str) -> bytes:
    """A document vendor_data2.json with one more part for cloud-init."""
    try:
        data = json.loads(before) if before else {}
    except ValueError as exc:
        raise DriveUnfit(f'{VENDOR} of the config drive is not valid '
                         'JSON') from exc
    if not isinstance(data, dict):
        data = {'cloud-init': data}
    theirs = data.get('cloud-init') or []
    if isinstance(theirs, dict):
        raise DriveUnfit(f'{VENDOR} of the config drive has other content')
    parts = theirs if isinstance(theirs, list) else [theirs]
    return json.dumps({**data, 'cloud-init': [*parts, part]}).encode()


def _pack(files: Files) -> str:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=DRIVE_LABEL, joliet=3,
            rock_ridge='1.09')
    short: dict[str, str] = {'': ''}
    with contextlib.closing(iso):
        for number, path in enumerate(sorted(files)):
            _folders(iso, posixpath.dirname(path), short)
            folder, name = posixpath.split(path)
            content = files[path]
            iso.add_fp(io.BytesIO(content), len(content),
                       f'{short[folder]}/F{number:07}.;1', rr_name=name,
                       joliet_path=f'/{path}')
        out = io.BytesIO()
        iso.write_fp(out)
    return base64.b64encode(gzip.compress(out.getvalue())).decode()


def _folders(iso: Any, path: str, short: dict[str, str]) -> None:
    """Make the folders of a path; ``short`` has their ISO 9660 names."""
    if path in short:
        return
    parent, name = posixpath.split(path)
    _folders(iso, parent, short)
    short[path] = f'{short[parent]}/D{len(short):07}'
    iso.add_directory(short[path], rr_name=name, joliet_path=f'/{path}')
