# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Receive firmware images: pushed to the BMC, or downloaded by it."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import requests
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ironic_accel_emulator import pointers
from ironic_accel_emulator.bmc import accepted
from ironic_accel_emulator.bmc.messages import Body, Reply, Request
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import ROOT, Document, normal
from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.update import Order

_CHUNK = 1 << 16
_SMALL = 1 << 16
_SIMPLE = '#UpdateService.SimpleUpdate'


class ReceivedImage:
    """A file for a received image, with its digest."""

    def __init__(self, limit: int | None) -> None:
        handle, name = tempfile.mkstemp(prefix='twin-image-')
        self.path = Path(name)
        self._limit = limit
        self._file: IO[bytes] = open(handle, 'wb')  # noqa: SIM115
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add a chunk; raises RedfishError 413 beyond the limit."""
        self.size += len(data)
        if self._limit is not None and self.size > self._limit:
            raise RedfishError(413, 'PayloadTooLarge')
        self._digest.update(data)
        self._file.write(data)

    def close(self) -> str:
        """Finish; return the SHA-256 in hex."""
        self._file.close()
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class _Form:
    """The parts of a multipart push, in any order."""

    def __init__(self, boundary: bytes, received: ReceivedImage) -> None:
        self.fields: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self._received = received
        self._header = [b'', b'']
        self._name = ''
        self.parser = MultipartParser(
            boundary,
            {
                'on_part_begin': self._begin,
                'on_part_data': self._data,
                'on_header_field': self._field,
                'on_header_value': self._value,
                'on_header_end': self._header_end,
            },
        )

    def _begin(self) -> None:
        self._name = ''
        self._type = 'text/plain'

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        name, value = self._header[0].lower(), self._header[1]
        self._header = [b'', b'']
        if name == b'content-disposition':
            _, options = parse_options_header(value)
            self._name = options.get(b'name', b'').decode('latin-1')
            self.fields.setdefault(self._name, b'')
        elif name == b'content-type':
            self._type = value.decode('latin-1')
        self.types[self._name] = self._type

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == 'UpdateFile':
            self._received.write(data[start:end])
            return
        known = self.fields.get(self._name, b'') + data[start:end]
        if len(known) > _SMALL:
            raise RedfishError(413, 'PayloadTooLarge')
        self.fields[self._name] = known


def limit_of(box: Box) -> int | None:
    """Largest image that the service accepts, in bytes, or None."""
    service = box.documents.see(f'{ROOT}/UpdateService') or {}
    found = service.get('MaxImageSizeBytes')
    return found if isinstance(found, int) else None


def _check_length(box: Box, request: Request) -> None:
    limit = limit_of(box)
    if limit is not None and (request.length or 0) > limit + _SMALL:
        raise RedfishError(413, 'PayloadTooLarge')


def _pour(body: Body | None, into: Callable[[bytes], Any]) -> None:
    while body is not None and (piece := body.read(_CHUNK)):
        into(piece)


def push_multipart(box: Box, request: Request) -> Reply:
    """MultipartHttpPushUri: UpdateParameters and UpdateFile.

    Raises RedfishError 400 for an invalid form or invalid parameters, 413 for
    an image that is too large, 503 while an update is running.
    """
    _check_length(box, request)
    kind = request.headers.get('content-type', '')
    name, options = parse_options_header(kind)
    boundary = options.get(b'boundary')
    if name != b'multipart/form-data' or not boundary:
        raise RedfishError(415, 'UnrecognizedRequestBody')
    received = ReceivedImage(limit_of(box))
    try:
        form = _Form(boundary, received)
        _pour(request.body, form.parser.write)
        form.parser.finalize()
        parameters = _parameters(form)
        return _order(box, received, 'multipart', parameters)
    except MultipartParseError as error:
        received.discard()
        raise RedfishError(400, 'UnrecognizedRequestBody') from error
    except BaseException:
        received.discard()
        raise


def _parameters(form: _Form) -> Document:
    for name in ('UpdateParameters', 'UpdateFile'):
        if name not in form.fields:
            raise RedfishError(400, 'PropertyMissing', (name,))
    if not form.types['UpdateFile'].startswith('application/octet-stream'):
        args = (form.types['UpdateFile'], 'UpdateFile')
        raise RedfishError(400, 'PropertyValueTypeError', args)
    try:
        parameters = json.loads(form.fields['UpdateParameters'] or b'{}')
    except ValueError as error:
        raise RedfishError(400, 'MalformedJSON') from error
    if not isinstance(parameters, dict):
        raise RedfishError(400, 'UnrecognizedRequestBody')
    return parameters


def push_plain(box: Box, request: Request) -> Reply:
    """HttpPushUri: the body is the image; errors as for a multipart push."""
    _check_length(box, request)
    received = ReceivedImage(limit_of(box))
    try:
        _pour(request.body, received.write)
        service = box.documents.see(f'{ROOT}/UpdateService') or {}
        targets = service.get('HttpPushUriTargets')
        given = {'Targets': targets} if targets else {}
        if getattr(box.family, 'targets_empty', False):
            given['Targets'] = []
        return _order(box, received, 'http-push', given)
    except BaseException:
        received.discard()
        raise


def simple_update_target(document: Document | None) -> str | None:
    """The target of SimpleUpdate, or None."""
    found = pointers.get(document, f'/Actions/{_SIMPLE}/target')
    return normal(found) if isinstance(found, str) else None


def simple_update(box: Box, body: dict[str, Any]) -> Reply:
    """SimpleUpdate: the emulator downloads the image.

    Raises RedfishError 400 for invalid parameters. If the image cannot be
    downloaded, the task fails, as on a BMC.
    """
    uri = body.get('ImageURI')
    if not isinstance(uri, str):
        raise RedfishError(
            400, 'ActionParameterMissing', ('SimpleUpdate', 'ImageURI')
        )
    scheme = urlsplit(uri).scheme or str(
        body.get('TransferProtocol', 'HTTP')
    )
    if scheme.lower() not in ('http', 'https', 'file'):
        args = (uri, 'ImageURI', 'SimpleUpdate')
        raise RedfishError(400, 'ActionParameterValueNotInList', args)
    if '://' not in uri:
        uri = f'{scheme.lower()}://{uri}'
    received = ReceivedImage(limit_of(box))
    try:
        _fetch(uri, received)
    except (OSError, RedfishError) as error:
        received.discard()
        return _not_fetched(box, uri, str(error))
    return _order(box, received, 'simple-update', body, uri)


def _fetch(uri: str, received: ReceivedImage) -> None:
    parts = urlsplit(uri)
    if parts.scheme == 'file':
        with open(unquote(parts.path), 'rb') as stream:
            shutil.copyfileobj(stream, received, _CHUNK)
        return
    with requests.get(uri, stream=True, timeout=30) as answer:
        answer.raise_for_status()
        for piece in answer.iter_content(_CHUNK):
            received.write(piece)


def _not_fetched(box: Box, uri: str, why: str) -> Reply:
    with box.lock:
        task = box.tasks.new('Update')
        task.say(
            'Update.1.0.TransferFailed',
            (uri, ''),
            f"Transfer of image '{uri}' failed: {why}",
            'Critical',
        )
        box.tasks.end(task, 'Exception', 'Critical')
        document = box.tasks.document(task.uri)
    return Reply(202, document, {'Location': task.monitor})


def _targets(parameters: Document) -> tuple[str, ...] | None:
    found = parameters.get('Targets')
    if found is None:
        return None
    if not isinstance(found, list):
        args = (str(found), 'Targets')
        raise RedfishError(400, 'PropertyValueTypeError', args)
    return tuple(str(item) for item in found)


def _order(
    box: Box,
    received: ReceivedImage,
    transport: str,
    parameters: Document,
    source: str | None = None,
) -> Reply:
    digest = received.close()
    with box.lock:
        targets = _targets(parameters)
        accepted.refuse(box, targets, received.discard)
        for name in targets or ():
            if box.document(normal(name)) is None and not any(
                box.family.covers(normal(name), part)
                for part in box.components.values()
            ):
                received.discard()
                raise RedfishError(
                    400, 'PropertyValueNotInList', (name, 'Targets')
                )
        box.family.check_update(box, parameters)
        order = Order(
            file=received.path,
            digest=digest,
            size=received.size,
            transport=transport,
            targets=targets,
            force=parameters.get('ForceUpdate') is True,
            stage_only=pointers.get(parameters, '/Oem/Nvidia/UpdateOption')
            == 'StageOnly',
            apply_time=parameters.get(
                '@Redfish.OperationApplyTime', 'Immediate'
            ),
            source=source,
        )
        task = box.updates.start(order)
        document = box.tasks.document(task.uri)
    return accepted.answer(box, task, document)
