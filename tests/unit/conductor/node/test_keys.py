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

"""Every key of a node stands in one file, and what it holds is checked."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
import math
import pathlib
import re
import types
from typing import Any

import pytest

from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node.keys import Key

ROOT = pathlib.Path(keys.__file__).parents[3]

#: As they stand in the databases of those who run this: never changed.
ON_DISK = {
    keys.INTERNAL: {
        'accel_applied', 'accel_claims', 'accel_clock', 'accel_differing',
        'accel_fence', 'accel_guard', 'accel_hold', 'accel_inside_void',
        'accel_left_off', 'accel_looks', 'accel_operation', 'accel_ports',
        'accel_profile',
        'accel_proofs', 'accel_properties', 'accel_record',
        'accel_resource_class', 'accel_result', 'accel_site',
        'accel_summary', 'accel_tenant', 'accel_traits', 'accel_void',
        'accel_waits'},
    keys.DRIVER: {'accel_accept_unread', 'accel_baseline'},
    keys.PROPERTY: {'accelerators'},
    keys.EXTRA: {'accel_adopted'},
    keys.PLUGIN_DATA: {'accelerators', 'accelerators_error'},
    keys.FIRMWARE: {'accel:'},
    keys.HISTORY: {'accelerator', 'accel-guard'}}

#: What begins like a key and is none: methods of the passthru, commands of
#: the agent, a driver of the exporter. ``accel_hold`` is both.
METHODS = {
    'accel_inventory', 'accel_progress', 'accel_refresh', 'accel_plan',
    'accel_profiles', 'accel_disable', 'accel_release', 'accel_hold',
    'accel_unhold', 'accel_unlock', 'accel_observe', 'accel_start',
    'accel_poll', 'accel_first_boot', 'accel_prometheus'}


def node(name: str, value: object, where: str = keys.INTERNAL) -> Any:
    return types.SimpleNamespace(uuid='n-1', **{where: {name: value}})


def test_names_are_those_on_disk() -> None:
    found: dict[str, set[str]] = {}
    for key in keys.KEYS:
        found.setdefault(key.where, set()).add(key.name)
    assert found == ON_DISK
    many = Counter((k.where, k.name) for k in keys.KEYS)
    assert max(many.values()) == 1


@pytest.mark.parametrize('key', keys.KEYS, ids=lambda key: key.name)
def test_each_key_has_a_description(key: Key[Any]) -> None:
    for text in (key.holds, key.writer, key.ends):
        assert text.endswith('.') and len(text) > 5
        assert text[0].isupper() or text.startswith('``')


def literals(path: pathlib.Path) -> Iterator[str]:
    """The texts of a module, without its docstrings."""
    tree = ast.parse(path.read_text())
    told = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for found in ast.walk(tree):
        if isinstance(found, ast.Constant) and isinstance(found.value, str) \
                and id(found) not in told:
            yield found.value


def spelled(path: pathlib.Path) -> set[str]:
    names = {name for text in literals(path)
             for name in re.findall(r'(?<![\w.-])accel_[a-z_]*', text)}
    whole = ON_DISK[keys.FIRMWARE] | {'accel-guard'}
    return {n for n in names if n not in METHODS} | (
        whole & set(literals(path)))


def test_no_other_file_spells_a_key() -> None:
    product = [p for folder in ('ironic_accel', 'ipa_hardware_manager')
               for p in (ROOT / folder).rglob('*.py')]
    assert len(product) > 200
    own = pathlib.Path(keys.__file__)
    assert {n for names in ON_DISK.values() for n in names
            if n.startswith('accel_')} - METHODS <= spelled(own)
    found = {str(p.relative_to(ROOT)): spelled(p) for p in product
             if p != own and spelled(p)}
    # Help of options stands below the keys; config/test_options.py compares.
    assert found == {
        'ironic_accel/conductor/config/options.py': {'accel_baseline'}}


def test_every_key_is_used() -> None:
    used = {a.attr for p in (ROOT / 'ironic_accel').rglob('*.py')
            if p.name != 'keys.py' for a in ast.walk(ast.parse(p.read_text()))
            if isinstance(a, ast.Attribute) and isinstance(a.value, ast.Name)
            and a.value.id == 'keys'}
    names = {name for name, value in vars(keys).items()
             if isinstance(value, Key)}
    assert names - used == set()


#: Value, and what is read of it; each of them once stood for a crash.
UNREADABLE = [
    (keys.OPERATION, 'apply', None),
    (keys.OPERATION, {'kind': 'clean'}, None),
    (keys.OPERATION, {'kind': 'clean', 'step': 7}, None),
    (keys.RECORD, ['intent'], {'schema': 'unreadable'}),
    (keys.RECORD, {'intent': 'burn'}, {'schema': 'unreadable'}),
    (keys.PROFILE, 'h100-new', {}),
    (keys.RESULT, 'done', None),
    (keys.SUMMARY, {'host': 'on'}, None),
    (keys.SUMMARY, {'at': 'today'}, None),
    (keys.INSIDE_VOID, 'yesterday', math.inf),
    (keys.LEFT_OFF, True, ''),
    (keys.HOLD, True, {'reason': 'the hold is malformed', 'by': None,
                       'at': 0.0}),
    (keys.CLOCK, {'at': 1.0}, None),
    (keys.FENCE, 7, None),
    (keys.TRAITS, 'CUSTOM_ACCEL_GPU', None),
    (keys.VOID, 'CUSTOM_ACCEL_GPU', None),
    (keys.PROOFS, ['ecc-on'], {}),
    (keys.TENANT, 'yes', True),
    (keys.APPLIED, {}, None),
    (keys.DIFFERING, {'a': 'b'}, None),
    (keys.SITE, {'host': 'later'}, None),
    (keys.SITE, {'host': 'one', 'profiles': {'a': 1}}, None),
    (keys.CLAIMS, {'of': ['d1']}, None),
    (keys.WAITS, {'d1': {'node': 'n-2'}, 'd2': {
        'node': 'n-2', 'device': 'gpu-0', 'since': 1}},
     {'d2': {'node': 'n-2', 'device': 'gpu-0', 'since': 1}}),
    (keys.WAITS, 'd1', {}),
    (keys.LOOKS, {'since': 1.0}, None),
    (keys.PORTS, {'p-1': {'category': 'dpu'}, 'p-2': 'nic'},
     {'p-1': {'category': 'dpu'}}),
    (keys.RESOURCE_CLASS, ['gpu'], None),
    (keys.PROPERTIES, [1], None),
    (keys.BASELINE, 7, None),
    (keys.ADOPTED, 'ipmi', {}),
    (keys.ACCELERATORS, 'gpu', None)]


@pytest.mark.parametrize(('key', 'value', 'expected'), UNREADABLE)
def test_malformed_value_is_logged_and_read_on_the_safe_side(
        key: Key[Any], value: object, expected: object,
        caplog: pytest.LogCaptureFixture) -> None:
    keys.tell.cache_clear()
    holder = node(key.name, value, key.where)
    assert key.of(holder) == expected
    assert key.of(holder) == expected
    # Once: a node is read at every tick.
    assert caplog.text.count(key.name) == 1
    assert 'n-1' in caplog.text
    assert key.is_there(holder)


@pytest.mark.parametrize('value', [
    True, 'flash', {'kind': 'action'}, {'what': None},
    {'what': 'gpu-0', 'since': 'now'}])
def test_malformed_power_lock_still_locks(value: object) -> None:
    found = keys.GUARD.of(node('accel_guard', value))
    assert found is not None
    assert (found['kind'], found['state']) == ('action', 'unknown')
    # No time is known after which it would end by itself.
    assert 'since' not in found and 'longest' not in found


def test_a_proof_that_cannot_be_read_is_void() -> None:
    good = {'digest': 'd', 'at': 1, 'devices': ['gpu-0']}
    found = keys.PROOFS.of(node('accel_proofs', {
        'ecc-on': good, 'mig': {'digest': 'd', 'at': 1.0}}))
    assert found == {'ecc-on': good,
                     'mig': {'digest': '', 'at': 0.0, 'devices': []}}


@pytest.mark.parametrize('key', [
    k for k in keys.KEYS if k.where == keys.INTERNAL],
    ids=lambda key: key.name)
def test_missing_value_is_none(key: Key[Any]) -> None:
    for info in (None, {}, {key.name: None}):
        assert key.read(info) is None
    assert not key.is_there(types.SimpleNamespace(driver_internal_info=None))
