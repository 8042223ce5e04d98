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

"""The service: root, sessions, tasks, accounts, updates, BMC."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ironic_accel_emulator.documents import ROOT, Document, Documents
from ironic_accel_emulator.templates.base import (
    GOOD,
    collection,
    firmware,
    link,
    links,
    put,
)

_UPDATE = f'{ROOT}/UpdateService'
_NAMESPACE = uuid.UUID('5f1cf000-643d-11f0-8000-7cc25590513a')

_PRIVILEGES = {
    'Administrator': [
        'Login', 'ConfigureManager', 'ConfigureUsers', 'ConfigureSelf',
        'ConfigureComponents',
    ],
    'Operator': ['Login', 'ConfigureSelf', 'ConfigureComponents'],
    'ReadOnly': ['Login', 'ConfigureSelf'],
}  # fmt: skip


def stable_uuid(name: str) -> str:
    """A UUID that is the same in every run."""
    return str(uuid.uuid5(_NAMESPACE, name))


def add(documents: Documents, spec: Mapping[str, Any], name: str) -> None:
    """Add the service root and everything that is not hardware.

    Keys of ``spec``: vendor, product, version, expand (MaxLevels, or 0
    for none), push (any of multipart, http, simple), max_image_size,
    manager, bmc (its firmware version), nvidia.
    """
    for path, schema in (
        ('Systems', 'ComputerSystem'),
        ('Chassis', 'Chassis'),
        ('Managers', 'Manager'),
    ):
        collection(documents, f'{ROOT}/{path}', schema)
    _root(documents, spec, name)
    _sessions(documents)
    _accounts(documents)
    _update(documents, spec)
    _manager(documents, spec)


def _root(documents: Documents, spec: Mapping[str, Any], name: str) -> None:
    levels = spec.get('expand', 6)
    features: Document = {
        'DeepOperations': {'DeepPATCH': False, 'DeepPOST': False},
        'ExcerptQuery': False,
        'FilterQuery': False,
        'OnlyMemberQuery': True,
        'SelectQuery': True,
    }
    if levels:
        features['ExpandQuery'] = {
            'ExpandAll': True, 'Levels': True, 'Links': True,
            'MaxLevels': levels, 'NoLinks': True,
        }  # fmt: skip
    manager = f'{ROOT}/Managers/{spec.get("manager", "BMC")}'
    put(
        documents, ROOT, 'ServiceRoot.v1_15_0', 'Root Service',
        Id='RootService',
        RedfishVersion=spec.get('version', '1.17.0'),
        UUID=stable_uuid(f'{name} service'),
        Vendor=spec.get('vendor', 'Twin'),
        Product=spec.get('product', name),
        ProtocolFeaturesSupported=features,
        Systems=link(f'{ROOT}/Systems'),
        Chassis=link(f'{ROOT}/Chassis'),
        Managers=link(f'{ROOT}/Managers'),
        SessionService=link(f'{ROOT}/SessionService'),
        AccountService=link(f'{ROOT}/AccountService'),
        Tasks=link(f'{ROOT}/TaskService'),
        UpdateService=link(_UPDATE),
        Links={
            'Sessions': link(f'{ROOT}/SessionService/Sessions'),
            'ManagerProvidingService': link(manager),
        },
    )  # fmt: skip


def _sessions(documents: Documents) -> None:
    put(
        documents, f'{ROOT}/SessionService', 'SessionService.v1_0_2',
        'Session Service',
        ServiceEnabled=True,
        SessionTimeout=1800,
        Sessions=link(f'{ROOT}/SessionService/Sessions'),
        Status=dict(GOOD),
    )  # fmt: skip
    collection(documents, f'{ROOT}/SessionService/Sessions', 'Session')
    put(
        documents, f'{ROOT}/TaskService', 'TaskService.v1_1_4',
        'Task Service',
        ServiceEnabled=True,
        CompletedTaskOverWritePolicy='Oldest',
        LifeCycleEventOnTaskStateChange=False,
        Tasks=link(f'{ROOT}/TaskService/Tasks'),
        Status=dict(GOOD),
    )  # fmt: skip
    collection(documents, f'{ROOT}/TaskService/Tasks', 'Task')


def _accounts(documents: Documents) -> None:
    service = f'{ROOT}/AccountService'
    put(
        documents, service, 'AccountService.v1_10_0', 'Account Service',
        ServiceEnabled=True,
        MinPasswordLength=8,
        MaxPasswordLength=20,
        AccountLockoutThreshold=0,
        AccountLockoutDuration=0,
        Accounts=link(f'{service}/Accounts'),
        Roles=link(f'{service}/Roles'),
        Status=dict(GOOD),
    )  # fmt: skip
    collection(documents, f'{service}/Accounts', 'ManagerAccount')
    collection(documents, f'{service}/Roles', 'Role')
    for role, granted in _PRIVILEGES.items():
        put(
            documents, f'{service}/Roles/{role}', 'Role.v1_3_0', 'User Role',
            RoleId=role,
            IsPredefined=True,
            AssignedPrivileges=granted,
            OemPrivileges=[],
        )  # fmt: skip
    put(
        documents, f'{service}/Accounts/root', 'ManagerAccount.v1_7_0',
        'User Account',
        UserName='root',
        Password=None,
        RoleId='Administrator',
        Enabled=True,
        Locked=False,
        AccountTypes=['Redfish'],
        Links={'Role': link(f'{service}/Roles/Administrator')},
    )  # fmt: skip


def _update(documents: Documents, spec: Mapping[str, Any]) -> None:
    push = spec.get('push', ['multipart', 'http'])
    said: Document = {'Actions': {}}
    if 'multipart' in push:
        said['MultipartHttpPushUri'] = f'{_UPDATE}/update-multipart'
    if 'http' in push:
        said['HttpPushUri'] = f'{_UPDATE}/update'
    if 'simple' in push:
        action = f'{_UPDATE}/Actions/UpdateService.SimpleUpdate'
        said['Actions']['#UpdateService.SimpleUpdate'] = {
            'target': action,
            'TransferProtocol@Redfish.AllowableValues': ['HTTP', 'HTTPS'],
        }
        start = f'{_UPDATE}/Actions/UpdateService.StartUpdate'
        said['Actions']['#UpdateService.StartUpdate'] = {'target': start}
    if 'max_image_size' in spec:
        said['MaxImageSizeBytes'] = spec['max_image_size']
    if spec.get('nvidia'):
        _nvidia(said)
    put(
        documents, _UPDATE, 'UpdateService.v1_11_0', 'Update Service',
        ServiceEnabled=True,
        FirmwareInventory=link(f'{_UPDATE}/FirmwareInventory'),
        SoftwareInventory=link(f'{_UPDATE}/SoftwareInventory'),
        Status=dict(GOOD),
        **said,
    )  # fmt: skip
    for name in ('FirmwareInventory', 'SoftwareInventory'):
        collection(documents, f'{_UPDATE}/{name}', 'SoftwareInventory')


def _nvidia(said: Document) -> None:
    commit = f'{_UPDATE}/Actions/Oem/NvidiaUpdateService.CommitImage'
    said['Actions']['Oem'] = {
        '#NvidiaUpdateService.CommitImage': {'target': commit}
    }
    options = ['StageAndActivate', 'StageOnly']
    said['Oem'] = {
        'Nvidia': {
            '@odata.type': '#NvidiaUpdateService.v1_3_0.NvidiaUpdateService',
            'MultipartHttpPushUriOptions': {'UpdateOptionSupport': options},
        }
    }


def _manager(documents: Documents, spec: Mapping[str, Any]) -> None:
    name = spec.get('manager', 'BMC')
    version = spec.get('bmc', '1.0.0')
    path = f'{ROOT}/Managers/{name}'
    image = f'FW_{name}' if name.startswith('BMC') else f'FW_BMC_{name}'
    inventory = f'{_UPDATE}/FirmwareInventory/{image}'
    put(
        documents, path, 'Manager.v1_15_0', 'Manager',
        ManagerType='BMC',
        Model=spec.get('model', 'OpenBmc'),
        FirmwareVersion=version,
        UUID=stable_uuid(path),
        Status=dict(GOOD),
        PowerState='On',
        Actions={
            '#Manager.Reset': {
                'target': f'{path}/Actions/Manager.Reset',
                'ResetType@Redfish.AllowableValues': [
                    'GracefulRestart', 'ForceRestart',
                ],
            }
        },
        Links={
            'ActiveSoftwareImage': link(inventory),
            'SoftwareImages': links([inventory]),
            'ManagerForServers': [],
        },
    )  # fmt: skip
    firmware(
        documents, image, version, related=[path], description='BMC image'
    )
