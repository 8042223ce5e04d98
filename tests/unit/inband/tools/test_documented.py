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

"""The family that the contributors' documentation shows."""

from __future__ import annotations

from pathlib import Path
import re
import textwrap
from typing import Any

import pytest

from ironic_accel.inband.machine.pci_functions import Function
from tests.unit.inband.tools import bench

PAGE = (Path(__file__).parents[4]
        / 'doc/source/contributor/tool-families.rst')


@pytest.fixture
def acme() -> Any:
    text = PAGE.read_text('utf-8')
    match = re.search(r'code-block:: python\n\n((?:   .*\n|\n)+)', text)
    assert match is not None
    names: dict[str, Any] = {}
    exec(textwrap.dedent(match[1]), names)  # noqa: S102 - our own page
    return names['Acme']()


def test_the_documented_family_works(acme: Any, tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    function = Function('0000:17:00.0', '1d0f', '0001', '1d0f', '0001',
                        '120000')
    assert acme.claims(function, None)
    assert [w.uri for w in acme.look(host, [function]).warnings] == [
        'acmectl']
    (tmp_path / 'said.json').write_text('{"firmware": "2.1"}')
    bench.prints(tmp_path, 'acmectl', str(tmp_path / 'said.json'))
    seen = acme.look(host, [function])
    assert seen.warnings == ()
    assert [c.running for c in seen.told['0000:17:00.0'].components] == [
        '2.1']
