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

"""A config drive with one more part of vendor data in it.

The tenant's own drive is on the disk by then, and what is in it stays as it
is: the part is added to ``vendor_data2.json``, which cloud-init processes
besides user data and which a tenant can switch off (cloud-init 26.2,
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

#: What a config drive is called, and the folder of OpenStack's data.
LABEL = 'config-2'
ROOT = 'openstack'
VENDOR = 'vendor_data2.json'
#: A drive's files by their path.
Files = dict[str, bytes]


class Unfit(Exception):
    """A drive that cannot carry more, and why."""


def with_part(node: Any, part: str) -> str:
    """The node's config drive with a part of vendor data added.

    :returns: base64 of a gzipped ISO 9660 image, as Ironic has them.
    :raises: Unfit where there is none, or it cannot be changed. Without a
        drive none is made: it would take the place of the metadata service
        from which cloud-init has the instance's keys and network.
    """
    drive = node.instance_info.get('configdrive')
    if not drive:
        raise Unfit('the instance has no config drive')
    if isinstance(drive, Mapping):
        files = _of_data(node, drive)
    elif isinstance(drive, str) and '://' not in drive[:16]:
        files = read(drive)
    else:
        raise Unfit('the config drive is given by a URL')
    folders = sorted({posixpath.dirname(p) for p in files
                      if p.startswith(f'{ROOT}/')
                      and p.endswith('/meta_data.json')})
    if not folders:
        raise Unfit(f'the config drive has no folder {ROOT}')
    for folder in folders:
        if b'vendor_data' in files.get(f'{folder}/user_data', b''):
            raise Unfit('the user data say what becomes of vendor data')
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


def read(drive: str) -> Files:
    """The files of a drive, as Ironic has them.

    :raises: Unfit where it is no such image.
    """
    files: Files = {}
    iso = pycdlib.PyCdlib()
    try:
        raw = gzip.decompress(base64.b64decode(drive))
        iso.open_fp(io.BytesIO(raw))
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error,
            pycdlibexception.PyCdlibException) as exc:
        raise Unfit('the config drive is no ISO 9660 image') from exc
    with contextlib.closing(iso):
        if not iso.has_rock_ridge():
            raise Unfit('the config drive has no Rock Ridge names')
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
        raise Unfit(f'{VENDOR} of the config drive is no JSON') from exc
    if not isinstance(data, dict):
        data = {'cloud-init': data}
    theirs = data.get('cloud-init') or []
    if isinstance(theirs, dict):
        raise Unfit(f'{VENDOR} of the config drive is for others')
    parts = theirs if isinstance(theirs, list) else [theirs]
    return json.dumps({**data, 'cloud-init': [*parts, part]}).encode()


def _pack(files: Files) -> str:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, joliet=3,
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
