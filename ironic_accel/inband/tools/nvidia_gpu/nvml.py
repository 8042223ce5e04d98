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

"""The state of a GPU from the answers of NVML.

Sources: NVML API reference and its binding ``nvidia-ml-py`` (names, values,
errors; nvmlGpuFabricInfo_v3_t, nvmlRepairStatus_v1_t,
nvmlEccSramErrorStatus_v1_t, nvmlConfComputeSystemState_t;
nvmlDeviceSetPowerManagementLimit: milliwatts, lost when the driver is
unloaded; nvmlDeviceSetPersistenceMode: lost at a reboot); NVIDIA's documents
on row remapping, page retirement and recovery actions, as far as they explain
the values. Real answers were read on an H200 with driver 580.159.04.

Not asked are the state of single NVLinks (an inactive link is no fault if
nothing is connected), the version of the GSP firmware (part of the driver),
and the position on the baseboard (its BMC uses another name).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FACTS
from ironic_accel.model.device import Component
from ironic_accel.model.device import Mode
from ironic_accel.model import device_marks
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import strict_json

TOOL = 'nvml'
#: The Python module (nvidia-ml-py), imported in a separate process only.
BINDING = 'pynvml'
_PROCESS = 'ironic_accel.inband.tools.nvidia_gpu.nvml_process'

SWITCH = {0: 'disabled', 1: 'enabled'}
#: Modes that NVML reads and writes as (current, pending).
MODES = {'mig': ('nvmlDeviceGetMigMode', 'nvmlDeviceSetMigMode'),
         'ecc': ('nvmlDeviceGetEccMode', 'nvmlDeviceSetEccMode')}
#: Modes that are active at once.
SETTINGS = {
    'persistence': ('nvmlDeviceGetPersistenceMode',
                    'nvmlDeviceSetPersistenceMode'),
    'power-limit': ('nvmlDeviceGetPowerManagementLimit',
                    'nvmlDeviceSetPowerManagementLimit')}
_POWER_RANGE = 'nvmlDeviceGetPowerManagementLimitConstraints'
#: Milliwatts, in which NVML counts, of a watt.
MILLI = 1000

NOT_SUPPORTED, IN_USE = 3, 19
#: A library or a binding that is older than the query, or than its form.
_OLDER = (13, 25)
#: By NVML's number, what an error says of the GPU that gave it: not found
#: although the driver holds it, without power or interrupts, with a corrupt
#: InfoROM, lost, in need of a reset, and "an internal driver error".
_ERRORS = {6: 'Critical', 8: 'Critical', 11: 'Critical', 14: 'Warning',
           15: 'Critical', 16: 'Critical', 999: 'Critical'}
_IDENTITY = {'serial': 'nvmlDeviceGetSerial', 'model': 'nvmlDeviceGetName',
             'part_number': 'nvmlDeviceGetBoardPartNumber'}
_PARTS = (('gpu', 'VBIOS', 'nvmlDeviceGetVbiosVersion'),
          ('inforom', 'InfoROM', 'nvmlDeviceGetInforomImageVersion'))

#: nvmlGpuFabricState_t, "completed"; by number, what the fabric's health says
#: of the GPU: unhealthy, limited capacity.
_FABRIC_UP, _FABRIC_HEALTH = 3, {1: 'OK', 2: 'Critical', 3: 'Warning'}
#: By ccFeature and devToolsMode, the mode that all GPUs of the driver have.
_CC: Mapping[tuple[int, ...], str] = {
    (0, 0): 'off', (1, 0): 'on', (1, 1): 'devtools'}
_PPCIE = {0: 'disabled', 1: 'enabled'}

#: By query, what a number or flag that is not 0 says.
_HEALTH = {'nvmlDeviceGetRetiredPagesPendingStatus': 'Warning',
           'recovery': 'Warning', 'uncorrected': 'Warning', 'sram': 'Warning',
           'nvmlDeviceGetRepairStatus': 'Warning',
           'nvmlDeviceGetUnrepairableMemoryFlag_v1': 'Critical'}
#: How many users of a GPU are named.
_USERS = 4

Answers = Mapping[str, Mapping[str, Any]]


def answers(ran: Ran) -> Answers:
    """The answers by query, as far as the process printed them."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in ran.out.splitlines():
        try:
            raw = common.table(strict_json.parse(line.encode()))
        except ValueError:
            continue
        found[str(raw.get('name'))] = raw
    return found


def is_installed(host: Machine) -> bool:
    """Whether the binding of NVML is installed."""
    return host.module(BINDING) is not None


def run(host: Machine, timeout: float, *words: str) -> Ran:
    """Ask NVML in a separate process (``nvml_process``)."""
    return host.run_module(_PROCESS, timeout, host.module(BINDING) or BINDING,
                           *words)


def ask(host: Machine, address: str) -> tuple[Answers, str]:
    """The answers of NVML about a GPU, and the text for a query without an
    answer."""
    ran = run(host, common.ASK, 'ask', address)
    return answers(ran), common.said('NVML', ran)


def users(host: Machine, found: Answers) -> str | None:
    """The processes that use a GPU, in words; None if none is known.

    Processes that NVML does not list (nvidia-persistenced, DCGM) are not among
    them; one in another process namespace has no name.
    """
    value = found.get('processes', {}).get('value')
    pids = [p for p in value if type(p) is int] if isinstance(
        value, list) else []
    if not pids:
        return None
    words = [f'process {pid}' + (f' ({name})' if name else '')
             for pid in pids[:_USERS]
             for name in (common.text_of(host.read(f'/proc/{pid}/comm')),)]
    more = len(pids) - len(words)
    return ', '.join(words) + (f' and {more} more' if more else '')


def told(found: Answers, said: str, modes: Collection[str] = ()
         ) -> DeviceReading:
    """The reading of a GPU from the answers.

    :param said: the text for a query without an answer.
    :param modes: which of ``cc`` and ``ppcie`` such a GPU has.
    """
    for name in ('init', 'handle'):
        answer = found.get(name, {})
        if 'value' not in answer:
            # Of the GPU itself speaks only what was asked about it.
            health = None if name == 'init' else _ERRORS.get(
                _number(answer.get('error')) or 0)
            facts = [f for f in FACTS if f != 'state' and not (
                f == 'health' and health)]
            return DeviceReading(health=health, unread=(common.unread(
                TOOL, _words(answer, said), *facts),))
    reader = _GpuAnswers(found, said)
    identity = {key: device_marks.clean_text(reader.value(query, 'identity'))
                for key, query in _IDENTITY.items()}
    parts = tuple(part for part in (
        _part(reader, *row) for row in _PARTS) if part)
    seen = [_mode(reader, name) for name in MODES]
    seen += [_persistence(reader), _power_limit(reader)]
    seen += [_protection(reader, name) for name in ('cc', 'ppcie')
             if name in modes]
    health = _health(reader)
    return DeviceReading(
        serial=clean_serial(identity['serial']), model=identity['model'],
        part_number=identity['part_number'], health=health,
        components=parts, modes=tuple(m for m in seen if m),
        unread=tuple(reader.unread),
        absent=tuple(f for f in reader.absent if f != 'identity'))


class _GpuAnswers:
    """The answers of one GPU, and what is wrong with them."""

    def __init__(self, found: Answers, said: str) -> None:
        self._found = found
        self._said = said
        self.unread: list[Unread] = []
        self.absent: list[str] = []
        self.errors: list[str] = []

    def value(self, query: str, fact: str) -> Any:
        """What a query told; None where it did not, which is noted."""
        answer = self._found.get(query, {})
        if 'value' in answer:
            return answer['value']
        error = _number(answer.get('error'))
        if error == NOT_SUPPORTED:
            self.absent.append(fact)
        elif error not in _OLDER:
            self.wrong(_words(answer, self._said), fact)
            if error in _ERRORS:
                self.errors.append(_ERRORS[error])
        return None

    def wrong(self, answer: str, fact: str) -> None:
        """Note that a fact was asked in vain."""
        self.unread.append(common.unread(TOOL, answer, fact))

    def is_unread(self, fact: str) -> bool:
        """Whether it was asked in vain."""
        return any(fact in u.facts for u in self.unread)


def _number(value: object) -> int | None:
    """A whole number, or None."""
    return value if type(value) is int else None


def _numbers(value: object, count: int) -> tuple[int, ...] | None:
    """A list of this many whole numbers, or None."""
    if not isinstance(value, list) or len(value) != count or any(
            type(x) is not int for x in value):
        return None
    return tuple(value)


def _words(answer: Mapping[str, Any], said: str) -> str:
    return (f"{answer.get('text')} (NVML error {answer['error']})"
            if 'error' in answer else said)


def _part(reader: _GpuAnswers, name: str, key: str,
          query: str) -> Component | None:
    running = device_marks.clean_text(reader.value(query, f'firmware:{name}'))
    if running:
        return Component(name, key, running, standing=Standing.REPORTED)
    if reader.is_unread(f'firmware:{name}'):
        return Component(name, key, standing=Standing.UNREAD)
    return None


def _mode(reader: _GpuAnswers, name: str) -> Mode | None:
    fact = f'mode:{name}'
    pair = reader.value(MODES[name][0], fact)
    if pair is None:
        return (Mode(name, standing=Standing.UNREAD)
                if reader.is_unread(fact) else None)
    both = _numbers(pair, 2)
    if both is None or not set(both) <= set(SWITCH):
        reader.wrong(f'{name}: unexpected value {pair!r}', fact)
        return Mode(name, standing=Standing.UNREAD)
    now, then = SWITCH[both[0]], SWITCH[both[1]]
    return Mode(name, now, None if then == now else then,
                standing=Standing.REPORTED)


def _persistence(reader: _GpuAnswers) -> Mode | None:
    """Whether the driver keeps the GPU initialised without a client."""
    name, fact = 'persistence', 'mode:persistence'
    found = reader.value(SETTINGS[name][0], fact)
    if found is None:
        return (Mode(name, standing=Standing.UNREAD)
                if reader.is_unread(fact) else None)
    number = _number(found)
    value = None if number is None else SWITCH.get(number)
    if value is None:
        reader.wrong(f'{name}: unexpected value {found!r}', fact)
        return Mode(name, standing=Standing.UNREAD)
    return Mode(name, value, standing=Standing.REPORTED)


def _power_limit(reader: _GpuAnswers) -> Mode | None:
    """The power limit in whole watts, rounded down, and its range.

    A limit whose range is not read could be set to a value that the GPU
    refuses, so it is unread too.
    """
    name, fact = 'power-limit', 'mode:power-limit'
    found = reader.value(SETTINGS[name][0], fact)
    if found is None:
        return (Mode(name, standing=Standing.UNREAD)
                if reader.is_unread(fact) else None)
    limit = _number(found)
    both = _numbers(reader.value(_POWER_RANGE, fact), 2)
    if limit is None or both is None or not 0 <= both[0] <= both[1]:
        if not reader.is_unread(fact):
            reader.wrong(f'{name}: unexpected value {found!r} in a range of '
                         f'{both!r}', fact)
        return Mode(name, standing=Standing.UNREAD)
    return Mode(name, limit // MILLI, standing=Standing.REPORTED,
                minimum=-(-both[0] // MILLI), maximum=both[1] // MILLI)


def _protection(reader: _GpuAnswers, name: str) -> Mode | None:
    """Confidential computing or protected PCIe, while the driver is bound.

    Both are what the driver reports for all its GPUs. The amount of protected
    memory is specific to this GPU; if the two contradict, the mode is unread.
    """
    fact = f'mode:{name}'
    several = reader.value('multi_gpu', fact)
    if name == 'ppcie':
        value = _PPCIE.get(_number(several) or 0) if (
            _number(several) is not None) else None
        said = f'multi-GPU mode {several!r}'
        if several is None and not reader.is_unread(fact):
            return None
    else:
        state = reader.value('cc', fact)
        memory = reader.value('protected', fact)
        if reader.is_unread(fact):
            return Mode(name, standing=Standing.UNREAD)
        if state is None or memory is None or several:
            # In protected PCIe the driver calls both the same.
            return None
        value = _CC.get(_numbers(state, 2) or ())
        if value is not None and (value == 'off') != (memory == 0):
            value = None
        said = (f'CC state {state!r} of the driver and {memory!r} bytes of '
                'protected memory')
    if value is None:
        reader.wrong(f'{name}: unexpected value: {said}', fact)
        return Mode(name, standing=Standing.UNREAD)
    return Mode(name, value, standing=Standing.REPORTED)


def _health(reader: _GpuAnswers) -> str | None:
    """The worst of what the GPU reports.

    Critical: a row could not be remapped, memory cannot be repaired, the
    fabric is unhealthy, or an error that only a broken GPU returns. Warning: a
    remapping, retirement or repair is pending until a reset, the GPU asks for
    a recovery action, there were errors since the driver was loaded that ECC
    did not correct, or more in total than NVIDIA's diagnostic allows, or the
    fabric has less capacity or failed to come up. OK if the GPU reports none
    of it; None if it reports nothing.
    """
    said = []
    rows = reader.value('nvmlDeviceGetRemappedRows', 'health')
    four = _numbers(rows, 4)
    if four is not None:
        said.append('Critical' if four[3] else 'Warning' if four[2]
                    else 'OK')
    elif rows is not None:
        reader.wrong(f'remapped rows: unexpected value {rows!r}', 'health')
    for query, word in _HEALTH.items():
        found = reader.value(query, 'health')
        two = _numbers(found, 2)
        if two is not None:
            found = two[0] or two[1]
        if type(found) is int:
            said.append(word if found else 'OK')
        elif found is not None:
            reader.wrong(f'{query}: unexpected value {found!r}', 'health')
    said += _fabric(reader)
    if said and 'health' in reader.absent:
        reader.absent[:] = [f for f in reader.absent if f != 'health']
    said += reader.errors
    return next((h for h in ('Critical', 'Warning', 'OK') if h in said),
                None)


def _fabric(reader: _GpuAnswers) -> list[str]:
    """The state of the NVLink fabric, once it is up: before that it waits for
    the fabric manager, which a ramdisk need not run."""
    found = reader.value('fabric', 'health')
    if found is None:
        return []
    three = _numbers(found, 3)
    if three is None:
        reader.wrong(f'fabric: unexpected value {found!r}', 'health')
        return []
    state, status, summary = three
    if state != _FABRIC_UP:
        return []
    return ['Warning'] if status else [
        word for word in (_FABRIC_HEALTH.get(summary),) if word]
