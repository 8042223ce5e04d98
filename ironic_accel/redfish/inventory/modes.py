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

"""Modes out of band: where each is read, and where and how it is written.

Sources: DMTF Processor v1.22 (MemorySummary.ECCModeEnabled, the FPGA
object), NetworkAdapter v1.14 (SRIOVEnabled), Settings v1.4; NVIDIA bmcweb
(``Oem.Nvidia`` of Processor and its settings object: MIGModeEnabled is
patched on the Processor itself, the others on the settings object);
NVIDIA BlueField BMC documentation (``Mode`` and ``Mode.Set``).
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.reading_status import Standing
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import Found

Path = tuple[str | int, ...]

_WORDS = {True: 'enabled', False: 'disabled'}
_CC = ('Oem', 'Nvidia', 'CCModeEnabled')
_CC_DEV = ('Oem', 'Nvidia', 'CCDevModeEnabled')
_SRIOV = ('ControllerCapabilities', 'VirtualizationOffload', 'SRIOV',
          'SRIOVEnabled')
_DPU_WORDS = {'DpuMode': 'dpu', 'NicMode': 'nic'}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One property that is a mode.

    :ivar path: the property.
    :ivar settings: whether it is written on, and pending in, the settings
        object.
    :ivar number: whether the value is a number and not a switch.
    """

    kinds: tuple[str, ...]
    name: str
    path: Path
    settings: bool
    number: bool = False


ROWS = (
    Row(('gpu',), 'ecc', ('MemorySummary', 'ECCModeEnabled'), True),
    Row(('gpu',), 'mig', ('Oem', 'Nvidia', 'MIGModeEnabled'), False),
    Row(('gpu',), 'egm', ('Oem', 'Nvidia', 'EGMModeEnabled'), True),
    Row(('nic', 'dpu'), 'sriov', ('Controllers', 0, *_SRIOV), True),
    Row(('fpga',), 'virtual-functions', ('FPGA', 'PCIeVirtualFunctions'),
        True, number=True),
    Row(('fpga',), 'host-programming', ('FPGA', 'ProgrammableFromHost'),
        True),
)


#: BIOS attributes that are modes.
ATTRIBUTES = frozenset({'NicMode'})

#: Modes that some BMC can set, by any of the ways in this module.
NAMES = frozenset({'cc', 'mode'} | {row.name for row in ROWS})


def settings_uri(shown: Fields) -> str | None:
    """Where a resource's pending values stand (Settings v1.4)."""
    return shown.link('@Redfish.Settings', 'SettingsObject')


def settings_target(shown: Fields) -> str | None:
    """The same as a target of writes: with the host that it may name."""
    return shown.target_link('@Redfish.Settings', 'SettingsObject')


def read(reader: Reader, found: Found, kind: str, catalog: Catalog,
         product: str | None, vendor: str | None) -> tuple[Mode, ...]:
    """The modes that a device has, with their pending values."""
    out: list[Mode] = []
    shown = found.shown
    rows = [r for r in ROWS if kind in r.kinds
            and _known(shown, r.path)]
    has_cc = kind == 'gpu' and _known(shown, _CC)
    waiting = None
    if any(r.settings for r in rows) or has_cc:
        waiting = reader.read(settings_uri(shown), spoils=part(
            found.uri, *(f'mode:{r.name}' for r in rows if r.settings),
            *(('mode:cc',) if has_cc else ())))
    for row in rows:
        now = _value(shown, row)
        soon = _value(waiting, row) if waiting and row.settings else None
        out.append(Mode(row.name, now, None if soon == now else soon,
                        uri=found.uri, standing=_standing(
                            found, row.name, now, shown, row.path)))
    if has_cc:
        now, soon = _cc(shown), _cc(waiting) if waiting else None
        out.append(Mode('cc', now, None if soon == now else soon,
                        uri=found.uri, standing=_standing(
                            found, 'cc', now, shown, _CC)))
    if kind == 'dpu':
        out += _dpu(reader, found)
    return tuple(_with_facts(m, kind, catalog, product, vendor)
                 for m in out)


def _standing(found: Found, name: str, value: Value | None, shown: Fields,
              path: Path) -> Standing:
    """Why a mode has no value: null is untold, garbage is unread."""
    if value is None and shown.has(*path):
        found.unread.add(f'mode:{name}')
        return Standing.UNREAD
    return Standing.UNTOLD


def _known(shown: Fields, path: Path) -> bool:
    """Whether a resource has a property, be it null."""
    value: Any = shown.doc
    for key in path[:-1]:
        if isinstance(key, int):
            value = (value[key] if isinstance(value, list)
                     and len(value) > key else None)
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return isinstance(value, Mapping) and path[-1] in value


def _value(shown: Fields, row: Row) -> Value | None:
    if row.number:
        return shown.number(*row.path)
    flag = shown.flag(*row.path)
    return None if flag is None else _WORDS[flag]


def _cc(shown: Fields) -> str | None:
    """Confidential computing: devtools is a form of on."""
    on, tools = shown.flag(*_CC), shown.flag(*_CC_DEV)
    if tools:
        return 'devtools'
    if on is None:
        return None
    return 'on' if on else 'off'


def _dpu(reader: Reader, found: Found) -> list[Mode]:
    """The mode of a BlueField, on its own BMC."""
    oem = found.shown.link('Oem', 'Nvidia')
    fact = part(found.uri, 'mode:mode')
    shown = reader.read(oem, spoils=fact)
    if shown is not None and shown.knows('Mode'):
        # An empty text is what a real one gave: unknown.
        word = (shown.word('Mode', known=_DPU_WORDS)
                if shown.doc.get('Mode') else None)
        return [Mode('mode', _DPU_WORDS[word] if word else None,
                     uri=shown.uri, standing=_standing(
                         found, 'mode', word, shown, ('Mode',))
                     if shown.doc.get('Mode') else Standing.UNTOLD)]
    bios = reader.read(found.shown.link('Bios'), spoils=fact)
    if bios is None or not bios.knows('Attributes', 'NicMode'):
        return []
    waiting = reader.read(settings_uri(bios), spoils=fact)
    now = _nic_mode(bios)
    soon = _nic_mode(waiting) if waiting else None
    return [Mode('mode', now, None if soon == now else soon, uri=bios.uri,
                 standing=_standing(found, 'mode', now, bios,
                                    ('Attributes', 'NicMode')))]


def _nic_mode(bios: Fields) -> str | None:
    """BlueField-2 has the mode as a BIOS attribute."""
    word = bios.word('Attributes', 'NicMode', known=_DPU_WORDS)
    return _DPU_WORDS[word] if word else None


def _with_facts(mode: Mode, kind: str, catalog: Catalog,
                product: str | None, vendor: str | None) -> Mode:
    facts = catalog.mode(kind, mode.name, product, vendor)
    if facts is None:
        return mode
    return dataclasses.replace(
        mode, effect=facts.effect, persists=facts.persists,
        unordered=facts.unordered, allowed=facts.values or None)


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A mode as it reads just now.

    :ivar now: the value that is active.
    :ivar soon: the value that waits, or None.
    :ivar hides: whether a value that waits would not be seen.
    """

    now: Value | None
    soon: Value | None
    hides: bool


def shown_now(reader: Reader, uri: str, name: str) -> Shown | None:
    """A mode as it reads now; None where it, or the settings object that it
    refers to, was not read: that is not "nothing waits".

    :param uri: ``Mode.uri``.
    :raises: Unreachable where the BMC does not answer.
    """
    doc = reader.fresh(uri)
    if doc is None:
        return None
    shown = reader.fields(doc)
    settings = settings_uri(shown)
    waits = reader.fresh(settings) if settings else None
    if settings is not None and waits is None:
        return None
    waiting = reader.fields(waits) if waits else None
    if name == 'mode':
        if not shown.knows('Mode'):
            return Shown(_nic_mode(shown),
                         _nic_mode(waiting) if waiting else None,
                         waiting is None)
        word = shown.word('Mode', known=_DPU_WORDS)
        return Shown(_DPU_WORDS[word] if word else None, None, True)
    if name == 'cc':
        return Shown(_cc(shown), _cc(waiting) if waiting else None,
                     waiting is None)
    row = next(r for r in ROWS if r.name == name)
    hides = waiting is None or not row.settings
    soon = None if hides or waiting is None else _value(waiting, row)
    return Shown(_value(shown, row), soon, hides)


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """One request that sets a mode."""

    method: str
    uri: str
    body: Mapping[str, Any]


def writes(shown: Fields, name: str, value: Value) -> list[Write] | str:
    """The requests that set a mode, or why there are none.

    :param shown: the resource of ``Mode.uri``, just read.
    """
    if name == 'mode':
        return _write_dpu(shown, value)
    if name == 'cc':
        return _write_cc(shown, value)
    row = next((r for r in ROWS if r.name == name), None)
    if row is None:
        return f'{name} cannot be set out of band'
    uri = settings_target(shown) if row.settings else None
    plain: Any = value
    if not row.number:
        plain = {w: f for f, w in _WORDS.items()}.get(str(value))
    if plain is None or (row.number and type(plain) is not int):
        return f'{name}: {value!r} is no value of it'
    return [Write('PATCH', uri or shown.uri, _nest(shown, row.path, plain))]


def _nest(shown: Fields, path: Path, value: Any) -> dict[str, Any]:
    """The body with one property in its place.

    Members of an array before and after the one that changes are given as
    empty objects, which leaves them as they are (DSP0266, PATCH on arrays).
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


def _write_cc(shown: Fields, value: Value) -> list[Write] | str:
    """CC and its developer mode must not be in one request (bmcweb)."""
    uri = settings_target(shown)
    if uri is None:
        return 'cc: the processor has no settings object'
    wanted = {'off': (False, False), 'on': (True, False),
              'devtools': (None, True)}.get(str(value))
    if wanted is None:
        return f'cc: {value!r}: expected off, on or devtools'
    out = []
    for path, flag in ((_CC_DEV, wanted[1]), (_CC, wanted[0])):
        if flag is not None and shown.flag(*path) != flag:
            out.append(Write('PATCH', uri, _nest(shown, path, flag)))
    return out


def _write_dpu(shown: Fields, value: Value) -> list[Write] | str:
    word = {w: k for k, w in _DPU_WORDS.items()}.get(str(value))
    if word is None:
        return f'mode: {value!r}: expected dpu or nic'
    if last(shown.uri) == 'Bios':
        return [Write('PATCH', settings_target(shown) or shown.uri,
                      {'Attributes': {'NicMode': word}})]
    action = shown.part('Actions', '#Mode.Set').target('target')
    return [Write('POST', action or f'{shown.uri}/Actions/Mode.Set',
                  {'Mode': word})]
