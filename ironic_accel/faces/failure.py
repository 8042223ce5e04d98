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

"""Errors as documents: what a program gets where a command ends early.

``error/1`` is the document of a command that has no other one to print: bad
input, a BMC that does not respond, an interruption. The document of a run
that ended with an error has the same ``error`` object.
"""

from __future__ import annotations

import re
from typing import Any

from ironic_accel.model import errors
from ironic_accel.model.errors import Detail

SCHEMA = 'error/1'

#: Text that begins with the option that it is about, as argparse and our own
#: checks of options word it.
_OPTION = re.compile(
    r'(?:argument )?(?P<field>--?[a-z][a-z-]*)(?P<choice>)[^:]*: ')
_MISSING = re.compile(r'the following arguments are required: (?P<field>.+)|'
                      r'one of the arguments (?P<choice>.+) is required')
_CHOICE = re.compile(r"invalid choice: (?P<value>'[^']*'|\S+) "
                     r'\(choose from (?P<expected>.+)\)')

#: The error of a command that was ended by a signal.
INTERRUPTED = Detail('interrupted', errors.ErrorClass.TRANSIENT,
                     todo='run the same command again')


def document(error: errors.AccelError | Detail, command: str,
             code: int) -> dict[str, Any]:
    """The document of a command that ended early.

    :param command: the subcommand.
    :param code: its exit code.
    """
    return {'schema': SCHEMA, 'command': command, 'exit_code': code,
            'error': error_object(error)}


def error_object(error: errors.AccelError | Detail) -> dict[str, Any]:
    """``error`` of a document.

    All keys are always there; what is unknown is null. ``field``, ``value``
    and ``expected`` are those of the input, if that is what is wrong.
    """
    detail = error if isinstance(error, Detail) else error.detail
    found = {**detail.to_dict(), 'field': None, 'value': None,
             'next': detail.todo}
    if isinstance(error, errors.BadInput):
        found.update({k: v for k, v in (
            *_of_text(detail.summary).items(), ('field', error.field),
            ('value', error.value), ('expected', error.wanted)) if v})
    return found


def _of_text(summary: str) -> dict[str, str]:
    """The option that a message about the command line begins with."""
    found: dict[str, str] = {}
    for pattern in (_OPTION, _MISSING):
        if match := pattern.match(summary):
            found = {'field': match['field'] or match['choice']}
            break
    if match := _CHOICE.search(summary):
        found |= match.groupdict()
    if _MISSING.match(summary):
        found['expected'] = 'a value'
    return found
