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

"""A site's own rows of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.drivers import vendor
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import BadInput

ROWS = """
sources: {bench: measured by the operator}
products:
  - {name: acme-gpu, kind: gpu, vendor: nvidia, pci: ["10de:fff1"],
     components: [gpu], source: [bench]}
components:
  - {kind: baseboard, name: fpga, for: {product: [nvidia-hgx-a100-4gpu]},
     activation: power-cycle, source: [bench]}
  - {kind: gpu, name: gpu, for: {product: [acme-gpu]}, activation: aux-cycle,
     source: [bench]}
"""

Site = Callable[[str], Path]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """``site(text)``: the conductor has a folder with one file of it."""
    def write(text: str) -> Path:
        path = tmp_path / 'site.yaml'
        path.write_text(text)
        CONF.set_override('catalogue_path', str(tmp_path), 'accelerator')
        catalogue.catalogue.cache_clear()
        return path
    yield write
    CONF.clear_override('catalogue_path', 'accelerator')
    catalogue.catalogue.cache_clear()


def test_catalogue_without_site_directory_is_as_shipped(site: Site) -> None:
    facts = catalogue.catalogue().component('baseboard', 'fpga',
                                        'nvidia-hgx-a100-4gpu')
    assert facts is not None and facts.activation is None


def test_site_rows_override_shipped_rows(site: Site) -> None:
    site(ROWS)
    facts = catalogue.catalogue().component('baseboard', 'fpga',
                                        'nvidia-hgx-a100-4gpu')
    assert facts is not None
    assert facts.activation is Activation.POWER_CYCLE
    assert facts.source == 'measured by the operator'
    product = catalogue.catalogue().by_pci('10de', 'fff1')
    assert product is not None and product.name == 'acme-gpu'
    there = catalogue.catalogue().component('gpu', 'gpu', product)
    assert there is not None and there.activation is Activation.AUX_CYCLE
    # What the site says nothing of is as it was.
    assert catalogue.catalogue().by_pci('10de', '2330') is not None


@pytest.mark.parametrize(('old', 'new', 'said'), [
    ('power-cycle', 'power_cycle', "'power_cycle' is not one of"),
    ('[nvidia-hgx-a100-4gpu]', '[nvidia-hgx-a100-4]',
     "fpga: for.product: 'nvidia-hgx-a100-4' is unknown"),
    ('name: fpga, for', 'name: fpgas, for',
     'fpgas: unknown name for kind baseboard'),
    ('10de:fff1', '10de:2330', 'pci 10de:2330 is claimed by'),
    ('name: acme-gpu', 'name: nvidia-h100-sxm',
     'name nvidia-h100-sxm is defined twice'),
    ('bench: measured', 'bank: measured', "'bench' is not among the sources"),
])
def test_a_mistake_keeps_the_conductor_from_starting(
        site: Site, old: str, new: str, said: str) -> None:
    assert old in ROWS
    site(ROWS.replace(old, new))
    with pytest.raises(BadInput) as caught:
        vendor.RedfishAccelerator()
    assert said in str(caught.value)


def test_a_deprecated_key_is_read_with_a_warning(
        site: Site, caplog: pytest.LogCaptureFixture) -> None:
    path = site(ROWS.replace('activation:', 'effect:'))
    facts = catalogue.catalogue().component('baseboard', 'fpga',
                                        'nvidia-hgx-a100-4gpu')
    assert facts is not None
    assert facts.activation is Activation.POWER_CYCLE
    (told,) = caplog.messages
    assert told == (f'Catalogue file {path}: the key effect is deprecated and '
                    'will be removed; use activation')


def test_a_row_has_a_key_under_one_name_only(site: Site) -> None:
    site(ROWS.replace('activation: aux-cycle',
                      'activation: aux-cycle, effect: aux-cycle'))
    with pytest.raises(BadInput, match="'effect' was unexpected"):
        catalogue.catalogue()


def test_catalogue_error_names_the_file(site: Site) -> None:
    path = site(ROWS.replace('activation: aux-cycle', 'activation: 3'))
    where = r'components\[1\]\.activation'
    with pytest.raises(BadInput, match=where) as caught:
        catalogue.catalogue()
    assert str(path) in str(caught.value)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path,
                                                site: Site) -> None:
    site(ROWS)
    CONF.set_override('catalogue_path', str(tmp_path / 'no'), 'accelerator')
    with pytest.raises(BadInput, match='not an existing directory'):
        catalogue.catalogue()
