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

"""What this conductor knows of devices: the catalogue and the site's rows."""

from __future__ import annotations

import functools
import pathlib

from oslo_log import log

from ironic_accel.bounded import files
from ironic_accel.conductor.config.options import CONF
from ironic_accel.model import catalog
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.errors import BadInput
from ironic_accel.model import strict_yaml

LOG = log.getLogger(__name__)


@functools.cache
def catalogue() -> Catalog:
    """The catalogue, with the files of ``[accelerator]catalogue_path``.

    Read once: which reset a component needs does not change under a run.

    :raises: BadInput where a file cannot be read or is not valid, naming
        file, path and value.
    """
    folder = CONF.accelerator.catalogue_path
    return catalog.extended(_texts(pathlib.Path(folder)) if folder else {})


def _texts(folder: pathlib.Path) -> dict[str, str]:
    if not folder.is_dir():
        raise BadInput(f'[accelerator]catalogue_path: {str(folder)!r}: not an '
                       'existing directory')
    told = files.warning([str(folder), *map(str, folder.glob('*.yaml'))])
    if told is not None:
        LOG.warning('The catalogue is writable by other users, who can change '
                    'resets and traits: %s', told)
    texts = {}
    for path in sorted(folder.glob('*.yaml')):
        try:
            texts[str(path)] = files.read_text(
                str(path), strict_yaml.MAX_LENGTH)
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, 'strerror', None) or exc
            raise BadInput(f'{path}: not valid UTF-8: {why}'
                           ) from exc
    return texts
