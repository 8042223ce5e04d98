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

"""``ironic-accel history``: what runs wrote to systems, and how they ended.

The history of a System is a file beside its journal, with one document
``history/1`` in each line. The oldest ones are dropped past a bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
import json
import os
import sys
from typing import Any

from ironic_accel.bounded import files
from ironic_accel.faces.cli import journal
from ironic_accel.faces.cli import messages
from ironic_accel.faces import history_view
from ironic_accel.faces import options
from ironic_accel.model import errors
from ironic_accel.model import history

#: Documents, and bytes, that the history of one System has at most.
MOST, MOST_BYTES = 200, 4 * 1024 * 1024
_ENDING = '.history'


def path_of(journal_path: str) -> str:
    """The history that belongs to a journal."""
    return journal_path.removesuffix('.json') + _ENDING


def append(path: str, document: Mapping[str, Any]) -> bool:
    """Add the end of a run to a history; the file is replaced as a whole.

    Lines that cannot be read are kept: a later version may have written them.
    A run that cannot write its history has ended all the same: that is a
    warning.

    :returns: whether it was added. A history that cannot be read is left as
        it is.
    """
    try:
        lines = _lines(path)
    except OSError as exc:
        messages.say(f'warning: cannot add to the history {path}: {exc}')
        return False
    lines = [*lines, json.dumps(document, separators=(',', ':'))][-MOST:]
    while len(lines) > 1 and sum(map(len, lines)) > MOST_BYTES:
        del lines[0]
    try:
        files.replace(path, '\n'.join(lines) + '\n')
    except OSError as exc:
        messages.say(f'warning: cannot write the history {path}: '
                     f'{exc.strerror}')
        return False
    return True


def _lines(path: str) -> list[str]:
    """The lines of a history, oldest first; none without a file.

    :raises: OSError.
    """
    try:
        with files.open_regular(path) as file:
            raw = file.read(2 * MOST_BYTES).decode('utf-8', 'replace')
    except FileNotFoundError:
        return []
    return [line for line in raw.split('\n') if line]


def read(path: str) -> list[dict[str, Any]]:
    """The documents of a history, oldest first; none without a file.

    A line that is none, or of a later version, is left out with a warning.
    """
    try:
        lines = _lines(path)
    except OSError as exc:
        messages.say(f'warning: cannot read the history {path}: {exc}')
        return []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            doc = history.read(json.loads(line))
        except ValueError:
            doc = None
        if doc is None:
            messages.say(f'warning: {path}, line {number}: not a '
                         f'{history.SCHEMA} document')
        else:
            found.append(doc)
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument('--bmc', metavar='URL',
                        help='runs on this BMC only, by the URL that they '
                             'were given')
    parser.add_argument('--journal', metavar='FILE',
                        help='the history beside this journal (default: all '
                             'in the default directory)')
    options.add_history_filters(parser, 'the last N runs', 'runs', 'N',
                                options.phrase)
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true',
                      help='print a JSON list of history/1 documents')
    form.add_argument('--csv', action='store_true',
                      help='print a row for each changed component as CSV')
    parser.epilog = (f'The last {MOST} runs of a system are kept. Send the '
                     'output of --json or --csv to the support of a vendor.')


def run(args: argparse.Namespace) -> int:
    """Print the history.

    :returns: 0.
    :raises: BadInput if the given journal has no history.
    """
    docs = sorted(_selected(args), key=lambda d: str(d.get('finished')))
    docs = docs[-(args.last or 0):]
    if args.json:
        print(json.dumps(docs))
    elif args.csv:
        history_view.write_csv(docs, sys.stdout)
    else:
        _show(docs)
    return 0


def _selected(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for path in _paths(args.journal):
        # A run that was interrupted and continued has two ends: the later
        # one counts.
        for doc in {doc.get('id'): doc for doc in read(path)}.values():
            if args.failed and not history.is_bad(doc):
                continue
            if args.bmc and not journal.same_url(
                    str(args.bmc), str(doc.get('bmc'))):
                continue
            yield doc


def _paths(given: str | None) -> list[str]:
    if given is not None:
        path = path_of(given)
        if not os.path.exists(path):
            raise errors.BadInput(
                f'--journal: {given} has no history ({path} does not exist)')
        return [path]
    folder = journal.default_folder()
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in sorted(names)
            if name.endswith(_ENDING)]


def _show(docs: list[dict[str, Any]]) -> None:
    from ironic_accel.faces import view
    if not docs:
        messages.say('no runs are recorded; ironic-accel apply records each '
                     'run at its end')
        return
    view.write(history_view.table(docs), sys.stdout)
