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

"""Failures: one type, one wording."""

from __future__ import annotations

from ironic_accel.model import errors
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass


def test_all_that_is_known_is_said_in_one_line() -> None:
    detail = Detail(
        'the image does not fit', ErrorClass.NEEDS_OPERATOR, node='n1',
        device='gpu-1', component='gpu', expected='HGX', seen='PCIe',
        message_id='Update.1.0.Bad', running='task 7', todo='look at it')
    text = errors.word(detail)
    assert text == (
        'node n1, device gpu-1, component gpu: the image does not fit '
        '(expected HGX, seen PCIe, message Update.1.0.Bad); still running: '
        'task 7; next: look at it [needs-operator]')
    assert str(errors.AccelError(detail)) == text


def test_what_is_unknown_is_not_said() -> None:
    assert errors.word(Detail('gone')) == 'gone [permanent]'


def test_an_error_of_a_sentence_and_what_is_known() -> None:
    error = errors.Unreachable('no answer', node='n1',
                               error_class=ErrorClass.TRANSIENT)
    assert error.detail == Detail('no answer', ErrorClass.TRANSIENT,
                                  node='n1')
    known = errors.Rejected(Detail('busy'), retry_after=60.0, node='n2')
    assert (known.detail.node, known.retry_after) == ('n2', 60.0)


def test_the_error_of_the_documents() -> None:
    out = Detail('x', ErrorClass.TRANSIENT, seen='y').to_dict()
    assert out['class'] == 'transient' and 'error_class' not in out
    assert (out['summary'], out['seen'], out['node']) == ('x', 'y', None)
