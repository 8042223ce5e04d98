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

"""Ranges of names."""

from __future__ import annotations

import pytest

from ironic_accel.faces import ranges


@pytest.mark.parametrize('names, shown', [
    ([], ''),
    (['gpu-1'], 'gpu-1'),
    (['gpu-1', 'gpu-2'], 'gpu-1, gpu-2'),
    (['gpu-1', 'gpu-1', 'gpu-1'], 'gpu-1'),
    (['gpu-1', 'gpu-2', 'gpu-3'], '3: gpu-1 .. gpu-3'),
    (['gpu-3', 'gpu-1', 'gpu-2'], '3: gpu-1 .. gpu-3'),
    (['gpu-8', 'gpu-9', 'gpu-10'], '3: gpu-8 .. gpu-10'),
    (['gpu-08', 'gpu-09', 'gpu-10'], '3: gpu-08 .. gpu-10'),
    (['gpu-1', 'gpu-2', 'gpu-4'], '3: gpu-1, gpu-2, gpu-4'),
    (['gpu-1', 'gpu-2', 'gpu-3', 'gpu-5', 'gpu-6', 'gpu-7', 'gpu-9'],
     '7: gpu-1 .. gpu-3, gpu-5 .. gpu-7, gpu-9'),
    # Widths that differ name different devices.
    (['gpu-1', 'gpu-02', 'gpu-3'], '3: gpu-1, gpu-02, gpu-3'),
    (['gpu-1', 'nic-2', 'gpu-3'], '3: gpu-1, gpu-3, nic-2'),
    (['gpu-1-0', 'gpu-1-1', 'gpu-2-2'], '3: gpu-1-0, gpu-1-1, gpu-2-2'),
    (['/C/GPU_0/x', '/C/GPU_1/x', '/C/GPU_2/x'],
     '3: /C/GPU_0/x .. /C/GPU_2/x'),
    (['a', 'b', 'c'], '3: a, b, c'),
    (['gpu-1\x1b', 'gpu-2\x1b', 'gpu-3\x1b'],
     '3: gpu-1\N{REPLACEMENT CHARACTER} .. gpu-3\N{REPLACEMENT CHARACTER}'),
])
def test_a_range_has_every_name_between_its_ends(
        names: list[str], shown: str) -> None:
    assert ranges.words(names) == shown


def test_a_sentence_lists_the_first_ones_and_counts_the_others() -> None:
    assert ranges.words(['a', 'c', 'e', 'g', 'i'], most=2) == (
        '5: a, c, and 3 more')
