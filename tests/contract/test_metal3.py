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

"""What the documentation has of metal3, by the operator's definitions.

They are those of metal3-io/baremetal-operator (config/base/crds), recorded;
they are no part of this project.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from tests import consoles

CRDS = consoles.ROOT.parent / 'shared' / 'crds'
PAGE = consoles.SOURCE / 'user/beside.rst'
GROUP = 'metal3.io/v1alpha1'
#: The fields that the page names, by resource: path of each in the schema.
FIELDS: Mapping[str, tuple[str, ...]] = {
    'HardwareData': ('spec.hardware',),
    'HostFirmwareComponents': ('status.components', 'spec.updates'),
    'HostFirmwareSettings': ('status.settings',),
    'HostUpdatePolicy': ('spec.firmwareUpdates', 'spec.firmwareSettings')}


@pytest.fixture(scope='module')
def schemas() -> Mapping[str, Mapping[str, Any]]:
    """The recorded schema of each kind."""
    files = sorted(CRDS.glob('metal3-*.yaml'))
    if not files:
        pytest.skip("metal3's resource definitions are not on this machine")
    found = [yaml.safe_load(file.read_text('utf-8')) for file in files]
    return {doc['spec']['names']['kind']: version['schema']['openAPIV3Schema']
            for doc in found for version in doc['spec']['versions']
            if f"{doc['spec']['group']}/{version['name']}" == GROUP}


def manifests() -> Iterator[dict[str, Any]]:
    """Each manifest of metal3 that the page shows."""
    for block in consoles.blocks(PAGE):
        if block.language == 'yaml':
            for doc in yaml.safe_load_all(block.text):
                if isinstance(doc, dict) and doc.get('apiVersion') == GROUP:
                    yield doc


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name.

    A Kubernetes API server drops those, or refuses them where asked to.
    """
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {k: closed(v) for k, v in schema.items()}
    if schema.get('type') == 'object' and 'properties' in schema:
        found.setdefault('additionalProperties', False)
    return found


def test_manifests_of_the_page_are_what_the_operator_takes(
        schemas: Mapping[str, Mapping[str, Any]]) -> None:
    shown = list(manifests())
    assert {doc['kind'] for doc in shown} == {
        'HostFirmwareComponents', 'HostUpdatePolicy'}
    for doc in shown:
        jsonschema.validate(doc, closed(schemas[doc['kind']]))


def test_a_wrong_manifest_is_refused(
        schemas: Mapping[str, Mapping[str, Any]]) -> None:
    for doc in manifests():
        schema = closed(schemas[doc['kind']])
        for wrong in ({**doc, 'spec': {**doc['spec'], 'accelerators': []}},
                      {**doc, 'spec': {k: 7 for k in doc['spec']}}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(wrong, schema)


@pytest.mark.parametrize('kind', FIELDS)
def test_fields_that_the_page_names_exist(
        schemas: Mapping[str, Mapping[str, Any]], kind: str) -> None:
    text = ' '.join(PAGE.read_text('utf-8').split())
    assert kind in text
    for path in FIELDS[kind]:
        found: Any = schemas[kind]
        for name in path.split('.'):
            found = found['properties'][name]
        assert found.get('type') in ('object', 'array', 'string'), path
