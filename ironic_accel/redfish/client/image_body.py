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

"""Images as bodies of requests: with a known length, in large pieces."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
from typing import Any

from urllib3 import fields
from urllib3 import filepost

from ironic_accel.bounded import files


class ImageBody:
    """A body with an image in it.

    Requests sends an iterable piece by piece, as it is, where it has a
    length; of a file, urllib3 reads 16 KiB at a time.

    :param head: bytes before the image, and
    :param tail: bytes after it.
    :ivar image: the image, which is verified already.
    :ivar gone: bytes given to the connection: at most a mebibyte of them was
        not sent.
    """

    def __init__(self, image: files.Checked, head: bytes = b'',
                 tail: bytes = b'') -> None:
        self._head, self._tail = head, tail
        self._length = len(head) + image.len + len(tail)
        self.image = image
        self.gone = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, once.

        :raises: files.Changed before the last byte of an image that was
            changed.
        """
        for piece in self._pieces():
            self.gone += len(piece)
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        if self._head:
            yield self._head
        while piece := self.image.read():
            yield piece
        if self._tail:
            yield self._tail


def multipart(image: files.Checked, parameters: Mapping[str, Any],
              name: str) -> tuple[ImageBody, str]:
    """A multipart/form-data body for a MultipartHttpPushUri.

    Two parts, in this order (DSP0266 1.20, "Multipart HTTP push updates"):
    UpdateParameters, a JSON document, and UpdateFile.

    :param name: the file name of UpdateFile.
    :returns: the body and its Content-Type.
    """
    boundary = filepost.choose_boundary()
    head = b''.join((
        _part(boundary, 'UpdateParameters', None, 'application/json'),
        json.dumps(parameters).encode(), b'\r\n',
        _part(boundary, 'UpdateFile', name, 'application/octet-stream')))
    return (ImageBody(image, head, f'\r\n--{boundary}--\r\n'.encode()),
            f'multipart/form-data; boundary={boundary}')


def _part(boundary: str, name: str, file: str | None, kind: str) -> bytes:
    """The beginning of a part: delimiter and headers."""
    field = fields.RequestField(name, b'', file)
    field.make_multipart(content_type=kind)
    return f'--{boundary}\r\n{field.render_headers()}'.encode()
