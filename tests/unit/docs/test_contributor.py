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

"""The pages: the files they name exist, the pictures match the code."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import tomllib
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PAGES = sorted((ROOT / 'doc/source').rglob('*.rst'))
PARENTS = ('', 'ironic_accel.conductor', 'ironic_accel.redfish',
           'ironic_accel.inband')


@pytest.fixture(scope='module')
def picture() -> Any:
    spec = importlib.util.spec_from_file_location(
        'import_picture', ROOT / 'doc/ext/import_picture.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('parent', PARENTS)
def test_picture_has_each_package_and_each_number(
        picture: Any, parent: str) -> None:
    names = picture.packages(parent)
    arrows = picture.imports(names)
    assert len(names) > 4 and arrows
    tree = ElementTree.fromstring(  # noqa: S314 - made here
        picture.svg(parent, names, arrows))
    texts = [e.text for e in tree.iter() if e.tag.endswith('}text')]
    for name in names:
        assert name.removeprefix(f'{parent}.') in texts
        assert len(picture.summary(name)) > 10
    assert sorted(t for t in texts if t and t.isdecimal()) == sorted(
        map(str, arrows.values()))


def test_packages_of_the_product_import_downward(picture: Any) -> None:
    names = picture.packages('')
    arrows = picture.imports(names)
    assert picture.upward(names, arrows) == []
    circle = {('a', 'b'): 1, ('b', 'c'): 2, ('c', 'a'): 1}
    assert len(picture.upward('abc', circle)) == 1


def test_picture_agrees_with_the_layers_contract(picture: Any) -> None:
    contracts = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool'][
        'importlinter']['contracts']
    layers = next(c['layers'] for c in contracts
                  if c['type'] == 'layers'
                  and c['containers'] == ['ironic_accel'])
    level = {f'ironic_accel.{name}': i for i, layer in enumerate(layers)
             for name in re.findall(r'\w+', layer)}
    names = picture.packages('')
    assert set(level) <= set(names)
    assert [(a, b) for a, b in picture.imports(names)
            if a in level and b in level and level[a] > level[b]] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_files_that_a_page_names_exist(page: pathlib.Path) -> None:
    text = page.read_text('utf-8')
    named = set(re.findall(
        r'``((?:ironic_accel|ipa_hardware_manager|emulator|tests|tools|doc'
        r'|bench)/[\w/.-]*)``', text))
    assert page.stem != 'architecture' or len(named) > 40
    assert [name for name in sorted(named)
            if not (ROOT / name).exists()] == []
    tests = set(re.findall(r'``(test_\w+\.py)``', text))
    assert page.stem != 'threat-model' or len(tests) > 5
    assert [name for name in sorted(tests)
            if not any((ROOT / 'tests').rglob(name))] == []
