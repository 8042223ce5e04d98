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

"""Files of profiles, as both commands read them."""

from __future__ import annotations

import sys

from ironic_accel.bounded import files
from ironic_accel.model import errors
from ironic_accel.model import loader
from ironic_accel.model import strict_yaml
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.profile import Profile


def read(file: str, catalog: Catalog | None = None) -> list[Profile]:
    """Read all profiles of a file; ``-`` is standard input.

    :param catalog: the catalogue of devices; the shipped one by default.
    :raises: BadInput with the file, the path in it, and the error.
    """
    try:
        if file == '-':
            text = sys.stdin.read(strict_yaml.MAX_LENGTH + 1)
        else:
            text = files.read_text(file, strict_yaml.MAX_LENGTH)
    except ValueError as exc:
        # The path contains a NUL, or the text is not UTF-8.
        raise errors.BadInput(f'{file!r}: ' + (
            'not UTF-8 text' if isinstance(exc, UnicodeDecodeError)
            else str(exc))) from exc
    except OSError as exc:
        raise errors.BadInput(f'{file}: {exc.strerror}') from exc
    return loader.load_text(text, file, catalog)


def choose(file: str, name: str | None, option: str = '--name',
           catalog: Catalog | None = None) -> Profile:
    """Read one profile of a file.

    :param name: its name; None if the file has one profile only.
    :param option: the option of the caller for the name.
    :param catalog: the catalogue of devices; the shipped one by default.
    :raises: BadInput for an unknown name, and without a name if the file
        has several profiles.
    """
    found = read(file, catalog)
    names = ', '.join(p.name for p in found)
    if name is None:
        if len(found) == 1:
            return found[0]
        raise errors.BadInput(
            f'{option}: required, {file} has {len(found)} profiles: {names}')
    for profile in found:
        if profile.name == name:
            return profile
    raise errors.BadInput(
        f'{option}: {name!r} not found in {file}; its profiles: {names}')
