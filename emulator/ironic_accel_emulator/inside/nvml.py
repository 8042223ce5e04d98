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

"""A simulated NVML: pynvml's functions over the state of the tools.

Names, values, return types and errors as in nvidia-ml-py 13, and as returned
by an H200 with driver 580.159.04. The environment variable
``TWIN_INSIDE_STATE`` names the state file; a ``pynvml.py`` on a PYTHONPATH
that has all names of this module replaces the real binding.

A card has ``facts`` (name, serial, part_number, remapped, recovery,
uncorrected, repair, unrepairable, sram, fabric, processes), the parts ``gpu``
and ``inforom``, and the settings ``mig``, ``ecc`` and ``persistence`` (0, 1),
``power-limit`` (milliwatts, with the fact ``power``: its range), ``cc`` and
``ppcie`` (strings). A missing fact is not supported by the GPU. The power
limit is lost when the last client ends and persistence is off (NVML API
reference, nvmlDeviceSetPowerManagementLimit). The MIG mode
of a GPU with processes is pending until they end.
The fault ``nvml`` of kind ``lie`` accepts settings without effect, ``fail``
reports that the GPU is in use, ``in-use`` keeps a MIG mode pending until the
next reset for that reason, ``hang`` never returns, ``garble`` prints garbage
and ends the process, ``error-N`` (``error-15``) returns NVML's error N,
``lost`` error 15. ``on`` limits a fault to a query's name or a GPU's address,
or to both: ``nvmlDeviceGetSerial 0000:31:00.0``.
"""

from __future__ import annotations

import ctypes
import re
import types
from typing import Any

from ironic_accel_emulator.inside.nvml_state import (  # noqa: F401
    NVML_ERROR_CORRUPTED_INFOROM,
    NVML_ERROR_DRIVER_NOT_LOADED,
    NVML_ERROR_FUNCTION_NOT_FOUND,
    NVML_ERROR_GPU_IS_LOST,
    NVML_ERROR_INVALID_ARGUMENT,
    NVML_ERROR_IN_USE,
    NVML_ERROR_NOT_FOUND,
    NVML_ERROR_NOT_SUPPORTED,
    NVML_ERROR_RESET_REQUIRED,
    NVML_ERROR_UNKNOWN,
    NVML_FI_DEV_GET_GPU_RECOVERY_ACTION,
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
    NVML_SUCCESS,
    NVML_VOLATILE_ECC,
    NVMLError,
    card_of,
    fact,
    meets,
    running,
    tool_state,
)
from ironic_accel_emulator.inside.tools.state import after


def nvmlInit() -> None:
    """Initialise; fails if the driver is not loaded."""
    meets('nvmlInit')


def nvmlShutdown() -> None:
    """End: without persistence the driver is unloaded from a GPU."""
    lost = [
        address
        for address, card in tool_state().read()['cards'].items()
        if 'power-limit' in card.get('settings', {})
        and not card['settings'].get('persistence', {}).get('current')
        and card['settings']['power-limit']['current']
        != card['settings']['power-limit']['default']
    ]
    if not lost:
        return
    with tool_state().change() as document:
        for address in lost:
            found = document['cards'][address]['settings']['power-limit']
            found['current'] = found['default']


def nvmlDeviceGetHandleByPciBusId(bus_id: bytes) -> str:
    """The handle of a GPU, which is its address here."""
    address = bus_id.decode().lower()
    meets('nvmlDeviceGetHandleByPciBusId', address)
    if not re.fullmatch(r'[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.0', address):
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    if tool_state().card(address) is None:
        raise NVMLError(NVML_ERROR_NOT_FOUND)
    return address


def nvmlDeviceGetName(handle: str) -> str:
    """The product's name."""
    meets('nvmlDeviceGetName', handle)
    return fact(handle, 'name')


def nvmlDeviceGetSerial(handle: str) -> str:
    """The serial number of the board."""
    meets('nvmlDeviceGetSerial', handle)
    return fact(handle, 'serial')


def nvmlDeviceGetBoardPartNumber(handle: str) -> str:
    """The part number of the board."""
    meets('nvmlDeviceGetBoardPartNumber', handle)
    return fact(handle, 'part_number')


def nvmlDeviceGetVbiosVersion(handle: str) -> str:
    """The version of the VBIOS."""
    meets('nvmlDeviceGetVbiosVersion', handle)
    return running(handle, 'gpu')


def nvmlDeviceGetInforomImageVersion(handle: str) -> str:
    """The version of the InfoROM image."""
    meets('nvmlDeviceGetInforomImageVersion', handle)
    return running(handle, 'inforom')


def nvmlDeviceGetRemappedRows(handle: str) -> tuple[int, int, int, int]:
    """Corrected, uncorrected, pending, failure."""
    meets('nvmlDeviceGetRemappedRows', handle)
    found = card_of(handle)['facts'].get('remapped')
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return (found[0], found[1], found[2], found[3])


def nvmlDeviceGetFieldValues(handle: str, fields: list[int]) -> list[Any]:
    """Field values; only the recovery action is implemented."""
    meets('nvmlDeviceGetFieldValues', handle)
    action = card_of(handle)['facts'].get('recovery')
    out = []
    for field in fields:
        known = (
            field == NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
            and action is not None
        )
        out.append(
            types.SimpleNamespace(
                fieldId=field,
                nvmlReturn=NVML_SUCCESS if known else NVML_ERROR_NOT_SUPPORTED,
                value=types.SimpleNamespace(uiVal=action if known else 0),
            )
        )
    return out


def nvmlDeviceGetRetiredPagesPendingStatus(handle: str) -> int:
    """Whether a page retirement is pending; not on GPUs that remap rows."""
    meets('nvmlDeviceGetRetiredPagesPendingStatus', handle)
    found = card_of(handle)['facts'].get('retired_pending')
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return int(found)


def nvmlDeviceGetTotalEccErrors(
    handle: str, error_type: int, counter: int
) -> int:
    """Errors since the driver was loaded."""
    meets('nvmlDeviceGetTotalEccErrors', handle)
    found = card_of(handle)['facts'].get('uncorrected')
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return int(found)


def _listed(handle: str, query: str, name: str) -> Any:
    meets(query, handle)
    found = card_of(handle)['facts'].get(name)
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return found


def nvmlDeviceGetRepairStatus(handle: str) -> list[int]:
    """Whether a repair of a channel, and of a TPC, is pending."""
    found = _listed(handle, 'nvmlDeviceGetRepairStatus', 'repair')
    return [int(found[0]), int(found[1])]


def nvmlDeviceGetUnrepairableMemoryFlag_v1(handle: str) -> int:
    """Whether it has memory that cannot be repaired."""
    return int(
        _listed(
            handle, 'nvmlDeviceGetUnrepairableMemoryFlag_v1', 'unrepairable'
        )
    )


class c_nvmlEccSramErrorStatus_v1_t(ctypes.Structure):
    """The one field of it that is implemented."""

    _fields_ = (('bThresholdExceeded', ctypes.c_uint),)


def nvmlDeviceGetSramEccErrorStatus(handle: str, status: Any) -> int:
    """Fill in the SRAM errors."""
    status._obj.bThresholdExceeded = int(
        _listed(handle, 'nvmlDeviceGetSramEccErrorStatus', 'sram')
    )
    return NVML_SUCCESS


class c_nvmlGpuFabricInfo_v3_t(ctypes.Structure):
    """The fields of it that are implemented."""

    _fields_ = (
        ('status', ctypes.c_uint),
        ('state', ctypes.c_uint),
        ('healthSummary', ctypes.c_uint8),
    )


def nvmlDeviceGetGpuFabricInfoV(handle: str, info: Any) -> int:
    """Fill in state, status and health of the NVLink fabric."""
    found = _listed(handle, 'nvmlDeviceGetGpuFabricInfoV', 'fabric')
    info._obj.state, info._obj.status, info._obj.healthSummary = found
    return NVML_SUCCESS


def _words(name: str) -> set[str]:
    """The values of the cards for a setting that all share."""
    return {
        str(card['settings'][name]['current'])
        for card in tool_state().read()['cards'].values()
        if name in card['settings']
    }


def nvmlSystemGetConfComputeState() -> types.SimpleNamespace:
    """Confidential computing of all GPUs; off if not supported."""
    meets('nvmlSystemGetConfComputeState')
    words = _words('cc')
    return types.SimpleNamespace(
        environment=0,
        ccFeature=int(bool(words & {'on', 'devtools'})),
        devToolsMode=int('devtools' in words),
    )


class c_nvmlSystemConfComputeSettings_v1_t(ctypes.Structure):
    """The one field of it that is implemented."""

    _fields_ = (('multiGpuMode', ctypes.c_uint),)


def nvmlSystemGetConfComputeSettings(settings: Any) -> int:
    """Fill in the protected PCIe mode of all GPUs."""
    meets('nvmlSystemGetConfComputeSettings')
    settings._obj.multiGpuMode = int('on' in _words('ppcie'))
    return NVML_SUCCESS


def nvmlDeviceGetConfComputeProtectedMemoryUsage(
    handle: str,
) -> types.SimpleNamespace:
    """All of the GPU's memory in confidential mode, else nothing."""
    meets('nvmlDeviceGetConfComputeProtectedMemoryUsage', handle)
    found = card_of(handle)['settings'].get('cc', {}).get('current', 'off')
    total = 0 if found == 'off' else 80 << 30
    return types.SimpleNamespace(total=total, free=total, used=0)


def nvmlDeviceGetComputeRunningProcesses(handle: str) -> list[Any]:
    """The compute processes."""
    meets('nvmlDeviceGetComputeRunningProcesses', handle)
    return [
        types.SimpleNamespace(pid=pid, usedGpuMemory=660602880)
        for pid in card_of(handle)['facts'].get('processes', ())
    ]


def nvmlDeviceGetGraphicsRunningProcesses(handle: str) -> list[Any]:
    """The graphics processes: none."""
    meets('nvmlDeviceGetGraphicsRunningProcesses', handle)
    return []


def nvmlDeviceGetMPSComputeRunningProcesses(handle: str) -> list[Any]:
    """The MPS processes: none."""
    meets('nvmlDeviceGetMPSComputeRunningProcesses', handle)
    return []


def _pair(handle: str, name: str) -> list[int]:
    found = card_of(handle)['settings'].get(name)
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return [int(found['current']), int(after(found))]


def _put(handle: str, name: str, value: int) -> str | None:
    _pair(handle, name)
    fault = meets(f'set {name} {value}', handle)
    if fault == 'fail':
        raise NVMLError(NVML_ERROR_IN_USE)
    if fault != 'lie':
        tool_state().put(handle, {name: value})
    return fault


def nvmlDeviceGetMigMode(handle: str) -> list[int]:
    """The current and the pending MIG mode."""
    meets('nvmlDeviceGetMigMode', handle)
    return _pair(handle, 'mig')


def nvmlDeviceSetMigMode(handle: str, mode: int) -> int:
    """Set the MIG mode; returns the activation status."""
    current = _pair(handle, 'mig')[0]
    fault = _put(handle, 'mig', mode)
    used = fault == 'in-use' or card_of(handle)['facts'].get('processes')
    if used and mode != current:
        # It stays pending until the next reset of the GPU.
        with tool_state().change() as document:
            found = document['cards'][handle]['settings']['mig']
            found['current'], found['pending'] = current, mode
        return NVML_ERROR_IN_USE
    if mode == current:
        with tool_state().change() as document:
            document['cards'][handle]['settings']['mig']['pending'] = None
        return NVML_SUCCESS
    waits = _pair(handle, 'mig')
    return NVML_SUCCESS if waits[0] == waits[1] else NVML_ERROR_RESET_REQUIRED


def nvmlDeviceGetEccMode(handle: str) -> list[int]:
    """The current and the pending ECC mode."""
    meets('nvmlDeviceGetEccMode', handle)
    return _pair(handle, 'ecc')


def nvmlDeviceSetEccMode(handle: str, mode: int) -> None:
    """Set the ECC mode for the next boot."""
    _put(handle, 'ecc', mode)


def nvmlDeviceGetPersistenceMode(handle: str) -> int:
    """Whether persistence mode is enabled."""
    meets('nvmlDeviceGetPersistenceMode', handle)
    return _pair(handle, 'persistence')[0]


def nvmlDeviceSetPersistenceMode(handle: str, mode: int) -> None:
    """Enable or disable persistence mode."""
    _put(handle, 'persistence', mode)


def nvmlDeviceGetPowerManagementLimit(handle: str) -> int:
    """The power limit in milliwatts."""
    meets('nvmlDeviceGetPowerManagementLimit', handle)
    return _pair(handle, 'power-limit')[0]


def nvmlDeviceGetPowerManagementLimitConstraints(handle: str) -> list[int]:
    """The smallest and the largest power limit in milliwatts."""
    found = _listed(
        handle, 'nvmlDeviceGetPowerManagementLimitConstraints', 'power')
    return [int(found[0]), int(found[1])]


def nvmlDeviceSetPowerManagementLimit(handle: str, limit: int) -> None:
    """Set the power limit in milliwatts."""
    low, high = nvmlDeviceGetPowerManagementLimitConstraints(handle)
    if not low <= limit <= high:
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    _put(handle, 'power-limit', limit)
