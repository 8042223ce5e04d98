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

"""/redfish, the OData service document, $metadata, and schema files."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from ironic_accel_emulator.bmc.messages import Reply
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import ROOT, Document

_EDMX = 'http://docs.oasis-open.org/odata/ns/edmx'
_SCHEMAS = 'http://redfish.dmtf.org/schemas/v1/'


def special(box: Box, path: str) -> Reply | None:
    """Answer the paths that are not resources; None for all others."""
    if path == '/redfish':
        return Reply(200, {'v1': f'{ROOT}/'})
    if path == f'{ROOT}/odata':
        return Reply(200, _service_document(box))
    if path == f'{ROOT}/$metadata':
        text = _metadata(box).encode()
        return Reply(200, text, {'Content-Type': 'application/xml'})
    return None


def described_by(document: Document) -> str:
    """The Link header of a resource: where its schema is published."""
    name = str(document.get('@odata.type', '')).lstrip('#')
    return f'<{_SCHEMAS}{name.rpartition(".")[0]}.json>; rel=describedby'


def _service_document(box: Box) -> dict[str, object]:
    root = box.documents.see(ROOT) or {}
    entries = [
        {'name': name, 'kind': 'Singleton', 'url': value['@odata.id']}
        for name, value in root.items()
        if isinstance(value, dict) and '@odata.id' in value
    ]
    service = {'name': 'Service', 'kind': 'Singleton', 'url': f'{ROOT}/'}
    return {
        '@odata.context': f'{ROOT}/$metadata',
        'value': [service, *entries],
    }


def _metadata(box: Box) -> str:
    """References to the schemas of all types that the system uses."""
    types: dict[str, set[str]] = {}
    for path in box.documents:
        document = box.documents.see(path) or {}
        name = str(document.get('@odata.type', '')).lstrip('#')
        space = name.rpartition('.')[0]
        if space:
            types.setdefault(space.partition('.')[0], set()).add(space)
    types.setdefault('Task', set()).add('Task.v1_4_3')
    types.setdefault('Session', set()).add('Session.v1_3_0')
    types.setdefault('Message', set()).add('Message.v1_1_1')
    types['RedfishExtensions'] = {'RedfishExtensions.v1_0_0'}
    references = '\n'.join(
        _reference(schema, spaces) for schema, spaces in sorted(types.items())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<edmx:Edmx xmlns:edmx="{_EDMX}" Version="4.0">\n{references}\n'
        '<edmx:DataServices>\n'
        '<Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" '
        'Namespace="Service">\n'
        '<EntityContainer Name="Service" '
        'Extends="ServiceRoot.v1_15_0.ServiceContainer"/>\n'
        '</Schema>\n</edmx:DataServices>\n</edmx:Edmx>\n'
    )


def _reference(schema: str, spaces: set[str]) -> str:
    if schema.startswith('Nvidia') or schema.startswith('Dell'):
        uri = f'/schemas/{schema}_v1.xml'
    else:
        uri = f'{_SCHEMAS}{schema}_v1.xml'
    includes = [schema] if schema != 'RedfishExtensions' else []
    includes += sorted(spaces - {schema})
    lines = [f'<edmx:Reference Uri={quoteattr(uri)}>']
    for space in includes:
        alias = ' Alias="Redfish"' if 'Extensions' in space else ''
        lines.append(f'<edmx:Include Namespace={quoteattr(space)}{alias}/>')
    return '\n'.join([*lines, '</edmx:Reference>'])
