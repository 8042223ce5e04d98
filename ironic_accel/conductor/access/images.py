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

"""Images for BMCs that can only fetch: beside Ironic's own, over HTTP."""

from __future__ import annotations

import contextlib
import os
import pathlib
import posixpath
import tempfile
import threading
from urllib import parse

from oslo_log import log

from ironic_accel.bounded import files
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import clock
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Ready
from ironic_accel.images import ImageStore
from ironic_accel.images import Policy
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.profile import Image

LOG = log.getLogger(__name__)

FOLDER = 'accel-images'
#: Seconds after which an image that was not requested again is removed.
KEPT = 24 * 3600

#: When this process was last asked for an image (``clock.steady``).
_asked: dict[pathlib.Path, float] = {}
_asked_lock = threading.Lock()

_MIB = 1024 * 1024
_store: ImageStore | None = None
_store_lock = threading.Lock()


def policy() -> Policy:
    """The allowed sources of images, from the options."""
    options = CONF.accelerator
    hosts = tuple(options.image_hosts)
    return Policy(
        schemes=frozenset(options.image_schemes),
        hosts=None if '*' in hosts else hosts,
        folders=tuple(options.image_dirs),
        max_bytes=options.image_max_mib * _MIB,
        cache_bytes=options.image_cache_mib * _MIB,
        verify=options.image_ca or True)


def store() -> ImageStore:
    """The one store of this process."""
    global _store
    with _store_lock:
        if _store is None:
            _store = ImageStore(
                CONF.accelerator.image_cache_dir, policy(),
                submit=workers.IMAGES.submit)
            workers.IMAGES.before_stop(_store.close)
        return _store


class OnDemand:
    """The store of this process, made when the first image is asked for."""

    def get(self, image: Image) -> Ready | Fetching | Bad:
        """The image, or how far its download is; see ports.Images."""
        return store().get(image)


#: What operations ask for images.
ON_DEMAND = OnDemand()


def serve(ready: Ready, image: Image | None) -> str | None:
    """Copy an image to a directory from which BMCs can download it.

    Its name contains the digest, so that two images never have the same.

    :param image: the image of the profile; some BMCs depend on the file
        extension, so that of its URL is kept.
    :returns: the URL, or None if no web server is configured.
    :raises: Rejected if others could change the served file, or if the image
        has changed.
    """
    base, root = (CONF.accelerator.image_serve_url,
                  CONF.accelerator.image_serve_dir)
    if not base or not root:
        return None
    folder = pathlib.Path(root) / FOLDER
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    _check_folder(folder)
    path = folder / (ready.sha256[:32] + _ending(image))
    if not _is(path, ready):
        _put(ready, path)
    _use(path)
    _forget_old(folder)
    return f"{base.rstrip('/')}/{FOLDER}/{path.name}"


def _ending(image: Image | None) -> str:
    if image is None:
        return ''
    ending = posixpath.splitext(parse.urlsplit(image.url).path)[1]
    return ending if ending[1:].isalnum() else ''


def _check_folder(folder: pathlib.Path) -> None:
    """Refuse a folder in which others could put something else.

    :raises: Rejected.
    """
    why = files.shared(str(folder))
    if why is not None:
        raise Rejected(
            f'cannot serve images from {folder}: {why}',
            error_class=ErrorClass.NEEDS_OPERATOR,
            expected='a directory that only the conductor can write to',
            todo=f'run chmod go-w {folder}, or set '
                 '[accelerator]image_serve_dir to another directory')


def _is(path: pathlib.Path, ready: Ready) -> bool:
    """Whether what is served is the image."""
    try:
        with files.open_regular(str(path), follow=False) as file:
            why = files.Checked(file, ready.size, ready.sha256).verify()
    except OSError as exc:
        why = exc.strerror
    if why is not None:
        LOG.debug('Copying the image to %(path)s again: %(why)s',
                  {'path': path, 'why': why})
    return why is None


def _put(ready: Ready, path: pathlib.Path) -> None:
    """Copy under a temporary name, so that the served file is complete and is
    what was digested while it was copied.

    :raises: Rejected if the image has changed.
    """
    handle, new = tempfile.mkstemp(dir=path.parent, prefix='.new-')
    try:
        with (os.fdopen(handle, 'wb') as copy,
              files.open_regular(ready.path, follow=False) as file):
            image = files.Checked(file, ready.size, ready.sha256)
            while piece := image.read():
                copy.write(piece)
        # The web server is another user, and only reads.
        os.chmod(new, 0o444)
        os.replace(new, path)
    except files.Changed as exc:
        raise Rejected(f'{ready.path}: {exc.strerror}',
                       error_class=ErrorClass.NEEDS_OPERATOR) from exc
    finally:
        # Under its own name by now, or not to be served at all.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)


def _use(path: pathlib.Path) -> None:
    """Note that an image was asked for: here, and for other processes.

    Those go by the time of the file, which is a time of day; what this
    process knows of is counted, so that no clock that is set takes an image
    away which a BMC is about to fetch.
    """
    with _asked_lock:
        _asked[path] = clock.steady()
    os.utime(path, (clock.now(), clock.now()))


def _forget_old(folder: pathlib.Path) -> None:
    with _asked_lock:
        for path in [p for p, at in _asked.items()
                     if clock.steady() - at > KEPT]:
            del _asked[path]
        kept = set(_asked)
    for path in folder.iterdir():
        try:
            if path not in kept and (
                    clock.now() - path.stat().st_mtime > KEPT):
                path.unlink()
        except FileNotFoundError:
            LOG.debug('%s was already removed', path)
