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

"""Modes over Redfish: where each is read, and where and how it is written.

Sources: DMTF Processor v1.22 (MemorySummary.ECCModeEnabled, the FPGA
object), NetworkAdapter v1.14 (SRIOVEnabled), Settings v1.4; the vendors'
tables for modes of their own.

``power-limit`` is the limit that the host's driver has. PowerLimitWatts of
EnvironmentMetrics is another limit of the same GPU, which the driver takes
into account besides (NVML API reference, nvmlDeviceGetEnforcedPowerLimit: the
enforced limit differs if one is set elsewhere, as out of band), so it is
neither a value of that mode nor contradicts one.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog import Product
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.reading_status import Standing
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.vendors.mode_rows import BiosMode
from ironic_accel.redfish.vendors.mode_rows import FlagPairMode
from ironic_accel.redfish.vendors.mode_rows import LinkedMode
from ironic_accel.redfish.vendors.mode_rows import ModeRow
from ironic_accel.redfish.vendors.mode_rows import Path
from ironic_accel.redfish.vendors.mode_rows import PropertyMode
from ironic_accel.redfish.vendors.mode_rows import ReadingMode
from ironic_accel.redfish.vendors.mode_rows import SettableMode
from ironic_accel.redfish.vendors import registry

_WORDS = {True: 'enabled', False: 'disabled'}
_SRIOV = ('ControllerCapabilities', 'VirtualizationOffload', 'SRIOV',
          'SRIOVEnabled')

#: Modes that are standard properties.
ROWS: tuple[ModeRow, ...] = (
    PropertyMode(('gpu',), 'ecc', ('MemorySummary', 'ECCModeEnabled'), True),
    PropertyMode(('nic', 'dpu'), 'sriov', ('Controllers', 0, *_SRIOV), True),
    PropertyMode(('fpga',), 'virtual-functions',
                 ('FPGA', 'PCIeVirtualFunctions'), True, number=True),
    PropertyMode(('fpga',), 'host-programming',
                 ('FPGA', 'ProgrammableFromHost'), True),
)


@functools.lru_cache(maxsize=1)
def _rows() -> tuple[ModeRow, ...]:
    """The rows of the standard, then those of the vendors."""
    return (*ROWS, *(r for v in registry.vendors() for r in v.modes))


def names() -> frozenset[str]:
    """Names of the modes that can be set over Redfish."""
    return frozenset(row.name for row in _rows()
                     if not isinstance(row, ReadingMode))


def attributes() -> frozenset[str]:
    """BIOS attributes that are modes."""
    return frozenset(r.attribute for r in _rows() if isinstance(r, BiosMode))


def settings_uri(shown: Fields) -> str | None:
    """Path of the settings object with pending values (Settings v1.4)."""
    return shown.link('@Redfish.Settings', 'SettingsObject')


def settings_target(shown: Fields) -> str | None:
    """The same as the target of a write, with the host in the URI, if any."""
    return shown.target_link('@Redfish.Settings', 'SettingsObject')


def read(reader: Reader, found: FoundDevice, kind: str, catalog: Catalog,
         product: str | None, vendor: str | None) -> tuple[Mode, ...]:
    """The modes of a device, with their pending values."""
    rows = [r for r in _rows() if kind in r.kinds]
    own = [r for r in rows if isinstance(r, PropertyMode | FlagPairMode)
           and _known(found.shown, r.path)]
    kept = [r for r in own if isinstance(r, FlagPairMode) or r.settings]
    waiting = None
    if kept:
        waiting = reader.read(settings_uri(found.shown), impact=part(
            found.uri, *(f'mode:{r.name}' for r in kept)))
    out: dict[str, Mode] = {}
    for row in rows:
        mode = None
        if row.name in out:
            continue
        if isinstance(row, LinkedMode):
            mode = _linked(reader, found, row)
        elif isinstance(row, BiosMode):
            mode = _bios(reader, found, row)
        elif isinstance(row, ReadingMode):
            mode = _reading(reader, found, row, catalog.product(product))
        elif row in own:
            soon = (_value(waiting, row) if waiting and row in kept else None)
            mode = _mode(found, row, found.shown, row.path, soon)
        if mode is not None:
            out[row.name] = mode
    return tuple(_with_facts(m, kind, catalog, product, vendor)
                 for m in out.values())


def _mode(found: FoundDevice, row: SettableMode, shown: Fields, path: Path,
          soon: Value | None) -> Mode:
    """One mode as a resource reports it."""
    now = _value(shown, row)
    return Mode(row.name, now, None if soon == now else soon, uri=shown.uri,
                standing=_reading_status(found, row.name, now, shown, path))


def _reading_status(found: FoundDevice, name: str, value: Value | None,
                    shown: Fields, path: Path) -> Standing:
    """Why a mode has no value: null is not reported, anything else unread."""
    if value is None and shown.has(*path):
        found.unread.add(f'mode:{name}')
        return Standing.UNREAD
    return Standing.NOT_REPORTED


def _known(shown: Fields, path: Path) -> bool:
    """Whether a resource has a property, even if it is null."""
    value: Any = shown.doc
    for key in path[:-1]:
        if isinstance(key, int):
            value = (value[key] if isinstance(value, list)
                     and len(value) > key else None)
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return isinstance(value, Mapping) and path[-1] in value


def _value(shown: Fields, row: SettableMode) -> Value | None:
    """The value of a mode in the resource that reports it."""
    if isinstance(row, FlagPairMode):
        on, form = shown.flag(*row.path), shown.flag(*row.form)
        if form:
            return row.words[2]
        return None if on is None else row.words[on]
    if isinstance(row, LinkedMode | BiosMode):
        path = _word_path(row)
        # An empty string is no value, but not invalid.
        word = (shown.word(*path, known=row.words)
                if isinstance(row, BiosMode) or shown.doc.get(row.property)
                else None)
        return row.words[word] if word else None
    if row.number:
        return shown.number(*row.path)
    flag = shown.flag(*row.path)
    return None if flag is None else _WORDS[flag]


def _word_path(row: LinkedMode | BiosMode) -> tuple[str, ...]:
    return ((row.property,) if isinstance(row, LinkedMode)
            else ('Attributes', row.attribute))


def _linked(reader: Reader, found: FoundDevice,
            row: LinkedMode) -> Mode | None:
    """A mode of a resource that the device links to."""
    shown = reader.read(found.shown.link(*row.link),
                        impact=part(found.uri, f'mode:{row.name}'))
    if shown is None or not shown.knows(row.property):
        return None
    mode = _mode(found, row, shown, (row.property,), None) if shown.doc.get(
        row.property) else Mode(row.name, None, uri=shown.uri,
                                standing=Standing.NOT_REPORTED)
    return mode


def _bios(reader: Reader, found: FoundDevice, row: BiosMode) -> Mode | None:
    """A mode that is a BIOS attribute of a device's own System."""
    fact = part(found.uri, f'mode:{row.name}')
    bios = reader.read(found.shown.link('Bios'), impact=fact)
    if bios is None or not bios.knows(*_word_path(row)):
        return None
    waiting = reader.read(settings_uri(bios), impact=fact)
    soon = _value(waiting, row) if waiting else None
    return _mode(found, row, bios, _word_path(row), soon)


def _reading(reader: Reader, found: FoundDevice, row: ReadingMode,
             product: Product | None) -> Mode | None:
    """A mode that is read over Redfish and not set (``names``).

    The resource is not read for a product that cannot have the mode.
    """
    uri = found.shown.link(*row.link)
    if uri is None or (product is not None and row.name not in product.modes):
        return None
    shown = reader.read(uri, impact=part(found.uri, f'mode:{row.name}'))
    if shown is None or not _known(shown, row.path):
        return None
    word = shown.word(*row.path, known=row.words)
    now = row.words[word] if word else None
    flag = shown.flag(*row.soon) if row.soon else None
    soon = None if flag is None else _WORDS[flag]
    return Mode(
        row.name, now, None if soon == now else soon, uri=shown.uri,
        standing=_reading_status(found, row.name, now, shown, row.path))


def _row_of(shown: Fields, name: str) -> SettableMode | None:
    """The row of a mode in the resource that reports it."""
    rows = [row for row in _rows() if row.name == name
            and not isinstance(row, ReadingMode)]
    return next((r for r in rows if _shows(shown, r)), (*rows, None)[0])


def _shows(shown: Fields, row: SettableMode) -> bool:
    if isinstance(row, LinkedMode):
        return shown.knows(row.property)
    if isinstance(row, BiosMode):
        return last(shown.uri) == 'Bios'
    return _known(shown, row.path)


def _with_facts(mode: Mode, kind: str, catalog: Catalog,
                product: str | None, vendor: str | None) -> Mode:
    facts = catalog.mode(kind, mode.name, product, vendor)
    if facts is None:
        return mode
    return dataclasses.replace(
        mode, activation=facts.activation, persistent=facts.persistent,
        unordered=facts.unordered, allowed=facts.values or None)


@dataclasses.dataclass(frozen=True, slots=True)
class ModeState:
    """The current state of a mode.

    :ivar now: the active value.
    :ivar soon: the pending value, or None.
    :ivar hides: whether a pending value is not reported.
    """

    now: Value | None
    soon: Value | None
    hides: bool


def current_state(reader: Reader, uri: str, name: str) -> ModeState | None:
    """A mode by the last reading; None if its resource or settings object
    was not read, which does not mean that nothing is pending.

    :param uri: ``Mode.uri``; the reader's copy counts as recent.
    :raises: Unreachable if the BMC does not respond.
    """
    doc = reader.get(uri)
    if doc is None:
        return None
    shown = reader.fields(doc)
    settings = settings_uri(shown)
    waits = reader.get(settings) if settings else None
    if settings is not None and waits is None:
        return None
    waiting = reader.fields(waits) if waits else None
    row = _row_of(shown, name)
    if row is None:
        return None
    hides = waiting is None or isinstance(row, LinkedMode) or (
        isinstance(row, PropertyMode) and not row.settings)
    soon = None if hides or waiting is None else _value(waiting, row)
    return ModeState(_value(shown, row), soon, hides)


@dataclasses.dataclass(frozen=True, slots=True)
class ModeWrite:
    """One request that sets a mode."""

    method: str
    uri: str
    body: Mapping[str, Any]


def writes(shown: Fields, name: str, value: Value) -> list[ModeWrite] | str:
    """The requests that set a mode, or why there are none.

    :param shown: a current reading of the resource of ``Mode.uri``.
    """
    row = _row_of(shown, name)
    if row is None:
        return f'{name} cannot be set out of band'
    if isinstance(row, LinkedMode | BiosMode):
        return _write_word(shown, row, value)
    if isinstance(row, FlagPairMode):
        return _write_flags(shown, row, value)
    uri = settings_target(shown) if row.settings else None
    plain: Any = value
    if not row.number:
        plain = {w: f for f, w in _WORDS.items()}.get(str(value))
    if plain is None or (row.number and type(plain) is not int):
        return f'{name}: {value!r} is not a valid value'
    return [ModeWrite('PATCH', uri or shown.uri,
                      _body_with(shown, row.path, plain))]


def _body_with(shown: Fields, path: Path, value: Any) -> dict[str, Any]:
    """A request body with one property at a path.

    The other members of an array are empty objects, which leaves them
    unchanged (DSP0266, PATCH on arrays).
    """
    body: Any = value
    for depth in range(len(path) - 1, -1, -1):
        key = path[depth]
        if isinstance(key, int):
            there = len(shown.parts(*path[:depth]))
            body = [body if i == key else {} for i in range(max(there, 1))]
        else:
            body = {key: body}
    assert isinstance(body, dict)  # noqa: S101
    return body


def _write_flags(shown: Fields, row: FlagPairMode, value: Value
                 ) -> list[ModeWrite] | str:
    """The requests for the two properties of a mode, one for each."""
    uri = settings_target(shown)
    if uri is None:
        return f'{row.name}: the resource has no settings object'
    off, on, form = row.words
    wanted = {off: (False, False), on: (True, False),
              form: (None, True)}.get(str(value))
    if wanted is None:
        return f'{row.name}: {value!r}: expected {off}, {on} or {form}'
    out = []
    for path, flag in ((row.form, wanted[1]), (row.path, wanted[0])):
        if flag is not None and shown.flag(*path) != flag:
            out.append(ModeWrite('PATCH', uri, _body_with(shown, path, flag)))
    return out


def _write_word(shown: Fields, row: LinkedMode | BiosMode, value: Value
                ) -> list[ModeWrite] | str:
    word = {w: k for k, w in row.words.items()}.get(str(value))
    if word is None:
        return (f'{row.name}: {value!r}: expected '
                f'{" or ".join(row.words.values())}')
    if isinstance(row, BiosMode):
        return [ModeWrite('PATCH', settings_target(shown) or shown.uri,
                      {'Attributes': {row.attribute: word}})]
    action = shown.part('Actions', row.action).target('target')
    return [ModeWrite('POST', action or f'{shown.uri}/Actions/'
                  f'{row.action.removeprefix("#")}', {row.property: word})]
