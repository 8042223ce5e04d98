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

"""NVIDIA's data centre GPUs, through NVML and gpu-admin-tools.

Sources: ``nvidia_nvml`` and ``nvidia_cc``; NVIDIA MIG User Guide (activation);
nvidia-smi(1) for the reset.

NVIDIA publishes no tool that writes a GPU's firmware from its host, so none
is written here: that is its board's BMC.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from ironic_accel.converge.ports import Result
from ironic_accel.inband.family import Function
from ironic_accel.inband.family import Progress
from ironic_accel.inband.family import Seen
from ironic_accel.inband.family import Told
from ironic_accel.inband.host import Host
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools import nvidia_cc
from ironic_accel.inband.tools import nvidia_nvml
from ironic_accel.inband.tools.nvidia_nvml import MODES
from ironic_accel.inband.tools.nvidia_nvml import Nvml
from ironic_accel.inband.tools.nvidia_nvml import SWITCH
from ironic_accel.model.device import Device
from ironic_accel.model.device import Effect
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.facts import Product
from ironic_accel.model.plan import Item

NVML = 'nvml'
SMI = 'nvidia-smi'

#: GPUs: VGA and 3D controllers.
_CLASSES = ('0300', '0302')


def has_mode(function: Function, name: str) -> bool:
    """Whether the catalogue knows such a mode of such a GPU."""
    product = common.product_of(function)
    return product is not None and name in product.modes


class NvidiaGpu(common.BaseFamily):
    """GPUs with NVIDIA's driver, or with none for confidential computing."""

    name = 'nvidia_gpu'

    def claims(self, function: Function, product: Product | None) -> bool:
        """VGA and 3D controllers of PCI vendor 10de."""
        return (function.vendor_id == '10de'
                and function.class_code.startswith(_CLASSES))

    def look(self, host: Host, functions: Sequence[Function]) -> Seen:
        """NVML for GPUs with NVIDIA's driver, gpu-admin-tools for others."""
        warnings: list[Warned] = []
        told = self._nvml(host, functions, warnings)
        secret = [f for f in functions if has_mode(f, 'cc')
                  and not nvidia_cc.driven(host, f.address)]
        if secret and host.which(nvidia_cc.TOOL) is None:
            warnings.append(common.missing(nvidia_cc.TOOL))
            secret = []
        for function in secret:
            modes = nvidia_cc.read(host, function.address, warnings,
                                   ppcie=has_mode(function, 'ppcie'))
            told.setdefault(function.address, Told(modes=modes))
        return Seen(told, tuple(warnings))

    def _nvml(self, host: Host, functions: Sequence[Function],
              warnings: list[Warned]) -> dict[str, Told]:
        driven = [f for f in functions
                  if nvidia_cc.driven(host, f.address)]
        module = host.nvml() if driven else None
        if module is None:
            warnings.extend([common.missing(NVML)] if driven else [])
            return {}
        told: dict[str, Told] = {}
        try:
            with Nvml(module) as nvml:
                for function in driven:
                    at = function.address
                    try:
                        told[at] = nvidia_nvml.told(nvml, at)
                    except module.NVMLError as exc:
                        warnings.append(common.warned(NVML, at, str(exc)))
                        if exc.value == module.NVML_ERROR_GPU_IS_LOST:
                            told[at] = Told(health='Critical')
        except module.NVMLError as exc:
            warnings.append(common.warned(NVML, None, str(exc)))
        return told

    def sets(self, host: Host, device: Device) -> frozenset[str]:
        """MIG and ECC through NVML, CC and PPCIe where no driver holds the
        GPU."""
        if device.address is None:
            return frozenset()
        if nvidia_cc.driven(host, device.address):
            names = set(MODES) if host.nvml() is not None else set()
        else:
            names = {'cc', 'ppcie'} if host.which(nvidia_cc.TOOL) else set()
        return frozenset(m.name for m in device.modes if m.name in names)

    def set(self, host: Host, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set modes one by one; each is read back."""
        out: list[Result] = []
        for item in items:
            progress(f'setting {item.name} of {device.address}', None)
            if item.name == 'cc':
                out += nvidia_cc.set_mode(host, device, item)
            elif item.name == 'ppcie':
                out += nvidia_cc.set_ppcie(host, device, item)
            elif item.name in MODES and item.wanted in SWITCH.values():
                out += self._set(host, device, item)
            else:
                out += common.failures(
                    device, [item], f'{item.name}: {item.wanted!r} cannot '
                    'be set by NVML')
        return tuple(out)

    def _set(self, host: Host, device: Device,
             item: Item) -> tuple[Result, ...]:
        module = host.nvml()
        if module is None:
            return common.failures(device, [item],
                                   common.missing(NVML).message)
        getter, setter = MODES[item.name]
        said = 'not taken by the GPU'
        try:
            with Nvml(module) as nvml:
                handle = nvml.handle(device.address or '')
                status = getattr(module, setter)(
                    handle, int(item.wanted == 'enabled'))
                if status:
                    said = str(module.NVMLError(status))
                # The set may have reset the GPU: its handle is another.
                pair = nvml.ask(getter, nvml.handle(device.address or ''))
        except module.NVMLError as exc:
            return common.failures(
                device, [item], f'NVML: {exc}', error_class=(
                    ErrorClass.TRANSIENT if exc.value ==
                    module.NVML_ERROR_IN_USE else ErrorClass.PERMANENT))
        if pair is not None and SWITCH.get(pair[1]) == item.wanted:
            return common.ok(device, [item])
        return common.failures(
            device, [item], said, expected=str(item.wanted),
            seen=str(SWITCH.get(pair[1]) if pair else None))

    def resets(self, host: Host, device: Device) -> Effect:
        """A GPU reset, by whichever of the two tools can do it."""
        tool = SMI if device.address and nvidia_cc.driven(
            host, device.address) else nvidia_cc.TOOL
        if device.address is None or host.which(tool) is None:
            return Effect.NONE
        return Effect.DEVICE_RESET

    def reset(self, host: Host, device: Device, effect: Effect,
              progress: Progress) -> tuple[Result, ...]:
        """Reset one GPU; with NVIDIA's driver it has to answer after it."""
        if device.address is None:
            return common.reset_failed(device, 'it has no PCI address')
        progress(f'resetting {device.address}', None)
        if not nvidia_cc.driven(host, device.address):
            return nvidia_cc.reset(host, device)
        ran = host.run((SMI, '-r', '-i', device.address), common.RESET)
        if not ran.ok:
            return common.reset_failed(
                device, common.said(SMI, ran), todo='end what uses the GPU: '
                'nvidia-persistenced, Fabric Manager, DCGM, processes')
        return _waits(host, device, lambda: self._nvml(
            host, [Function(device.address or '', '10de', '', '', '', '')],
            []))


def _waits(host: Host, device: Device,
           look: Callable[[], dict[str, Told]]) -> tuple[Result, ...]:
    """Whether a reset GPU answers, and MIG no longer waits for it."""
    after = look().get(device.address or '')
    if after is None:
        return common.reset_failed(device, 'the GPU does not answer NVML '
                                   'after its reset')
    mig = next((m for m in after.modes if m.name == 'mig'), None)
    if mig is not None and mig.pending is not None:
        return common.reset_failed(
            device, 'MIG mode still waits for a reset',
            expected=str(mig.pending), seen=str(mig.current))
    return ()
