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

A form says which texts it takes and how two of them are ordered. Versions of
different series (another board's bundle, another InfoROM) are not ordered at
all: ``compare`` is None then, and whoever asks has to refuse.

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
    whichever of the above both texts have (also where neither has the form
    that was asked for); texts that are spelled
    differently are never the same, case of hexadecimal digits aside.
"""

from __future__ import annotations

from collections.abc import Callable
import re

#: (series, fields): versions are ordered by fields within one series.
_Key = tuple[str, tuple[int, ...]]

#: What BMCs and tools write where they know no version.
_PLACEHOLDERS = frozenset({
    '', 'na', 'n/a', 'n.a.', 'none', 'null', 'undefined', 'unknown',
    'not available', 'not applicable', 'not supported', 'unsupported',
    'nil', '-', '--'})

_VBIOS = re.compile(r'[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f]{2}){4}')
_EROT = re.compile(r'(\d{2})\.(\d{2})\.(\d{4})\.(\d{4})(?:_n(\d{2}))?')
_INFOROM = re.compile(
    r'([A-Za-z]\d{3,4}\.\d{4})\.([0-9A-Fa-f]{2})\.([0-9A-Fa-f]{2})')
_HMC = re.compile(r'([A-Za-z][A-Za-z0-9]*)-(\d{2})\.(\d{2})-(\d+)'
                  r'(?:-rc(\d+))?')
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
_PARSERS: dict[str, Callable[[str], _Key | None]] = {
    'nvidia-vbios': _vbios, 'nvidia-erot': _erot,
    'nvidia-inforom': _inforom, 'nvidia-hmc': _hmc, 'dotted': _dotted}

#: Forms whose hexadecimal digits may be of either case.
_HEXADECIMAL = frozenset({'nvidia-vbios', 'nvidia-inforom'})

#: All names of forms.
FORMS = (*_PARSERS, 'text', 'auto')


def clean(text: object) -> str | None:
    """A version as it counts, or None where there is none.

    Blanks around it, NULs, and what BMCs write for "I do not know" go.
    """
    if not isinstance(text, str):
        return None
    bare = text.replace('\0', ' ').strip()
    return None if bare.lower() in _PLACEHOLDERS else bare


def form_of(text: str) -> str:
    """The form that ``auto`` takes a version for."""
    bare = clean(text) or ''
    return next((name for name, parse in _PARSERS.items()
                 if parse(bare) is not None), 'text')


def same(a: str | None, b: str | None, form: str = 'auto') -> bool:
    """Whether two versions are the same; an unknown one is not.

    :raises: ValueError for an unknown form.
    """
    return compare(a, b, form) == 0


def compare(a: str | None, b: str | None,
            form: str = 'auto') -> int | None:
    """-1, 0 or 1 as ``a`` is lower, the same or higher than ``b``.

    :returns: None where the two cannot be ordered.
    :raises: ValueError for an unknown form.
    """
    if form not in FORMS:
        raise ValueError(f'version form: {form!r} where one of '
                         f"{', '.join(FORMS)} was expected")
    a, b = clean(a), clean(b)
    if a is None or b is None:
        return None
    if a == b:
        return 0
    if form == 'text':
        return None
    parse = _PARSERS.get(form)
    if parse and (parse(a) or parse(b)):
        return _ordered(parse(a), parse(b))
    return _auto(a, b)


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
