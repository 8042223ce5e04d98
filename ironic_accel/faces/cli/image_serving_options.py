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

"""Serve images to BMCs that download them (SimpleUpdate).

They are served by the command itself or by an existing web server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import posixpath
import shutil
import tempfile
from types import TracebackType
from urllib import parse

from ironic_accel.converge.ports import Ready
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.profile import Image
from ironic_accel.redfish.image_server import ImageServer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for serving images."""
    group = parser.add_argument_group(
        'images for BMCs that download them (SimpleUpdate)',
        'By default the command serves the image itself while it runs, over '
        'HTTP and under a random path.')
    group.add_argument(
        '--image-address', metavar='HOST[:PORT]',
        help='address of this host as seen by the BMC (default: the local '
             'address of the route to the BMC, and any free port)')
    group.add_argument(
        '--image-folder', metavar='DIR',
        help='copy the image to this directory of a web server instead; '
             'requires --image-url')
    group.add_argument('--image-url', metavar='URL',
                       help='URL of that directory as seen by the BMC')


class Served:
    """Serves images to a BMC (``BmcSettings.image_uri``).

    No port is open before the first image is needed. Copies in the directory
    of a web server are removed at the end.

    :param bmc: URL of the BMC.
    :ivar keep: whether to keep the copies, because the BMC may still be
        downloading one.
    :raises: BadInput for invalid options.
    """

    def __init__(self, args: argparse.Namespace, bmc: str) -> None:
        self.keep = False
        self._bmc = bmc
        self._folder, self._url = _folder(args)
        self._host, self._port = _address(args)
        self._server: ImageServer | None = None
        self._put: list[str] = []

    def __enter__(self) -> Served:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.__exit__(kind, error, trace)
        for path in () if self.keep else self._put:
            if os.path.exists(path):
                os.unlink(path)

    def uri(self, image: Ready, spec: Image | None = None) -> str | None:
        """Serve an image and return its URI.

        :raises: Rejected if that is not possible.
        """
        if self._folder is not None:
            return f'{self._url}/{self._copy(self._folder, image, spec)}'
        if self._server is None:
            server = ImageServer(self._bmc, self._port, self._host)
            try:
                server.__enter__()
            except OSError as exc:
                raise Rejected(
                    f'cannot serve images at {self._host or "any address"} '
                    f'(--image-address): {exc.strerror}',
                    error_class=ErrorClass.NEEDS_OPERATOR) from exc
            self._server = server
        return self._server.uri(image, spec)

    def _copy(self, folder: str, image: Ready, spec: Image | None) -> str:
        """Copy an image to the directory; its file name there."""
        url = spec.url if spec is not None else image.path
        ending = posixpath.splitext(parse.urlsplit(url).path)[1]
        name = image.sha256[:32] + (ending if ending[1:].isalnum() else '')
        path = os.path.join(folder, name)
        try:
            handle, part = tempfile.mkstemp(dir=folder, prefix='.new-')
            os.close(handle)
            with contextlib.ExitStack() as stack:
                stack.callback(os.unlink, part)
                shutil.copyfile(image.path, part)
                # The web server runs as another user.
                os.chmod(part, 0o644)
                if not os.path.exists(path):
                    self._put.append(path)
                os.replace(part, path)
                stack.pop_all()
        except OSError as exc:
            raise Rejected(
                f'cannot copy the image to {folder} (--image-folder): '
                f'{exc.strerror}',
                error_class=ErrorClass.NEEDS_OPERATOR) from exc
        return name


def _folder(args: argparse.Namespace) -> tuple[str | None, str]:
    folder, url = args.image_folder, args.image_url
    if (folder is None) != (url is None):
        missing = '--image-url' if folder else '--image-folder'
        raise BadInput(f'{missing}: required, --image-folder and --image-url '
                       'have to be given together')
    if folder is None:
        return None, ''
    if not os.path.isdir(folder):
        raise BadInput(f'--image-folder: {folder} is not a directory')
    parts = parse.urlsplit(url)
    if (parts.scheme not in ('http', 'https') or not parts.hostname
            or parts.username is not None or parts.query):
        # The value may contain a password: do not print it.
        raise BadInput('--image-url: expected http://HOST/PATH or '
                       'https://HOST/PATH, without user information')
    return folder, url.rstrip('/')


def has_port(args: argparse.Namespace) -> bool:
    """Whether the images are served at a given port.

    :raises: BadInput for invalid options.
    """
    return bool(_address(args)[1])


def _address(args: argparse.Namespace) -> tuple[str | None, int]:
    text = args.image_address
    if text is None:
        return None, 0
    parts = parse.urlsplit(f'//{text}')
    try:
        port = parts.port
    except ValueError:
        port = -1
    if port == -1 or not parts.hostname or parts.path or parts.username:
        raise BadInput(f'--image-address: {text!r}: expected HOST or '
                       'HOST:PORT, an IPv6 address in brackets')
    if args.image_folder is not None:
        raise BadInput('--image-address: cannot be combined with '
                       '--image-folder')
    return parts.hostname, port or 0
