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

"""Ask NVIDIA's NVML about one GPU, in a separate process.

Run as ``python -m ironic_accel.inband.tools.nvidia_gpu.nvml_process MODULE``.
``ask ADDRESS`` prints a line of JSON for each query: its ``name``, and its
``value`` or its ``error`` (NVML's number) and ``text``. ``set ADDRESS QUERY
VALUE`` sets first; a MIG mode that cannot become active because the GPU is in
use is set back.

NVML talks to the driver, and a GPU that hangs may block a call forever: this
process can be killed, what it has printed by then counts, and another GPU has
another process. Sources: NVML API reference and its binding ``nvidia-ml-py``
(names, values, types, errors).
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import ctypes
import functools
import importlib
import json
import sys
from typing import Any

#: Asked of a GPU, by their names in the binding.
QUERIES = (
    'nvmlDeviceGetName', 'nvmlDeviceGetSerial',
    'nvmlDeviceGetBoardPartNumber', 'nvmlDeviceGetVbiosVersion',
    'nvmlDeviceGetInforomImageVersion', 'nvmlDeviceGetMigMode',
    'nvmlDeviceGetEccMode', 'nvmlDeviceGetPersistenceMode',
    'nvmlDeviceGetPowerManagementLimit',
    'nvmlDeviceGetPowerManagementLimitConstraints',
    'nvmlDeviceGetRemappedRows',
    'nvmlDeviceGetRetiredPagesPendingStatus', 'nvmlDeviceGetRepairStatus',
    'nvmlDeviceGetUnrepairableMemoryFlag_v1')
#: What lists the processes that use a GPU.
_PROCESSES = ('nvmlDeviceGetComputeRunningProcesses',
              'nvmlDeviceGetGraphicsRunningProcesses',
              'nvmlDeviceGetMPSComputeRunningProcesses')
_SET_MIG, _GET_MIG = 'nvmlDeviceSetMigMode', 'nvmlDeviceGetMigMode'

Answer = dict[str, Any]


def _told(nvml: Any, ask: Callable[[], Any]) -> Answer:
    """The answer to a query as JSON."""
    try:
        value = ask()
    except nvml.NVMLError as exc:
        return {'error': int(exc.value), 'text': str(exc)}
    except AttributeError as exc:
        # A binding that is older than the query.
        return {'error': nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
                'text': str(exc)}
    if isinstance(value, bytes):
        value = value.decode(errors='replace')
    return {'value': list(value) if isinstance(value, tuple) else value}


def _recovery(nvml: Any, handle: Any) -> Any:
    """The number of the recovery action that the GPU asks for."""
    field = nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
    found = nvml.nvmlDeviceGetFieldValues(handle, [field])[0]
    if found.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(found.nvmlReturn)
    return int(found.value.uiVal)


def _uncorrected(nvml: Any, handle: Any) -> Any:
    """Errors that ECC did not correct since the driver came up."""
    return nvml.nvmlDeviceGetTotalEccErrors(
        handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        nvml.NVML_VOLATILE_ECC)


def _sram(nvml: Any, handle: Any) -> Any:
    """Whether the memory had more errors than NVIDIA's diagnostic allows."""
    found = nvml.c_nvmlEccSramErrorStatus_v1_t()
    nvml.nvmlDeviceGetSramEccErrorStatus(handle, ctypes.byref(found))
    return int(found.bThresholdExceeded)


def _fabric(nvml: Any, handle: Any) -> Any:
    """Of the NVLink fabric: state, status and health as a whole."""
    found = nvml.c_nvmlGpuFabricInfo_v3_t()
    nvml.nvmlDeviceGetGpuFabricInfoV(handle, ctypes.byref(found))
    return [int(found.state), int(found.status), int(found.healthSummary)]


def _cc(nvml: Any, handle: Any) -> Any:
    """Confidential computing of the machine's GPUs, as their driver has it:
    whether it is on, and on for developers."""
    found = nvml.nvmlSystemGetConfComputeState()
    return [int(found.ccFeature), int(found.devToolsMode)]


def _multi_gpu(nvml: Any, handle: Any) -> Any:
    """How several GPUs are protected together."""
    found = nvml.c_nvmlSystemConfComputeSettings_v1_t()
    status = nvml.nvmlSystemGetConfComputeSettings(ctypes.byref(found))
    if status != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(status)
    return int(found.multiGpuMode)


def _protected(nvml: Any, handle: Any) -> Any:
    """Bytes of this GPU's memory that confidential computing protects."""
    return int(nvml.nvmlDeviceGetConfComputeProtectedMemoryUsage(handle).total)


def _processes(nvml: Any, handle: Any) -> Any:
    """Ids of the processes that use the GPU."""
    return sorted({int(p.pid) for name in _PROCESSES
                   for p in getattr(nvml, name)(handle)})


#: Asked of a GPU besides, by names of ours.
_MORE: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ('recovery', _recovery), ('uncorrected', _uncorrected), ('sram', _sram),
    ('fabric', _fabric), ('cc', _cc), ('multi_gpu', _multi_gpu),
    ('protected', _protected), ('processes', _processes))


def _say(name: str, answer: Answer) -> bool:
    """Print an answer at once; whether it is one."""
    print(json.dumps({'name': name, **answer}), flush=True)
    return 'error' not in answer


def _handle(nvml: Any, address: str) -> Any:
    return nvml.nvmlDeviceGetHandleByPciBusId(address.encode())


def _ask(nvml: Any, address: str) -> None:
    """All queries of a GPU; only an error if it has no handle."""
    if not _say('handle', _told(nvml, lambda: bool(_handle(nvml, address)))):
        return
    handle = _handle(nvml, address)
    for name in QUERIES:
        _say(name, _told(
            nvml, functools.partial(getattr(nvml, name, _older), handle)))
    for name, query in _MORE:
        _say(name, _told(nvml, functools.partial(query, nvml, handle)))


def _older(handle: Any) -> Any:
    raise AttributeError('nvidia-ml-py does not have this query')


def _set(nvml: Any, address: str, name: str, value: int) -> Answer:
    """Set one mode; ``value`` is the status that NVML returns.

    If a GPU that is in use cannot activate a MIG mode, NVML keeps it for the
    next reset, whoever does that: the earlier pending value is set again.
    """
    before = None
    if name == _SET_MIG:
        before = _told(nvml, lambda: getattr(nvml, _GET_MIG)(
            _handle(nvml, address))).get('value')
    found = _told(nvml, lambda: getattr(nvml, name)(
        _handle(nvml, address), value))
    status = found.get('value')
    if status:
        found['text'] = str(nvml.NVMLError(status))
    if status == nvml.NVML_ERROR_IN_USE and before:
        _say('undo', _told(nvml, lambda: getattr(nvml, name)(
            _handle(nvml, address), before[1])))
    return found


def main(argv: list[str]) -> int:
    """Answer on standard output; 0 if NVML could be asked."""
    module, verb, address, *more = argv
    nvml = importlib.import_module(module)
    if not _say('init', _told(nvml, nvml.nvmlInit)):
        return 0
    try:
        if verb == 'set':
            _say('set', _set(nvml, address, more[0], int(more[1])))
        # The set may have reset the GPU: its handle is another.
        _ask(nvml, address)
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
