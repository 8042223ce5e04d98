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

"""What ``explain`` knows of profiles, modes, components and products."""

from __future__ import annotations

import json

import pytest

from ironic_accel.faces.cli import main
from ironic_accel.faces import profile_explain
from ironic_accel.model import catalog
from ironic_accel.model import errors

CATALOG = catalog.load()


def rows(path: str) -> list[profile_explain.Fact]:
    return profile_explain.explain(path, CATALOG)


def test_the_whole_profile_lists_every_key_with_its_description() -> None:
    found = rows('')
    assert [r.name for r in found[1:]] == [
        'profile', 'name', 'summary', 'offered', 'images', 'devices',
        'order', 'allow', 'limits', 'fallback']
    assert all(r.text and r.values for r in found)


@pytest.mark.parametrize('path', ['devices.match.product',
                                  'devices.gpus.match.product'])
def test_names_that_the_author_chooses_may_be_left_out(path: str) -> None:
    row, = rows(path)
    assert set(row.values) == set(CATALOG.products)


def test_a_mode_has_a_row_for_products_that_share_its_facts() -> None:
    found = {r.activation: r for r in rows('gpu.modes.mig')}
    assert found['device-reset'].persistent == 'yes'
    assert 'nvidia-a100-pcie-80gb' in found['device-reset'].devices
    assert found['none'].persistent == 'no'
    assert 'nvidia-h100-sxm' in found['none'].devices
    assert rows('devices.modes.mig') == rows('gpu.modes.mig')


def test_an_unproved_fact_is_said_to_be_unproved() -> None:
    row = next(r for r in rows('gpu.modes')
               if r.name == 'gpu.modes.egm')
    assert row.activation == 'not proved: not changed'
    assert row.persistent == 'not proved: no IS trait'


def test_every_kind_and_product_can_be_explained() -> None:
    for kind in CATALOG.kinds:
        for path in (kind, f'{kind}.modes', f'{kind}.firmware',
                     f'{kind}.products'):
            assert rows(path)[0].name == path
    for name, product in CATALOG.products.items():
        modes = {r.name for r in rows(name)[1:]}
        assert {f'{product.kind}.modes.{m}' for m in product.modes} <= modes


@pytest.mark.parametrize(('path', 'error'), [
    ('device', 'device: unknown; did you mean devices'),
    ('gpu.modes.ec', 'gpu.modes.ec: unknown; did you mean ecc?'),
    ('devices.modes.ec', 'modes.ec: unknown; did you mean ecc'),
    ('gpu.mode', 'gpu.mode: unknown; did you mean modes?'),
    ('nvidia-h100-sxm.ecc', 'expected the name of the product alone'),
    ('limits.minutes.x', 'limits.minutes.x: unknown; no value is known'),
])
def test_an_unknown_path_is_an_error_with_what_is_known(
        path: str, error: str) -> None:
    with pytest.raises(errors.BadInput, match=error.replace('?', r'\?')):
        rows(path)


def test_ironic_accel_explain_prints_a_document(
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(['explain', 'limits.reset', '--json']) == 0
    doc = json.loads(capsys.readouterr().out)
    assert doc['schema'] == 'explain/1'
    assert doc['rows'][0]['values'][-1] == 'aux-cycle'
    assert main.main(['explain', 'gpu.modes.ecc']) == 0
    assert 'warm-reboot' in capsys.readouterr().out
    assert main.main(['explain', 'no-such']) == 2
