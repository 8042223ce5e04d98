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

"""Site profiles: what the operator put into ``[accelerator]profile_path``."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
import threading

from oslo_log import log

from ironic_accel.bounded import files
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.options import CONF
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile
from ironic_accel.model import strict_yaml

LOG = log.getLogger(__name__)

#: A file's state, by which a change is noticed: (mtime in ns, size, inode,
#: mode, user).
_Mark = tuple[int, int, int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    mark: _Mark
    profiles: tuple[Profile, ...]


class SiteProfiles:
    """The profiles of a folder, read again when a file in it has changed.

    A file that is not valid is named in the log, once for each change of it,
    and counts as empty.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = pathlib.Path(folder) if folder else None
        self._told: str | None = None
        self._files: dict[pathlib.Path, _File] = {}
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, Profile]:
        """The profiles by name.

        A name that two files define is neither's: whichever a conductor
        read first would win otherwise, and conductors would differ.
        """
        if self._folder is None:
            return {}
        with self._lock:
            self._update(self._folder)
            found: dict[str, Profile] = {}
            twice: set[str] = set()
            for file in self._files.values():
                for profile in file.profiles:
                    if profile.name in found:
                        twice.add(profile.name)
                    found[profile.name] = profile
        return {k: v for k, v in found.items() if k not in twice}

    def get(self, name: str) -> Profile:
        """The profile of a name.

        :raises: BadInput where there is none, naming those that there are.
        """
        profiles = self.all()
        if name not in profiles:
            known = ', '.join(sorted(profiles)) or 'none at all'
            raise BadInput(f'profile: {name!r} is no site profile of this '
                           f'conductor; known: {known}')
        return profiles[name]

    def _update(self, folder: pathlib.Path) -> None:
        seen: dict[pathlib.Path, _File] = {}
        for path in sorted(folder.glob('*.yaml')):
            try:
                stat = path.stat()
                mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino,
                        stat.st_mode, stat.st_uid)
            except FileNotFoundError:
                continue
            except OSError:
                # Logged once: it has no time of change.
                mark = (0, 0, 0, 0, 0)
            old = self._files.get(path)
            seen[path] = (old if old and old.mark == mark
                          else _File(mark, _read(path)))
        changed = seen != self._files
        self._files = seen
        if changed:
            _warn_of_doubles(seen)
        self._warn_of_others(folder, seen)

    def _warn_of_others(self, folder: pathlib.Path,
                        seen: Mapping[pathlib.Path, _File]) -> None:
        """Log once that other users can write the profiles.

        The profiles stay in use: withdrawing their traits from a whole cloud
        because of the mode of a directory would do more harm than good.
        """
        told = files.warning([str(folder), *map(str, seen)])
        if told is not None and told != self._told:
            LOG.warning('Other users can change which firmware site profiles '
                        'write: %s', told)
        self._told = told


def _read(path: pathlib.Path) -> tuple[Profile, ...]:
    try:
        text = files.read_text(str(path), strict_yaml.MAX_LENGTH)
        return tuple(loader.load_text(text, source=str(path),
                                      catalog=catalogue.catalogue()))
    except (AccelError, OSError, UnicodeDecodeError) as exc:
        LOG.error('Site profiles of %(path)s are not used: %(why)s', {
            'path': path,
            'why': getattr(exc, 'strerror', None) or exc})
    except Exception:
        # An error in one file does not affect the profiles of the others.
        LOG.exception('Site profiles of %s are not used', path)
    return ()


def _warn_of_doubles(seen: Mapping[pathlib.Path, _File]) -> None:
    owner: dict[str, pathlib.Path] = {}
    for path, file in seen.items():
        for profile in file.profiles:
            if profile.name in owner:
                LOG.error(
                    'Profile %(name)s is defined in %(one)s and in %(two)s: '
                    'neither is used', {'name': profile.name,
                                        'one': owner[profile.name],
                                        'two': path})
            owner[profile.name] = path


_instance: SiteProfiles | None = None
_instance_lock = threading.Lock()


def site_profiles() -> SiteProfiles:
    """The site profiles of this conductor."""
    global _instance
    with _instance_lock:
        if _instance is None:
            _instance = SiteProfiles(CONF.accelerator.profile_path)
        return _instance
