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

"""NVIDIA's data center GPUs, through NVML and gpu-admin-tools.

Sources: ``nvml`` and ``cc``; NVIDIA MIG User Guide (activation); nvidia-smi(1)
for the reset.

NVIDIA publishes no tool that writes a GPU's firmware from its host; the BMC of
the board does that.
"""

from __future__ import annotations

from collections.abc import Sequence
import re

from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools.nvidia_gpu import cc
from ironic_accel.inband.tools.nvidia_gpu import first_boot
from ironic_accel.inband.tools.nvidia_gpu import first_boot_persistence
from ironic_accel.inband.tools.nvidia_gpu import first_boot_power
from ironic_accel.inband.tools.nvidia_gpu import nvml
from ironic_accel.inband.tools.nvidia_gpu.nvml import MODES
from ironic_accel.inband.tools.nvidia_gpu.nvml import SETTINGS
from ironic_accel.inband.tools.nvidia_gpu.nvml import SWITCH
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item

NVML = nvml.TOOL
DRIVER = 'nvidia'
SMI = 'nvidia-smi'

#: The output of nvidia-smi about a GPU that it did not reset: until driver 460
#: the first line alone, later a list (NVIDIA gpu-operator, issue 118;
#: NVSentinel, issue 1690).
_NOT_RESET = re.compile(
    r'^\s*GPU [0-9A-Fa-f]{8}:[0-9A-Fa-f:.]+(?::| is) (\S.*?)\.?\s*$',
    re.MULTILINE)
_STOP_USERS = ('stop what uses the GPU: processes, nvidia-persistenced, '
               'Fabric Manager, DCGM; or unload nvidia_drm')
#: PCI classes of GPUs: VGA and 3D controllers.
_CLASSES = ('0300', '0302')


def has_mode(function: Function, name: str) -> bool:
    """Whether the catalogue lists the mode for such a GPU."""
    product = common.product_of(function)
    return product is not None and name in product.modes


class NvidiaGpu(common.BaseFamily):
    """GPUs with the NVIDIA driver, or without any for confidential computing.
    """

    name = 'nvidia_gpu'
    # NVML and nvidia-smi(1) are the driver's own; a reset is refused there
    # while the GPU is used. Without a driver it is gpu-admin-tools.
    beside: Beside = (('set', 'nvidia'), ('reset', 'nvidia'))
    # As mig-parted's own unit (NVIDIA/mig-parted, deployments/systemd).
    first_boot = tuple(FirstBootMode(
        mode, setter, vendor='nvidia',
        after=('nvidia-persistenced.service', 'nvidia-fabricmanager.service'))
        for mode, setter in (
            ('mig', first_boot), ('persistence', first_boot_persistence),
            ('power-limit', first_boot_power)))

    def claims(self, function: Function, product: Product | None) -> bool:
        """VGA and 3D controllers of PCI vendor 10de."""
        return (function.vendor_id == '10de'
                and function.class_code.startswith(_CLASSES))

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Identity, health, versions and modes."""
        return ('identity', 'health', 'firmware', 'modes')

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """NVML for GPUs with the NVIDIA driver, gpu-admin-tools for others."""
        told: dict[str, DeviceReading] = {}
        warnings: dict[Warned, None] = {}
        for function in functions:
            at = function.address
            if not cc.driven(host, at):
                told[at] = self._undriven(host, function, warnings)
            elif nvml.is_installed(host):
                found, said = nvml.ask(host, at)
                told[at] = nvml.told(found, said, [
                    m for m in ('cc', 'ppcie') if has_mode(function, m)])
                users = nvml.users(host, found)
                if users:
                    warnings[common.warned(
                        NVML, at, f'the GPU is in use by {users}: its '
                        'MIG mode cannot be set and it cannot be reset')
                        ] = None
            else:
                warnings[common.missing(NVML)] = None
        return ToolReading(told, tuple(warnings))

    def _undriven(self, host: Machine, function: Function,
                  warnings: dict[Warned, None]) -> DeviceReading:
        """A GPU that the NVIDIA driver is not bound to."""
        if function.driver is not None:
            warnings[common.warned(
                NVML, function.address, f'driver {function.driver} is bound '
                'to the GPU, not the NVIDIA driver that NVML needs')] = None
        left = common.left_out(host, function, DRIVER)
        lost = (common.unread(NVML, left, *self.facts(None)),) if left else ()
        if not has_mode(function, 'cc'):
            return DeviceReading(unread=lost)
        if host.which(cc.TOOL) is None:
            warnings[common.missing(cc.TOOL)] = None
            return DeviceReading(unread=lost)
        modes, unread = cc.read(host, function.address,
                                       ppcie=has_mode(function, 'ppcie'))
        return DeviceReading(modes=modes, unread=lost + unread)

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """MIG, ECC, persistence and power limit through NVML; CC and PPCIe if
        no driver is bound."""
        if device.address is None:
            return frozenset()
        if cc.driven(host, device.address):
            names = {*MODES, *SETTINGS} if nvml.is_installed(host) else set()
        else:
            names = {'cc', 'ppcie'} if host.which(cc.TOOL) else set()
        return frozenset(m.name for m in device.modes if m.name in names)

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set modes one by one; each is read back. If one mode cannot be set
        because the GPU is in use, none is set.

        Persistence comes first: it keeps a power limit.
        """
        if any(i.name == 'mig' for i in items):
            users = self._users(host, device)
            if users:
                return common.failures(
                    device, items, f'the GPU is in use by {users}: its MIG '
                    'mode cannot be set; nothing was changed',
                    error_class=ErrorClass.NEEDS_OPERATOR, todo=_STOP_USERS)
        out: list[Result] = []
        for item in sorted(items, key=lambda i: i.name != 'persistence'):
            progress(f'setting {item.name} of {device.address}', None)
            if item.name == 'cc':
                out += cc.set_mode(host, device, item)
            elif item.name == 'ppcie':
                out += cc.set_ppcie(host, device, item)
            elif item.name in {*MODES, 'persistence'} and (
                    item.wanted in SWITCH.values()):
                out += self._set(host, device, item)
            elif item.name == 'power-limit' and type(item.wanted) is int:
                out += self._set_power_limit(host, device, item)
            else:
                out += common.failures(
                    device, [item], f'{item.name}: {item.wanted!r} cannot '
                    'be set by NVML')
        return tuple(out)

    def _users(self, host: Machine, device: Device) -> str | None:
        """The processes that use a GPU now, as far as NVML lists them."""
        if device.address is None or not nvml.is_installed(host) or (
                not cc.driven(host, device.address)):
            return None
        return nvml.users(host, nvml.ask(host, device.address)[0])

    def _set(self, host: Machine, device: Device,
             item: Item) -> tuple[Result, ...]:
        """Set and read back. If the call does not return, the value that is
        read back decides."""
        if not nvml.is_installed(host):
            return common.failures(device, [item],
                                   common.missing(NVML).message)
        at = device.address or ''
        ran = nvml.run(host, common.CHANGE, 'set', at,
                       {**MODES, **SETTINGS}[item.name][1],
                       _number(item.wanted))
        found = nvml.answers(ran)
        said = common.said('NVML', ran)
        after = nvml.told(*((found, said) if 'set' in found
                            else nvml.ask(host, at)))
        mode = next((m for m in after.modes if m.name == item.name), None)
        status = found.get('set', found.get('init', {}))
        in_use = nvml.IN_USE in (status.get('error'), status.get('value'))
        if in_use:
            return _used(device, item, mode)
        if 'error' not in status and mode is not None and item.wanted == (
                mode.current if mode.pending is None else mode.pending):
            return common.ok(device, [item])
        return common.failures(
            device, [item], f"NVML: {status['text']}" if status.get('text')
            else said if 'set' not in found
            else 'the GPU did not accept the value',
            error_class=ErrorClass.PERMANENT, expected=str(item.wanted),
            seen=str(mode.pending or mode.current) if mode else None)

    def _set_power_limit(self, host: Machine, device: Device,
                         item: Item) -> tuple[Result, ...]:
        """Set the power limit, and read it back in another process: without
        persistence the driver forgets it as soon as its last client ends."""
        out = self._set(host, device, item)
        if not all(r.ok for r in out):
            return out
        after = nvml.told(*nvml.ask(host, device.address or ''))
        mode = next((m for m in after.modes if m.name == item.name), None)
        if mode is not None and mode.current == item.wanted:
            return out
        seen = None if mode is None or mode.current is None else str(
            mode.current)
        return common.failures(
            device, [item], 'the GPU\'s driver did not keep the power limit '
            'after the program that set it ended' if seen else 'the power '
            'limit cannot be read back', error_class=ErrorClass.PERMANENT,
            expected=str(item.wanted), seen=seen,
            todo='set persistence: enabled in the same profile, or start '
            'nvidia-persistenced')

    def resets(self, host: Machine, device: Device) -> Activation:
        """A GPU reset, by the one of the two tools that can do it."""
        tool = SMI if device.address and cc.driven(
            host, device.address) else cc.TOOL
        if device.address is None or host.which(tool) is None:
            return Activation.NONE
        return Activation.DEVICE_RESET

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Reset one GPU; with the NVIDIA driver it has to respond afterwards.
        """
        if device.address is None:
            return common.reset_failed(device, 'the device has no PCI address')
        progress(f'resetting {device.address}', None)
        if not cc.driven(host, device.address):
            return cc.reset(host, device)
        users = self._users(host, device)
        if users:
            return common.reset_failed(
                device, f'the GPU is in use by {users}: it was not reset',
                todo=_STOP_USERS)
        ran = host.run((SMI, '-r', '-i', device.address), common.RESET)
        if not ran.ok:
            return common.reset_failed(
                device, _refused(ran) or common.said(SMI, ran),
                todo=_STOP_USERS)
        return _waits(device, nvml.told(*nvml.ask(host, device.address)))


def _number(wanted: Value | None) -> str:
    """A value as the number that NVML takes: 0 and 1, or milliwatts."""
    return str(wanted * nvml.MILLI if isinstance(wanted, int)
               else int(wanted == 'enabled'))


def _used(device: Device, item: Item, mode: Mode | None
          ) -> tuple[Result, ...]:
    """A mode that was not set because the GPU is in use."""
    waits = mode is not None and mode.pending is not None
    return common.failures(
        device, [item], 'NVML: the GPU is in use by another client; its '
        f'{item.name} mode ' + (
            f'{mode.pending} is pending until its next reset'
            if mode and waits
            else 'is unchanged' if mode and mode.current is not None
            else 'cannot be read'),
        error_class=ErrorClass.TRANSIENT, expected=str(item.wanted),
        seen=str(mode.current) if mode else None, todo=_STOP_USERS)


def _refused(ran: Ran) -> str | None:
    """Why nvidia-smi did not reset a GPU, in one sentence."""
    match = _NOT_RESET.search(ran.out) or _NOT_RESET.search(ran.err)
    return (f'{SMI} did not reset the GPU: {common.tell(match[1])}'
            if match else None)


def _waits(device: Device, after: DeviceReading) -> tuple[Result, ...]:
    """Check that a reset GPU responds, and that MIG is no longer pending."""
    if after.unread:
        return common.reset_failed(
            device, 'the GPU does not answer NVML after its reset',
            seen=after.unread[0].answer)
    mig = next((m for m in after.modes if m.name == 'mig'), None)
    if mig is not None and mig.pending is not None:
        return common.reset_failed(
            device, 'MIG mode is still pending after the reset',
            expected=str(mig.pending), seen=str(mig.current))
    return ()
