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

"""JSON pointers (RFC 6901) into documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def _parts(pointer: str) -> list[str]:
    return [
        part.replace('~1', '/').replace('~0', '~')
        for part in pointer.strip('/').split('/')
    ]


def get(document: Any, pointer: str) -> Any:
    """Return the value at a pointer, or None."""
    for part in _parts(pointer):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit():
            index = int(part)
            document = document[index] if index < len(document) else None
        else:
            return None
    return document


def put(document: Any, pointer: str, value: Any) -> None:
    """Set a value; missing parents are created as objects."""
    *parents, last = _parts(pointer)
    for part in parents:
        if isinstance(document, list):
            document = document[int(part)]
        else:
            document = document.setdefault(part, {})
    if isinstance(document, list):
        document[int(last)] = value
    else:
        document[last] = value


def drop(document: Any, pointer: str) -> None:
    """Remove a property, if it exists."""
    head, _, last = pointer.strip('/').rpartition('/')
    parent = get(document, head) if head else document
    if isinstance(parent, dict):
        parent.pop(last, None)


def leaves(document: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield (pointer, value) for every value that is not an object.

    A list of objects is traversed; any other list is a value.
    """
    if isinstance(document, dict) and document:
        for name, value in document.items():
            yield from leaves(value, f'{prefix}/{name}')
    elif (
        isinstance(document, list)
        and document
        and all(isinstance(item, dict) for item in document)
    ):
        for index, value in enumerate(document):
            yield from leaves(value, f'{prefix}/{index}')
    else:
        yield prefix, document
