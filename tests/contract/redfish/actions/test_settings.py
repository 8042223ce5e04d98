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

"""Settings of real services: If-Match, apply times, closing slashes."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.redfish.client import retry_rules
from ironic_accel.redfish.client import responses
from ironic_accel.redfish.client.responses import Answer
from ironic_accel.redfish.client.writer import Writer
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

SETTINGS = '/redfish/v1/Systems/1/Processors/GPU1/Settings'
GPU = '/redfish/v1/Systems/1/Processors/GPU1'


@pytest.mark.parametrize(('header', 'body', 'expected'), [
    ('"a"', '"a"', ['"a"', 'a', '*']),
    ('W/"a"', 'W/"a"', ['W/"a"', '"a"', 'a', '*']),
    ('W/"a"', '"a"', ['W/"a"', '"a"', 'a', '*']),
    ('""a""', 'a', ['""a""', 'a', '"a"', '*']),
    ('"a"', '"b"', ['"a"', '"b"', 'a', 'b', '*']),
    (None, 'a', ['a', '"a"', '*']), ('"a"', None, ['"a"', 'a', '*']),
    ('W/""a""', None, ['W/""a""', '""a""', '"a"', 'a', '*']),
    (None, None, []), ('', '', []), (' "a" ', None, ['"a"', 'a', '*']),
    ('"a\r\nX: y"', None, []), ('"' + 'a' * 600 + '"', None, []),
    ('"\u00e4"', None, [])])
def test_if_match_values(
        header: str | None, body: str | None, expected: list[str]) -> None:
    found = retry_rules.if_match_values(header, body)
    assert found == expected
    assert len(found) <= retry_rules.MOST_TAGS


def patches(at: Rig) -> list[int]:
    return [r.status for r in at.box.ledger.requests
            if r.method == 'PATCH']


@pytest.mark.parametrize('form', ['weak', 'strong', 'quoted'])
def test_each_service_gets_the_form_of_if_match_that_it_requires(
        rig: Start, form: str) -> None:
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    at.box.faults.add('if-match', form)
    poll = at.backend.poll(at.backend.start(plans.set_mode(
        {gpu: 'disabled'}, 'ecc')))
    assert isinstance(poll, Ended)
    assert [r.ok for r in poll.results] == [True]
    told = patches(at)
    assert told[-1] == 200
    assert set(told[:-1]) <= {412, 428}
    assert len(told) <= 1 + retry_rules.MOST_TAGS
    assert lookup.mode_at(at.backend.observe(), gpu, 'ecc').pending == (
        'disabled')


def test_each_form_of_if_match_is_tried_once(rig: Start) -> None:
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    at.box.faults.add('if-match', 'weak')
    at.box.faults.add('status', '412', SETTINGS, 'PATCH')
    with pytest.raises(Rejected, match='no known form was accepted'):
        at.backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
    assert 2 <= len(patches(at)) <= 1 + retry_rules.MOST_TAGS
    assert at.box.ledger.writes == []


def test_a_412_after_which_the_value_changed_is_not_repeated(
        rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resource is checked although the response is an error."""
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    at.box.faults.add('if-match', 'strong')
    once = Writer._once

    def lies(self: Writer, method: str, uri: str, data: Any,
             headers: dict[str, str], *more: Any) -> Answer:
        answer = once(self, method, uri, data, headers, *more)
        if method == 'PATCH':
            raise Rejected('precondition failed', seen='HTTP 412')
        return answer

    monkeypatch.setattr(Writer, '_once', lies)
    with pytest.raises(OutcomeUnknown):
        at.backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
    assert [w.value for w in at.box.ledger.writes] == ['False']


def test_a_missing_etag_is_reported(
        rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    monkeypatch.setattr(retry_rules, 'if_match_values',
                        lambda header, body: [])
    at.box.faults.add('if-match', 'strong')
    with pytest.raises(Rejected, match='requires an ETag and returns none'):
        at.backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
    assert patches(at) == [428]


@pytest.mark.parametrize(('location', 'taken'), [
    (f'{SETTINGS}/', True), (f'https://inner.example{SETTINGS}/', True),
    (SETTINGS, False), ('/redfish/v1/Systems/2', False),
    ('//elsewhere/', False), ('https://elsewhere.example/', False)])
@pytest.mark.parametrize('status', [301, 307, 308])
def test_a_redirect_that_only_adds_a_slash_is_followed(
        rig: Start, monkeypatch: pytest.MonkeyPatch, location: str,
        taken: bool, status: int) -> None:
    """iLO has a closing slash in every path."""
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    once, asked = Writer._once, []

    def redirects(self: Writer, method: str, uri: str, data: Any,
                  headers: dict[str, str], *more: Any) -> Answer:
        asked.append(uri)
        if not uri.endswith('/'):
            detail = Rejected('moved', seen=f'HTTP {status}').detail
            raise responses.Redirected(detail, location)
        return once(self, method, uri[:-1], data, headers, *more)

    monkeypatch.setattr(Writer, '_once', redirects)
    action = plans.set_mode({gpu: 'disabled'}, 'ecc')
    if taken:
        at.backend.start(action)
        assert asked == [SETTINGS, f'{SETTINGS}/']
        return
    with pytest.raises(Rejected, match='moved'):
        at.backend.start(action)
    assert asked == [SETTINGS]


@pytest.mark.parametrize('place', ['GPU1/Settings', 'GPU1$'])
def test_a_setting_that_cannot_be_read_back_is_unknown(
        rig: Start, place: str) -> None:
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    ticket = at.backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
    at.box.faults.add('status', '503', place, 'GET')
    assert isinstance(at.backend.poll(ticket), Running)
    at.clock.advance(31)
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Unknown)
    assert 'cannot be read back' in poll.reason
    at.box.faults.clear()
    found = at.backend.poll(ticket)
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [True]


@pytest.mark.parametrize(('listed', 'asked'), [
    (['Immediate', 'OnReset'], 'OnReset'), (['OnReset'], 'OnReset'),
    (['Immediate'], None), ([], None)])
def test_a_setting_that_needs_a_reset_is_not_applied_immediately(
        rig: Start, monkeypatch: pytest.MonkeyPatch, listed: list[str],
        asked: str | None) -> None:
    at = rig('pcie-a100')
    doc = lookup.document(at.box, GPU)
    doc['@Redfish.Settings']['SupportedApplyTimes'] = listed
    at.box.documents.put(GPU, doc)
    gpu = plans.gpus(at.backend.observe())[0]
    send, bodies = Writer.send, []

    def sees(self: Writer, method: str, uri: str, body: Any = None
             ) -> Answer:
        bodies.append(body)
        return send(self, method, uri, body)

    monkeypatch.setattr(Writer, 'send', sees)
    at.backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
    told = bodies[0].get('@Redfish.SettingsApplyTime')
    assert (told or {}).get('ApplyTime') == asked
    assert lookup.mode_at(at.backend.observe(), gpu, 'ecc').pending == (
        'disabled')
