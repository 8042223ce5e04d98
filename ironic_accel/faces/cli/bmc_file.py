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

"""``--bmc-file``: the BMCs of a command, each with its own options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
import os
import re
import shlex
from typing import Any

from ironic_accel.bounded import files
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import messages
from ironic_accel.model import errors
from ironic_accel.model import strict_yaml
from ironic_accel.redfish.client import origin

#: The keys of an entry; those of paths are relative to the file.
_KEYS = ('url', 'user', 'password-file', 'system', 'ca', 'insecure')
_PATHS = ('password-file', 'ca')
#: BMCs of one command.
_MOST = 4096
#: A file that begins so is YAML, otherwise each line is a BMC.
_YAML = re.compile(r'\s*(?:(?:#[^\n]*|---)?\n\s*)*(?:[-\[]|bmcs:)')


def read(args: argparse.Namespace) -> list[argparse.Namespace]:
    """The options for each BMC of the file; entries override options.

    All of them are checked, and passwords asked for, before any BMC is
    contacted.

    :raises: BadInput with the entry, the key, and what was expected.
    """
    path = str(args.bmc_file)
    if files.is_regular(path) and (warning := files.warning([path])):
        messages.warn('warning: other users can change which BMCs get the '
                      f'passwords: {warning}')
    try:
        text = files.read_text(path, strict_yaml.MAX_LENGTH)
    except UnicodeDecodeError as exc:
        raise errors.BadInput(f'--bmc-file: {path}: not UTF-8 text') from exc
    except (OSError, ValueError) as exc:
        raise errors.BadInput(f'--bmc-file: {path}: '
                              f'{getattr(exc, "strerror", None) or exc}'
                              ) from exc
    found = [_options(args, entry, f'--bmc-file: {path}: {where}')
             for where, entry in _entries(text, path)]
    if not found:
        raise errors.BadInput(f'--bmc-file: {path}: no BMC in this file')
    if len(found) > _MOST:
        raise errors.BadInput(f'--bmc-file: {path}: {len(found)} BMCs; '
                              f'expected at most {_MOST}')
    _check_unique(found, path)
    passwords: dict[tuple[Any, ...], Any] = {}
    for one in found:
        # One question, or one warning about a file, for all that share it.
        key = one.user, one.password_file
        if key not in passwords:
            try:
                passwords[key] = bmc_options.credentials(one)
            except errors.BadInput as exc:
                raise errors.BadInput(f'--bmc-file: {path}: {one.bmc}: '
                                      f'{_with_keys(exc)}') from exc
        one.credentials = passwords[key]
    return found


def _entries(text: str, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a file, each with its place."""
    if not _YAML.match(text):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith('#'):
                yield f'line {number}', _of_line(line, f'{path}:{number}')
        return
    documents = [d.data for d in strict_yaml.documents(text, path)]
    raw = documents[0] if len(documents) == 1 else None
    if isinstance(raw, dict) and [*raw] == ['bmcs']:
        raw = raw['bmcs']
    if not isinstance(raw, list):
        raise errors.BadInput(f'--bmc-file: {path}: expected a list of BMCs')
    for number, entry in enumerate(raw, 1):
        yield f'entry {number}', ({'url': entry} if isinstance(entry, str)
                                  else entry)


def _of_line(line: str, where: str) -> dict[str, Any]:
    """``URL [KEY=VALUE...]`` as an entry."""
    try:
        url, *options = shlex.split(line, comments=True)
    except ValueError as exc:
        raise errors.BadInput(f'--bmc-file: {where}: {exc}') from exc
    entry: dict[str, Any] = {'url': url}
    for option in options:
        key, equals, value = option.partition('=')
        if not equals or key in entry:
            raise errors.BadInput(
                f'--bmc-file: {where}: {key!r}: expected URL [KEY=VALUE...], '
                'each key once')
        entry[key] = {'true': True, 'false': False}.get(value, value)
    return entry


def _options(args: argparse.Namespace, entry: Any, where: str
             ) -> argparse.Namespace:
    """The options of a command for one BMC.

    :raises: BadInput.
    """
    if not isinstance(entry, Mapping):
        raise errors.BadInput(f'{where}: expected a URL, or a mapping with '
                              f"the keys {', '.join(_KEYS)}")
    for key, value in entry.items():
        if key == 'password':
            # The value is a secret: do not print it.
            raise errors.BadInput(f"{where}: 'password': not accepted; "
                                  'expected password-file')
        if key not in _KEYS:
            raise errors.BadInput(f'{where}: {key!r}: unknown; expected one '
                                  f"of {', '.join(_KEYS)}")
        if not isinstance(value, bool if key == 'insecure' else str) or (
                value == ''):
            raise errors.BadInput(
                f'{where}: {key}: {value!r}: expected '
                + ('true or false' if key == 'insecure' else 'a text'))
    if 'url' not in entry:
        raise errors.BadInput(f'{where}: url: required')
    if entry.get('insecure') and 'ca' in entry:
        raise errors.BadInput(f'{where}: insecure: cannot be combined with '
                              'ca')
    return _checked(args, entry, where)


def _checked(args: argparse.Namespace, entry: Mapping[str, Any], where: str
             ) -> argparse.Namespace:
    own = dict(entry)
    folder = os.path.dirname(os.path.abspath(str(args.bmc_file)))
    for key in _PATHS:
        if key in own:
            own[key] = os.path.join(folder, os.path.expanduser(own[key]))
    one = argparse.Namespace(**vars(args))
    one.bmc = own.pop('url')
    if 'ca' in own:
        one.insecure = False
    if own.get('insecure'):
        one.ca = None
    for key, value in own.items():
        setattr(one, key.replace('-', '_'), value)
    try:
        one.bmc = bmc_options.url(one)
        bmc_options.verify(one)
    except errors.BadInput as exc:
        raise errors.BadInput(f'{where}: {_with_keys(exc)}') from exc
    return one


def _with_keys(error: errors.BadInput) -> str:
    """An error about options, with the keys of an entry instead of them."""
    return re.sub(r'--(user|password-file|ca)\b', r'\1',
                  error.detail.summary.replace('--bmc:', 'url:'))


def _check_unique(found: list[argparse.Namespace], path: str) -> None:
    """Check that no System is listed twice, as far as the file shows.

    :raises: BadInput.
    """
    seen: set[object] = set()
    for one in found:
        key = origin.of(one.bmc), one.system
        if key in seen:
            raise errors.BadInput(f'--bmc-file: {path}: {one.bmc} is listed '
                                  'twice')
        seen.add(key)
