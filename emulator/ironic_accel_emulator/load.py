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

"""Make a system from a capture or from one of the shipped descriptions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ironic_accel_emulator import documents
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.clock import Clock, ScaledClock
from ironic_accel_emulator.families import FAMILIES, family_of
from ironic_accel_emulator.families.base import Family
from ironic_accel_emulator.options import Options
from ironic_accel_emulator.templates import build

_BOXES = resources.files('ironic_accel_emulator') / 'boxes'


def shipped() -> list[str]:
    """The names of the systems in this package."""
    return sorted(
        entry.name.removesuffix('.yaml')
        for entry in _BOXES.iterdir()
        if entry.name.endswith('.yaml')
    )


def load_box(
    source: str | Path, clock: Clock | None = None, **options: Any
) -> Box:
    """Make a system.

    ``source`` is the name of a shipped system, a YAML file, a capture
    tarball, or a folder with an unpacked capture. ``options`` are fields
    of ``Options``; ``timing`` may be a mapping of seconds. Raises
    ValueError for an invalid source or option.
    """
    clock = ScaledClock() if clock is None else clock
    return blueprint(source).box(clock, **options)


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """The description of a system, from which any number can be made."""

    name: str
    documents: documents.Documents
    family: type[Family]
    options: Options

    def box(self, clock: Clock, **options: Any) -> Box:
        """Make a system; see ``load_box``."""
        chosen = _options(self.options, options, 'options')
        return Box(self.name, self.documents.copy(), self.family(), clock,
                   chosen)  # fmt: skip


def blueprint(source: str | Path) -> Blueprint:
    """Read the description for ``load_box``.

    Raises ValueError for an invalid source.
    """
    path = Path(source)
    if str(source) in shipped():
        text = (_BOXES / f'{source}.yaml').read_text()
        return _from_yaml(str(source), text)
    if path.suffix in ('.yaml', '.yml') and path.is_file():
        return _from_yaml(path.stem, path.read_text())
    if path.is_dir():
        found = documents.from_folder(path)
    elif path.is_file():
        found = documents.from_tarball(path)
    else:
        raise ValueError(
            f'system: {str(source)!r}: expected a capture, a YAML file or one '
            f'of {", ".join(shipped())}'
        )
    name = path.name.partition('.')[0]
    return Blueprint(name, found, type(family_of(found)), Options())


def _from_yaml(name: str, text: str) -> Blueprint:
    spec = yaml.safe_load(text)
    if not isinstance(spec, dict):
        raise ValueError(f'system {name}: expected a mapping')
    base = _options(Options(), spec.get('options') or {}, f'system {name}')
    found = build(spec, name)
    family = spec.get('family')
    if family is not None and family not in FAMILIES:
        raise ValueError(
            f'system {name}.family: {family!r}: expected one of '
            f'{[*FAMILIES]}'
        )
    kind = FAMILIES[family] if family else type(family_of(found))
    return Blueprint(name, found, kind, base)


def _options(base: Options, given: Mapping[str, Any], where: str) -> Options:
    values = dict(given)
    known = [item.name for item in dataclasses.fields(Options)]
    for name in values:
        if name not in known:
            raise ValueError(
                f'{where}.{name}: unknown: expected one of {known}'
            )
    timing = values.get('timing')
    if isinstance(timing, Mapping):
        where = f'{where}.timing'
        values['timing'] = base.timing.changed(timing, where)
    if values.get('power') not in (None, 'On', 'Off'):
        raise ValueError(
            f'{where}.power: {values["power"]!r}: expected On or Off'
        )
    return dataclasses.replace(base, **values)
