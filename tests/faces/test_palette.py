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

"""The colours of the report's page have the contrast that WCAG 2.2 asks for.

Text 4.5 to 1 (1.4.3, AA), what shows a status or the focus 3 to 1 (1.4.11).
"""

from __future__ import annotations

from importlib import resources
import itertools
import re

import pytest

from ironic_accel.faces.osc.report import node_status

STYLE = (resources.files('ironic_accel.faces.osc.report') / 'page.css'
         ).read_text('utf-8')
#: What is behind a text.
GROUNDS = ('bg', 'card', 'hit')
STATUSES = [status.replace(' ', '-') for status in node_status.STATUSES]


def palettes() -> dict[str, dict[str, str]]:
    """The colours by name, light and dark."""
    light, dark = re.findall(r':root\{(.*?)\}', STYLE, re.DOTALL)
    return {name: dict(re.findall(r'--([a-z-]+):(#[0-9a-f]{3,6})', text))
            for name, text in (('light', light), ('dark', dark))}


def luminance(colour: str) -> float:
    """The relative luminance of ``#rgb`` or ``#rrggbb``."""
    digits = colour[1:] if len(colour) == 7 else ''.join(
        2 * c for c in colour[1:])
    parts = [int(digits[at:at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045
                        else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_ratios_are_those_of_the_standard() -> None:
    assert contrast('#000', '#ffffff') == pytest.approx(21)
    assert contrast('#777', '#fff') == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize('palette', ['light', 'dark'])
@pytest.mark.parametrize('text, ground', [
    *itertools.product(('ink', 'soft', 'focus'), GROUNDS),
    ('wrong', 'bg'), ('bg', 'ink')])
def test_text_can_be_read(palette: str, text: str, ground: str) -> None:
    colours = palettes()[palette]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize('palette', ['light', 'dark'])
@pytest.mark.parametrize('name', [*STATUSES, 'focus', 'soft'])
def test_statuses_and_edges_can_be_seen(palette: str, name: str) -> None:
    colours = palettes()[palette]
    for ground in ('bg', 'card'):
        assert contrast(colours[name], colours[ground]) >= 3


@pytest.mark.parametrize('palette', ['light', 'dark'])
def test_each_status_has_a_colour_of_its_own(palette: str) -> None:
    colours = [palettes()[palette][status] for status in STATUSES]
    assert len(set(colours)) == len(node_status.STATUSES)
