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

"""The commands that messages name exist, and take the words they are given.

All strings of the product are searched, those of f-strings with a word in
the place of each value. The parsers are the real ones: of ``ironic-accel``,
of the plug-in ``baremetal accelerator`` and of Ironic's own client.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
import contextlib
import functools
import importlib
from importlib import metadata
import io
import pathlib
import re
import shlex
from typing import Any
from unittest import mock

import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.faces.cli import main as command
from ironic_accel.faces.cli import plan as plan_command
from ironic_accel.faces import command_line
from ironic_accel.faces.osc.commands import plan as plan_module
from ironic_accel.faces.osc.commands import profile as profile_module

ROOT = pathlib.Path(__file__).parents[3] / 'ironic_accel'
#: What stands for a value.
VALUE = 'VALUE'
#: A command: up to what ends it in a sentence.
_COMMAND = re.compile(
    r'\b(?P<tool>(?:openstack )?baremetal|ironic-accel)'
    r'(?P<words>(?: (?:[a-z_]+|--?[a-z][a-z-]*|VALUE\S*|[A-Z]+|\.\.\.))+)')
#: Words of a sentence after a command.
_PROSE = frozenset({'and', 'or', 'to', 'lists', 'prints', 'then', 'has', 'is',
                    'does', 'in', 'first', 'needs', 'starts', 'restores',
                    'records', 'on'})
#: Values that have to be one of a few.
_CHOICES = {'SHELL': 'bash'}


def _strings(path: pathlib.Path) -> Iterator[str]:
    """The strings of a module that are not docstrings."""
    tree = ast.parse(path.read_text('utf-8'))
    skipped = {
        id(node.body[0].value) for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield ''.join(
                str(part.value) if isinstance(part, ast.Constant) else VALUE
                for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r'\{[a-z_]+\}', VALUE, node.value)


@functools.cache
def parsers() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """The parser of each command, by its words."""
    found: dict[tuple[str, ...], argparse.ArgumentParser] = {}
    for point in metadata.entry_points(group='openstack.baremetal.v1'):
        made: Any = point.load()(mock.Mock(), None)
        found['baremetal', *point.name.split('_')[1:]] = made.get_parser('x')
    for name in command.COMMANDS:
        module = importlib.import_module(
            'ironic_accel_emulator.cli' if name == 'twin'
            else f'ironic_accel.faces.cli.{name}')
        one = argparse.ArgumentParser(prog=name)
        module.add_arguments(one)
        found['ironic-accel', name] = one
    return found


def check(tool: str, words: list[str]) -> str | None:
    """Why a command is wrong, or None."""
    line = [tool.removeprefix('openstack '),
            *(_CHOICES.get(word, word) for word in words)]
    if line[:4] == ['baremetal', 'node', 'power', VALUE]:
        line[3] = 'off'
    if line[:3] == ['baremetal', 'accelerator', VALUE]:
        line[2] = 'apply'
    name = max((n for n in parsers() if tuple(line[:len(n)]) == n),
               key=len, default=None)
    if name is None:
        return f'no such command: {" ".join(line)}'
    given = line[len(name):]
    ends = [n for n, word in enumerate(given) if word in _PROSE]
    given = given[:ends[0]] if ends else given
    if not given:
        # It is mentioned, and not given to be run.
        return None
    if name[-1] in ('plan', 'apply') and '--profile' not in given:
        # It would plan the baseline of the node, or nothing.
        return f'without --profile: {" ".join(line)}'
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsers()[name].parse_args(given)
    except SystemExit:
        return f'{" ".join(line)}: {said.getvalue().splitlines()[-1]}'
    return None


def commands() -> list[tuple[str, str, tuple[str, ...]]]:
    """Each command of a message, with its module."""
    found = set()
    for path in sorted(ROOT.rglob('*.py')):
        for text in _strings(path):
            for one in _COMMAND.finditer(text):
                words = tuple(one['words'].split())
                if one['tool'] == 'ironic-accel' and (
                        words[0] not in command.COMMANDS):
                    # The product, and not its command.
                    continue
                if len(words) > 1 or one['tool'] == 'ironic-accel':
                    found.add((str(path.relative_to(ROOT)), one['tool'],
                               words))
    return sorted(found)


@pytest.mark.parametrize('module, tool, words', commands())
def test_a_command_in_a_message_exists_and_takes_its_words(
        module: str, tool: str, words: tuple[str, ...]) -> None:
    if words[:2] == ('runbook', 'trait') and (
            not ironic_series.RUNBOOK_TRAITS.present):
        pytest.skip('RUNBOOK_TRAITS')
    assert check(tool, list(words)) is None


def test_the_messages_name_commands_of_all_tools() -> None:
    named = {' '.join((tool, *words[:2])) for _, tool, words in commands()}
    assert {'baremetal node maintenance', 'baremetal accelerator refresh',
            'baremetal accelerator unlock'} <= named
    assert any(tool == 'ironic-accel' for _, tool, _ in commands())


@pytest.mark.parametrize('line', [
    'baremetal accelerator burn VALUE',
    'baremetal accelerator unlock VALUE',
    'baremetal accelerator plan VALUE',
    'baremetal accelerator plan VALUE --via agent',
    'ironic-accel plan --bmc-file VALUE',
    'baremetal accelerator refresh VALUE --no-such',
    'baremetal node maintenance unset',
    'ironic-accel history --no-such'])
def test_a_wrong_command_is_found(line: str) -> None:
    tool, *words = line.split()
    given = [*words, 'VALUE'] if words == ['node', 'maintenance'] else words
    wrong = check(tool, given)
    if line.endswith('unset'):
        assert wrong is None
    else:
        assert wrong is not None


#: For each command that names another one: its words, and the options of the
#: other one that have to be the same.
NAMED = [
    (('ironic-accel', 'apply'), ('ironic-accel', 'plan'), line)
    for line in (
        '--bmc-file rack1 --profile p.yaml',
        "--bmc-file 'rack 1' --profile p.yaml --name x --allow-disruption "
        '--max-activation none --user root --password-file f --ca ca.pem '
        '--system 1 --max-in-flight 3 --warm-up 0 --allow-unreadable '
        '/redfish/v1/a --allow-unreadable /redfish/v1/b --catalogue c '
        '--image-cache i --image-ca j '
        '--image-address h --keep-going --poll-interval 1',
        '--bmc https://bmc --profile p.yaml --insecure --journal j')
] + [
    (('baremetal', 'accelerator', 'apply'),
     ('baremetal', 'accelerator', 'plan'), line)
    for line in (
        'VALUE --profile p', 'VALUE --profile ./p.yaml --name x --via agent '
        '--service --max-activation none --allow-disruption --wait 5 --yes',
        'VALUE --profile p --clean -f json -c Node')]


@pytest.mark.parametrize('command_name, other, line', NAMED)
def test_a_command_that_is_named_has_the_options_of_the_present_one(
        command_name: tuple[str, ...], other: tuple[str, ...], line: str
        ) -> None:
    given = parsers()[command_name].parse_args(shlex.split(line))
    named = argparse.ArgumentParser()
    if other[0] == 'ironic-accel':
        plan_command.add_arguments(named)
        nodes = []
    else:
        profile_module.add_profile(named)
        plan_module.add_step_options(named)
        nodes = ['VALUE']
    text = command_line.shown(' '.join(other), named, given, *nodes)
    words = shlex.split(text)
    assert words[:len(other)] == [*other]
    parsed = vars(parsers()[other].parse_args(words[len(other):]))
    ours = {action.dest for action in named._actions} - {'help'}
    assert {'profile'} <= ours
    assert {name: parsed[name] for name in ours} == {
        name: vars(given)[name] for name in ours}
