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

"""The identities of the devices, kept beyond the life of one process.

A card whose tool stops answering does not report its serial number any more.
Until the next reboot, and as long as the card at its address has the same PCI
ids, it keeps its identity, also for an agent that was restarted meanwhile. No
version, mode or health is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import json
import logging
import os
import pathlib
import tempfile
from typing import Any

from ironic_accel.bounded import files
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import PciIds
from ironic_accel.model import strict_json
from ironic_accel.model.untrusted import Untrusted
from ironic_accel.model.untrusted import Wrong

LOG = logging.getLogger(__name__)

SCHEMA = 'known/1'
_MOST, _BYTES = 256, 1 << 20
_TEXTS = ('address', 'vendor', 'model', 'product', 'serial', 'part_number')


class IdentityStore:
    """The file; an invalid file counts as none.

    :param path: in a folder that a reboot empties (``/run``).
    """

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)
        self._last: str | None = None

    def load(self, boot: str | None) -> tuple[Device, ...]:
        """The devices as stored in this boot."""
        if boot is None:
            return ()
        try:
            with files.open_regular(str(self._path), follow=False) as file:
                why = files.shared(str(self._path))
                raw = strict_json.parse(file.read(_BYTES + 1), _BYTES)
            if why is not None:
                raise Wrong(why)
            given = Untrusted(raw, 'known')
            given['schema'].one_of((SCHEMA,))
            if given['boot'].text() != boot:
                return ()
            return tuple(map(_device, given['devices'].each(_MOST)))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as exc:
            LOG.warning('Ignoring the saved identities of devices in %s: %s',
                        self._path, exc)
            return ()

    def save(self, boot: str | None, devices: Sequence[Device]) -> None:
        """Store the identities. A failure is logged; nothing is stored then.
        """
        if boot is None:
            return
        text = json.dumps({'schema': SCHEMA, 'boot': boot, 'devices': [
            _plain(d) for d in devices[:_MOST]]})
        if text == self._last:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd, part = tempfile.mkstemp(dir=self._path.parent)
            try:
                with os.fdopen(fd, 'w', encoding='utf-8') as file:
                    file.write(text)
                os.replace(part, self._path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(part)
                raise
        except OSError as exc:
            LOG.warning('Cannot save the identities of devices in %s: %s',
                        self._path, exc)
        else:
            self._last = text


def _plain(device: Device) -> dict[str, Any]:
    pci = device.pci
    return {'kind': device.kind, **{n: getattr(device, n) for n in _TEXTS},
            'pci': [pci.vendor_id, pci.device_id, pci.subsystem_vendor_id,
                    pci.subsystem_id] if pci else None,
            'psid': device.fit.psid, 'board': device.fit.board}


def _device(given: Untrusted) -> Device:
    """:raises: Wrong"""
    def text(name: str) -> str | None:
        return given[name].maybe(given[name].text)

    return Device(given['address'].text(), given['kind'].one_of(KINDS),
                  text('vendor'), text('model'), text('product'),
                  text('serial'), part_number=text('part_number'),
                  pci=given['pci'].maybe(lambda: _pci(given['pci'])),
                  address=given['address'].text(),
                  fit=Fit(text('psid'), text('board')))


def _pci(given: Untrusted) -> PciIds:
    """:raises: Wrong"""
    ids = [p.text(4) if p.value else p.value for p in given.each(4)]
    if len(ids) != 4 or not all(ids[:2]) or any(
            x is not None and not isinstance(x, str) for x in ids):
        raise given.wrong('four PCI ids')
    return PciIds(*ids)
