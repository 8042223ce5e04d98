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

"""``ironic-accel completion``: completion of the command in a shell.

The scripts are made from the parser. They contain all words, since a shell
that starts Python at each TAB is slow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import pathlib
import shlex

SHELLS = ('bash', 'zsh', 'fish')
#: Metavariables of arguments that are paths.
_PATHS = frozenset({'DIR', 'FILE', 'FOLDER', 'PATH', 'TARBALL'})


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """An option, or a positional argument.

    :ivar flags: its names; none of a positional argument.
    :ivar has_value: whether a value follows.
    :ivar is_path: whether the value is a file or a directory.
    """

    flags: tuple[str, ...]
    help: str
    has_value: bool
    choices: tuple[str, ...] = ()
    is_path: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand; the one without a name is the command itself."""

    name: str
    help: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> Iterator[Argument]:
        """Its options."""
        return (a for a in self.arguments if a.flags)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument('shell', choices=SHELLS,
                        help='bash and zsh: source <(ironic-accel completion '
                             'SHELL); fish: ironic-accel completion fish | '
                             'source')


def run(args: argparse.Namespace) -> int:
    """Print the script.

    :returns: 0.
    """
    print(script(args.shell, args.whole_parser), end='')
    return 0


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script for a shell.

    :param parser: with the options of all subcommands.
    """
    found = [*_subcommands(parser)]
    if shell == 'fish':
        return '\n'.join(_fish(found)) + '\n'
    lines = [] if shell == 'bash' else [
        'autoload -Uz compinit bashcompinit',
        '(( $+functions[compdef] )) || compinit', 'bashcompinit']
    return '\n'.join((*lines, *_bash(found))) + '\n'


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[Subcommand]:
    """The command itself, then its subcommands."""
    yield Subcommand('', '', tuple(_arguments(parser)))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {a.dest: a.help or '' for a in action._choices_actions}
            for name, sub in action.choices.items():
                yield Subcommand(name, helps.get(name, ''),
                                 tuple(_arguments(sub)))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(
                action, argparse._SubParsersAction):
            continue
        yield Argument(
            tuple(action.option_strings), action.help or '',
            action.nargs != 0, tuple(map(str, action.choices or ())),
            action.metavar in _PATHS or action.type is pathlib.Path)


def _bash(found: Iterable[Subcommand]) -> Iterator[str]:
    """A function of bash, which zsh understands too.

    Without an answer the shell completes the names of files.
    """
    found = list(found)
    names = ' '.join(s.name for s in found if s.name)
    yield from (
        '_ironic_accel() {',
        '    local cur=${COMP_WORDS[COMP_CWORD]}',
        '    local prev=${COMP_WORDS[COMP_CWORD-1]}',
        '    local verb= at words=',
        '    for (( at = 1; at < COMP_CWORD; at++ )); do',
        '        case ${COMP_WORDS[at]} in',
        '            -*) ;;',
        '            *) verb=${COMP_WORDS[at]}; break ;;',
        '        esac',
        '    done',
        '    COMPREPLY=()',
        '    case "$verb $prev" in')
    for sub in found:
        valued = [o for o in sub.options if o.has_value]
        for option in (o for o in valued if o.choices):
            yield f'        {_patterns(sub, [option])})'
            yield ('            COMPREPLY=( $(compgen -W '
                   f'{shlex.quote(" ".join(option.choices))} -- "$cur") )')
            yield '            return ;;'
        others = [o for o in valued if not o.choices]
        if others:
            yield f'        {_patterns(sub, others)}) return ;;'
    yield '    esac'
    yield '    case "$verb" in'
    for sub in found:
        words = ' '.join([
            *(f for option in sub.options for f in option.flags),
            *(c for a in sub.arguments if not a.flags for c in a.choices)])
        if not sub.name:
            words = f'{names} {words}'
        yield f"        {shlex.quote(sub.name)}) words={shlex.quote(words)} ;;"
    yield from (
        '    esac',
        '    COMPREPLY=( $(compgen -W "$words" -- "$cur") )',
        '}',
        'complete -o bashdefault -o default -F _ironic_accel ironic-accel')


def _patterns(sub: Subcommand, options: Iterable[Argument]) -> str:
    """A pattern of ``case`` for a subcommand and the option before."""
    return '|'.join(shlex.quote(f'{sub.name} {flag}')
                    for option in options for flag in option.flags)


def _fish(found: Iterable[Subcommand]) -> Iterator[str]:
    """Completions of fish, one for each word."""
    for sub in found:
        seen = '__fish_use_subcommand'
        if sub.name:
            yield (f'complete -c ironic-accel -n {seen} -f '
                   f'-a {sub.name} -d {_fish_quoted(sub.help)}')
            seen = f"'__fish_seen_subcommand_from {sub.name}'"
        for argument in sub.arguments:
            words = [f'complete -c ironic-accel -n {seen}']
            for flag in argument.flags:
                words.append(f'-l {flag[2:]}' if flag.startswith('--')
                             else f'-s {flag[1:]}')
            if argument.has_value and argument.flags:
                words.append('-r')
            if not argument.is_path:
                words.append('-f')
            if argument.choices:
                words.append(f"-a {_fish_quoted(' '.join(argument.choices))}")
            if len(words) > 1 and (argument.flags or argument.choices):
                words.append(f'-d {_fish_quoted(argument.help)}')
                yield ' '.join(words)


def _fish_quoted(text: str) -> str:
    """A single-quoted string: fish has escapes for quote and backslash."""
    plain = ' '.join(text.split()).replace('%%', '%')
    return "'" + plain.replace('\\', '\\\\').replace("'", "\\'") + "'"
