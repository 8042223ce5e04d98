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

"""Versions, compared exactly and by the rules of their own form.

A form defines which texts it accepts and how two of them are ordered.
Versions of different series (another board's bundle, another InfoROM) are not
ordered at all: ``compare`` returns None, and the caller has to refuse.

``nvidia-vbios``
    ``96.00.A6.00.01``: five fields of two hexadecimal digits (nvidia-smi,
    Redfish Processor.FirmwareVersion); also of NVSwitches.
``nvidia-erot``
    ``01.04.0031.0000_n04``: four decimal fields and a build, which both
    versions or none must have.
``nvidia-inforom``
    ``G548.0301.00.03``: the board before, two hexadecimal fields behind.
``nvidia-hmc``
    ``GB200Nvl-25.07-7``, ``HGX-22.10-1-rc67``: the board, year, month,
    number and, in both or none, a candidate number.
``dotted``
    ``32.43.1014``: decimal fields; leading zeros do not count.
``text``
    anything; only equality is known.
``auto``
    whichever of the above both texts have (also if neither has the requested
    form); texts that are spelled differently are never the same, case of
    hexadecimal digits aside.

A package adds a form of its own by an entry point of the group
``ironic_accel.version_schemes``: the name is that of the form, the object a
function that returns the series and the fields of a version, or None for a
text that is none. Such a form applies to the components whose catalogue row
names it, and never by ``auto``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
from importlib import metadata
import logging
import re

from ironic_accel.model.device_marks import clean_text

LOG = logging.getLogger(__name__)

#: The group of entry points that add forms.
NAMESPACE = 'ironic_accel.version_schemes'

#: (series, fields): versions are ordered by fields within one series.
_Key = tuple[str, tuple[int, ...]]
_Parser = Callable[[str], _Key | None]

_VBIOS = re.compile(r'[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f]{2}){4}')
_EROT = re.compile(r'(\d{2})\.(\d{2})\.(\d{4})\.(\d{4})(?:_n(\d{2}))?')
_INFOROM = re.compile(
    r'([A-Za-z]\d{3,4}\.\d{4})\.([0-9A-Fa-f]{2})\.([0-9A-Fa-f]{2})')
_HMC = re.compile(r'([A-Za-z][A-Za-z0-9]*)-(\d{2})\.(\d{2})-(\d+)'
                  r'(?:-rc(\d+))?')
#: ``28.39.1002 (MT_0000000834)``, with the PSID behind the version: Linux,
#: drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c, get_drvinfo.
_ETHTOOL = re.compile(r'(\d+\.\d+\.\d{4}) \([A-Z]{2,3}_?\d{10,13}\)')
_DOTTED = re.compile(r'\d+(?:\.\d+)*')


def _vbios(text: str) -> _Key | None:
    if not _VBIOS.fullmatch(text):
        return None
    return '', tuple(int(f, 16) for f in text.split('.'))


def _erot(text: str) -> _Key | None:
    match = _EROT.fullmatch(text)
    if not match:
        return None
    fields = [f for f in match.groups() if f is not None]
    return str(len(fields)), tuple(int(f) for f in fields)


def _inforom(text: str) -> _Key | None:
    match = _INFOROM.fullmatch(text)
    if not match:
        return None
    return match[1].upper(), (int(match[2], 16), int(match[3], 16))


def _hmc(text: str) -> _Key | None:
    match = _HMC.fullmatch(text)
    if not match:
        return None
    board, *fields = match.groups()
    known = tuple(int(f) for f in fields if f is not None)
    return f'{board} {len(known)}', known


def _dotted(text: str) -> _Key | None:
    if not (text.isascii() and _DOTTED.fullmatch(text)):
        return None
    return '', tuple(int(f) for f in text.split('.'))


#: In the order in which ``auto`` tries them.
_PARSERS: dict[str, _Parser] = {
    'nvidia-vbios': _vbios, 'nvidia-erot': _erot,
    'nvidia-inforom': _inforom, 'nvidia-hmc': _hmc, 'dotted': _dotted}

#: Forms whose hexadecimal digits may be of either case.
_HEXADECIMAL = frozenset({'nvidia-vbios', 'nvidia-inforom'})

#: The forms that are always there.
FORMS = (*_PARSERS, 'text', 'auto')


@functools.cache
def _added() -> Mapping[str, metadata.EntryPoint]:
    """The forms that packages add, by name."""
    found = {}
    for entry in metadata.entry_points(group=NAMESPACE):
        if entry.name in FORMS:
            LOG.warning('Ignoring version scheme %s of %s: ironic-accel '
                        'defines this name itself', entry.name, entry.value)
        else:
            found[entry.name] = entry
    return found


@functools.cache
def _added_parser(form: str) -> _Parser:
    """The function of a form that a package adds.

    :raises: ValueError for an unknown form and one that cannot be loaded.
    """
    entry = _added().get(form)
    if entry is None:
        raise ValueError(f'version form: {form!r} is none of '
                         f"{', '.join((*FORMS, *sorted(_added())))}")
    try:
        parse: _Parser = entry.load()
    except Exception as exc:  # a third party's package
        raise ValueError(
            f'version form: {form!r} of {entry.value} cannot be loaded: '
            f'{type(exc).__name__}: {exc}') from exc

    def checked(text: str) -> _Key | None:
        """:raises: _SchemeFailed if the function does not work."""
        try:
            key = parse(text)
            if key is None:
                return None
            series, fields = key
            if not isinstance(series, str) or not all(
                    type(f) is int for f in fields):
                raise TypeError(f'{key!r} is not a series and whole numbers')
            return series, tuple(fields)
        except Exception as exc:  # a third party's package
            LOG.exception('Version scheme %s failed for %r', form, text)
            raise _SchemeFailed(form) from exc

    return checked


class _SchemeFailed(Exception):
    """The function of an added form failed; versions are not ordered."""


def require(form: str) -> None:
    """Check that there is such a form.

    :raises: ValueError naming those that there are.
    """
    if form not in FORMS:
        _added_parser(form)


def form_of(text: str) -> str:
    """The form that ``auto`` assumes for a version."""
    bare = clean_text(text) or ''
    return next((name for name, parse in _PARSERS.items()
                 if parse(bare) is not None), 'text')


def spelled(text: str, form: str = 'auto') -> str:
    """A version in the one spelling that its form has for it.

    Hexadecimal digits are upper case where both cases are the same version,
    and of what ethtool prints for an NVIDIA adapter the version alone is
    left; any other text comes back as it is.
    """
    adapter = _ETHTOOL.fullmatch(text)
    if adapter and form in ('auto', 'dotted'):
        return adapter[1]
    known = form_of(text) if form == 'auto' else form
    same_case = known in _HEXADECIMAL and _PARSERS[known](text) is not None
    return text.upper() if same_case else text


def same(a: str | None, b: str | None, form: str = 'auto') -> bool:
    """Whether two versions are the same; an unknown one is not.

    :raises: ValueError for an unknown form.
    """
    return compare(a, b, form) == 0


def compare(a: str | None, b: str | None,
            form: str = 'auto') -> int | None:
    """-1, 0 or 1 as ``a`` is lower, the same or higher than ``b``.

    :returns: None if the two cannot be ordered.
    :raises: ValueError for an unknown form.
    """
    parse = _PARSERS.get(form)
    if form not in FORMS:
        parse = _added_parser(form)
    a, b = clean_text(a), clean_text(b)
    if a is None or b is None:
        return None
    if a == b:
        return 0
    if form == 'text':
        return None
    try:
        keys = (parse(a), parse(b)) if parse else (None, None)
    except _SchemeFailed:
        return None
    return _ordered(*keys) if any(keys) else _auto(a, b)


def _auto(a: str, b: str) -> int | None:
    form = form_of(a)
    if form == 'text' or form != form_of(b):
        return None
    if form in _HEXADECIMAL and a.upper() == b.upper():
        return 0
    order = _ordered(_PARSERS[form](a), _PARSERS[form](b))
    # The same numbers, spelled differently: 2.05 may be 2.5 or not.
    return None if order == 0 else order


def _ordered(a: _Key | None, b: _Key | None) -> int | None:
    if a is None or b is None or a[0] != b[0]:
        return None
    return (a[1] > b[1]) - (a[1] < b[1])
