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

"""What NVML tells of a GPU.

Sources: NVML API reference and its binding ``nvidia-ml-py`` (names, values,
errors).
"""

from __future__ import annotations

import contextlib
from types import ModuleType
from typing import Any

from ironic_accel.inband.family import Told
from ironic_accel.model import version
from ironic_accel.model.device import Component
from ironic_accel.model.device import Mode
from ironic_accel.model.join import clean_serial

SWITCH = {0: 'disabled', 1: 'enabled'}
#: Modes that NVML reads and writes as (current, pending).
MODES = {'mig': ('nvmlDeviceGetMigMode', 'nvmlDeviceSetMigMode'),
         'ecc': ('nvmlDeviceGetEccMode', 'nvmlDeviceSetEccMode')}


class Nvml:
    """NVML while it is initialised."""

    def __init__(self, module: ModuleType) -> None:
        self.module: Any = module

    def __enter__(self) -> Nvml:
        self.module.nvmlInit()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(self.module.NVMLError):
            self.module.nvmlShutdown()

    def handle(self, address: str) -> Any:
        """The handle of a GPU.

        :raises: NVMLError where it has none (another driver, lost).
        """
        return self.module.nvmlDeviceGetHandleByPciBusId(address.encode())

    def ask(self, name: str, handle: Any) -> Any:
        """What a query tells; None where the GPU does not support it.

        :raises: NVMLError for any other trouble.
        """
        try:
            return getattr(self.module, name)(handle)
        except self.module.NVMLError as exc:
            if exc.value in (self.module.NVML_ERROR_NOT_SUPPORTED,
                             self.module.NVML_ERROR_FUNCTION_NOT_FOUND):
                return None
            raise

    def text(self, name: str, handle: Any) -> str | None:
        """What a query tells as text, without placeholders."""
        found = self.ask(name, handle)
        return version.clean(found.decode(errors='replace')
                             if isinstance(found, bytes) else found)


def health(nvml: Nvml, handle: Any) -> str | None:
    """Critical: a row could not be remapped. Warning: a remapping waits for
    a reset, or the GPU asks for a recovery action. OK where the GPU says
    that there is none of it; None where it says nothing.

    Sources: NVML, nvmlDeviceGetRemappedRows (corrected, uncorrected,
    pending, failure) and NVML_FI_DEV_GET_GPU_RECOVERY_ACTION (0 is none).
    """
    said = []
    found = nvml.ask('nvmlDeviceGetRemappedRows', handle)
    if found is not None:
        said.append('Critical' if found[3] else
                    'Warning' if found[2] else 'OK')
    action = recovery_action(nvml, handle)
    if action is not None:
        said.append('Warning' if action else 'OK')
    return next((h for h in ('Critical', 'Warning', 'OK') if h in said),
                None)


def recovery_action(nvml: Nvml, handle: Any) -> int | None:
    """The number of the recovery action; None where it is not told."""
    field = getattr(nvml.module, 'NVML_FI_DEV_GET_GPU_RECOVERY_ACTION', None)
    if field is None:
        return None
    values = nvml.module.nvmlDeviceGetFieldValues(handle, [field])
    if values[0].nvmlReturn != nvml.module.NVML_SUCCESS:
        return None
    return int(values[0].value.uiVal)


def _modes(nvml: Nvml, handle: Any) -> tuple[Mode, ...]:
    found = []
    for name, (getter, _) in MODES.items():
        pair = nvml.ask(getter, handle)
        if pair is None:
            continue
        now, then = (SWITCH.get(x) for x in pair)
        found.append(Mode(name, now, None if then == now else then))
    return tuple(found)


def told(nvml: Nvml, address: str) -> Told:
    """All that NVML says of a GPU.

    :raises: NVMLError.
    """
    handle = nvml.handle(address)
    parts = (('gpu', 'VBIOS', nvml.text('nvmlDeviceGetVbiosVersion', handle)),
             ('inforom', 'InfoROM', nvml.text(
                 'nvmlDeviceGetInforomImageVersion', handle)))
    return Told(
        serial=clean_serial(nvml.text('nvmlDeviceGetSerial', handle)),
        model=nvml.text('nvmlDeviceGetName', handle),
        part_number=nvml.text('nvmlDeviceGetBoardPartNumber', handle),
        health=health(nvml, handle),
        components=tuple(Component(name, key, running)
                         for name, key, running in parts if running),
        modes=_modes(nvml, handle))
