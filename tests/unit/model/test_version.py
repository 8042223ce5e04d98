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

"""Versions: every form is a total order within its series."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import device_marks
from ironic_accel.model import version

ROOT = pathlib.Path(__file__).parents[3]


def _two(low: int = 0, high: int = 255) -> st.SearchStrategy[str]:
    return st.integers(low, high).map('{:02X}'.format)


_VBIOS = st.lists(_two(), min_size=5, max_size=5).map('.'.join)
_EROT = st.builds(
    '{:02d}.{:02d}.{:04d}.{:04d}_n{:02d}'.format, st.integers(0, 99),
    st.integers(0, 99), st.integers(0, 9999), st.integers(0, 9999),
    st.integers(0, 99))
_INFOROM = st.builds('G548.0301.{}.{}'.format, _two(), _two())
_HMC = st.builds('GB200Nvl-{:02d}.{:02d}-{}'.format, st.integers(20, 30),
                 st.integers(1, 12), st.integers(0, 99))
_DOTTED = st.lists(st.integers(0, 9999).map(str), min_size=1,
                   max_size=4).map('.'.join)
_FORMS = {'nvidia-vbios': _VBIOS, 'nvidia-erot': _EROT,
          'nvidia-inforom': _INFOROM, 'nvidia-hmc': _HMC,
          'dotted': _DOTTED}
_ANY = st.one_of(*_FORMS.values(), st.text(max_size=12))


@pytest.mark.parametrize('form', sorted(_FORMS))
@given(data=st.data())
def test_a_form_orders_its_versions_totally(form: str,
                                            data: st.DataObject) -> None:
    a, b, c = (data.draw(_FORMS[form]) for _ in range(3))
    forward = version.compare(a, b, form)
    backward = version.compare(b, a, form)
    assert forward is not None and backward is not None
    assert forward == -backward
    assert (forward == 0) is version.same(a, b, form)
    onward = version.compare(b, c, form)
    assert onward is not None
    if forward <= 0 and onward <= 0:
        through = version.compare(a, c, form)
        assert through is not None and through <= 0


@given(a=_ANY, b=_ANY, form=st.sampled_from(version.FORMS))
def test_any_texts_compare_antisymmetrically(a: str, b: str,
                                             form: str) -> None:
    forward = version.compare(a, b, form)
    backward = version.compare(b, a, form)
    assert (forward is None) is (backward is None)
    assert forward is None or backward is None or forward == -backward
    assert version.same(a, b, form) is (forward == 0)


@given(text=_ANY, form=st.sampled_from(version.FORMS),
       tail=st.sampled_from(['', ' ', '  ', '\0', ' \0\0']))
def test_what_stands_behind_a_version_does_not_count(
        text: str, form: str, tail: str) -> None:
    known = device_marks.clean_text(text) is not None
    assert version.same(text, text + tail, form) is known


@pytest.mark.parametrize(('low', 'high', 'form'), [
    ('96.00.9F.00.01', '96.00.A6.00.01', 'nvidia-vbios'),
    ('92.00.19.00.13', '96.00.00.00.00', 'auto'),
    ('32.43.1014', '32.44.1600', 'dotted'),
    ('1.9', '1.10', 'dotted'),
    ('7.1', '7.1.22', 'dotted'),
    ('01.04.0031.0000_n04', '01.04.0031.0000_n05', 'nvidia-erot'),
    ('GB200Nvl-25.07-7', 'GB200Nvl-25.08-1', 'nvidia-hmc'),
    ('HGX-22.10-1-rc44', 'HGX-22.10-1-rc67', 'nvidia-hmc'),
    ('G548.0301.00.03', 'G548.0301.01.00', 'nvidia-inforom'),
    ('70.01.00.09', '70.01.00.10', 'nvidia-hmc'),
])
def test_lower_and_higher(low: str, high: str, form: str) -> None:
    assert version.compare(low, high, form) == -1


@pytest.mark.parametrize(('a', 'b', 'form'), [
    ('GB200Nvl-25.07-7', 'HGX-25.08-1', 'nvidia-hmc'),
    ('HGX-22.10-1', 'HGX-22.10-1-rc67', 'nvidia-hmc'),
    ('G548.0301.00.03', 'G520.0200.00.05', 'nvidia-inforom'),
    ('01.04.0031.0000', '01.04.0031.0000_n04', 'nvidia-erot'),
    ('xilinx_u55c_gen3x16_xdma_base_3', 'xilinx_u55c_gen3x16_xdma_base_2',
     'text'),
    ('7.1.22', '7.1.23', 'text'),
    ('96.00.A6.00.01', '1.44', 'nvidia-vbios'),
    ('96.00.A6.00.01', '32.43.1014', 'auto'),
    ('2.05', '2.5', 'auto'),
    ('\u0661.2', '1.2', 'dotted'),
    (None, '1.2', 'auto'),
    ('N/A', 'N/A', 'auto'),
])
def test_what_cannot_be_ordered_is_not(a: str | None, b: str,
                                       form: str) -> None:
    assert version.compare(a, b, form) is None
    assert not version.same(a, b, form)


def test_no_version_is_a_part_of_another() -> None:
    assert not version.same('32.43.101', '32.43.1014')
    assert not version.same('6.00.A6.00.01', '96.00.A6.00.01')


@pytest.mark.parametrize(('a', 'b', 'form'), [
    ('96.00.A6.00.01  ', '96.00.a6.00.01', 'auto'),
    ('2.05', '2.5', 'dotted'),
    ('shell_base_3', 'shell_base_3', 'text'),
])
def test_the_same(a: str, b: str, form: str) -> None:
    assert version.same(a, b, form)


@pytest.mark.parametrize('nothing', [
    None, '', '  ', 'NA', 'n/a', 'undefined', 'Unknown', '\0', 33])
def test_clean_knows_no_version_when_it_sees_none(nothing: object) -> None:
    assert device_marks.clean_text(nothing) is None


@pytest.mark.parametrize(('text', 'form'), [
    ('97.10.3E.00.05', 'nvidia-vbios'), ('G548.0301.00.03',
                                         'nvidia-inforom'),
    ('01.04.0031.0000_n04', 'nvidia-erot'), ('GB200Nvl-25.07-7',
                                             'nvidia-hmc'),
    ('40.45.3048', 'dotted'), ('21.80.16.95', 'dotted'),
    ('nc.1.6.19-5-shasta', 'text'), ('0a', 'text')])
def test_the_form_of_recorded_versions(text: str, form: str) -> None:
    assert version.form_of(text) == form


def test_an_unknown_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="'semver' is none of nvidia-vbios"):
        version.compare('1', '2', 'semver')


_SCHEMES = """
def build(text):
    board, _, number = text.partition('/')
    return (board, (int(number),)) if number else None

def halves(text):
    return 'a', (float(text),)
"""

_COMPARE = """
import sys
from ironic_accel.model import version
try:
    print(version.compare(*sys.argv[1:]))
except ValueError as exc:
    print(exc)
"""


@pytest.mark.parametrize(('a', 'b', 'form', 'said'), [
    ('x/9', 'x/10', 'build', '-1'), ('x/10', 'x/010', 'build', '0'),
    ('x/9', 'y/10', 'build', 'None'),
    # Neither has the form: as by auto.
    ('1.9', '1.10', 'build', '-1'),
    # The function fails: not ordered, not even as by auto.
    ('x/9', 'x/b', 'build', 'None'), ('1.5', '1.6', 'halves', 'None'),
    # A name of ironic-accel itself is not replaced.
    ('1.9', '1.10', 'dotted', '-1'),
    ('1', '2', 'missing', "version form: 'missing' of schemes:nothing cannot "
     "be loaded: AttributeError: module 'schemes' has no attribute "
     "'nothing'")])
def test_package_adds_a_version_scheme(
        tmp_path: pathlib.Path, a: str, b: str, form: str,
        said: str) -> None:
    info = tmp_path / 'schemes-1.0.dist-info'
    info.mkdir()
    (tmp_path / 'schemes.py').write_text(_SCHEMES)
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: schemes\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        f'[{version.NAMESPACE}]\nbuild = schemes:build\n'
        'halves = schemes:halves\nmissing = schemes:nothing\n'
        'dotted = schemes:halves\n')
    ran = subprocess.run(
        [sys.executable, '-c', _COMPARE, a, b, form], capture_output=True,
        text=True, timeout=60, env={
            **os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'})
    assert (ran.returncode, ran.stdout.strip()) == (0, said), ran.stderr


def test_added_scheme_is_never_guessed() -> None:
    assert version.form_of('x/9') == 'text'
