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

"""Tables that fit the terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies
import pytest

from ironic_accel.faces import fit

CELLS = strategies.text(
    strategies.sampled_from('ab-./:_ 019\n!'), max_size=40)


def test_a_table_that_is_narrow_enough_is_unchanged() -> None:
    rows = [('a', 'b\nc'), ('dd', '')]
    assert fit.fitted(('A', 'B'), rows, 5) == [('A', 'B'), *rows]


@pytest.mark.parametrize('cell, width, lines', [
    ('gpu 96.00.68.00.01', 18, ['gpu 96.00.68.00.01']),
    ('gpu 96.00.68.00.01', 16, ['gpu', ' 96.00.68.00.01']),
    # A word that is longer than the column is broken at a separator.
    ('96.00.68.00.01', 8, ['96.00.', ' 68.00.', ' 01']),
    ('HGX_Chassis_0/GPU_0', 10, ['HGX_', ' Chassis_', ' 0/GPU_0']),
    ('abcdefghijkl', 6, ['abcdef', ' ghijk', ' l']),
    # What stands to the right of a mark stays there.
    ('! gpu-1 and gpu-2', 8, ['! gpu-1', '   and', '   gpu-2']),
    ('  8 gpu devices', 8, ['  8 gpu', '   devic', '   es']),
    ('one two\nthree', 4, ['one', ' two', 'thre', ' e']),
    ('', 3, [''])])
def test_cells_are_wrapped_between_words(cell: str, width: int,
                                         lines: list[str]) -> None:
    assert fit.wrapped(cell, width) == lines


@given(rows=strategies.lists(strategies.tuples(CELLS, CELLS, CELLS),
                             min_size=1, max_size=6),
       width=strategies.integers(24, 70))
def test_all_text_is_there_and_no_line_is_too_long(
        rows: list[tuple[str, ...]], width: int) -> None:
    heading, *shown = fit.fitted(('A', 'B', 'C'), rows, width)
    assert heading == ('A', 'B', 'C')
    sizes = [fit.natural(column)
             for column in zip(*(heading, *shown), strict=True)]
    assert sum(sizes) + 2 * fit.GAP <= width
    for before, after in zip(rows, shown, strict=True):
        for cell, found in zip(before, after, strict=True):
            assert ''.join(found.split()) == ''.join(cell.split())


def test_the_first_column_keeps_its_least_width() -> None:
    rows = [('gpu-1653223000003 in a slot', 'word ' * 20)]
    found = fit.fitted(('A', 'B'), rows, 40, [27])
    assert found[1][0] == rows[0][0]


def test_columns_that_cannot_be_narrower_are_not_cut() -> None:
    found = fit.fitted(['A'] * 9, [['abcdefgh'] * 9], 20)
    assert found[1] == ('abcdef\n gh',) * 9


def test_the_widths_make_the_fewest_lines() -> None:
    rows = [('one two three', 'longer word'), ('one two three', 'x'),
            ('one two three', '')]
    # Two of three rows would have two lines if the first were narrower.
    assert fit.fitted(('A', 'B'), rows, 22)[1:] == [
        ('one two three', 'longer\n word'), *rows[1:]]
