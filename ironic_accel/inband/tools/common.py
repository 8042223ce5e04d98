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

"""Functions of all families: parse output, report success and failure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import json
import re
import signal
from typing import Any

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import MAX_OUTPUT
from ironic_accel.inband.machine.machine import NOT_STARTED
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import FACTS
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Warned
from ironic_accel.model import device_marks
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import strict_json

#: Seconds for a tool that only asks its device something.
ASK = 60.0
#: Seconds for a tool that changes a setting.
CHANGE = 120.0
#: Seconds for a tool that resets a device and waits for it.
RESET = 300.0
#: Seconds after which a flash is reported as still running. It is not ended.
FLASH = 3600.0

_LONGEST = 300
#: Characters of a value, and bits of a number: more is no version or name.
_TEXT, _BITS = 256, 64
#: How tools mark the line with the reason of a failure.
_ERROR = re.compile(r'-E-|ERR(?:OR)?\b|Error:')
_ADDRESS = re.compile(r'(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})'
                      r'\.([0-7])')


class BaseFamily:
    """A family that does nothing; a family overrides what it can do."""

    name = ''
    generic = False
    together = False
    beside: Beside = ()

    def claims(self, function: Function, product: Product | None) -> bool:
        """None: a family says which devices it is for."""
        return False

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """All facts: a family that reports fewer overrides it."""
        return FACTS

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """Nothing more than sysfs reports."""
        return ToolReading()

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """No component."""
        return frozenset()

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """No mode."""
        return frozenset()

    def resets(self, host: Machine, device: Device) -> Activation:
        """No reset."""
        return Activation.NONE

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Refuse each item."""
        return failures(device, items, f'{self.name} writes no firmware')

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Refuse each item."""
        return failures(device, items, f'{self.name} sets no modes')

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Refuse."""
        return reset_failed(device, f'{self.name} resets no devices')


def tell(text: str) -> str:
    """The output of a tool on one line, shortened for a message."""
    line = ' '.join(text.split())
    return line if len(line) <= _LONGEST else f'{line[:_LONGEST - 3]}...'


def said(tool: str, ran: Ran) -> str:
    """Why the result of a tool does not count: the first line of its output
    that is marked as an error, otherwise the last."""
    if ran.timed_out:
        return f'{tool} did not end in time'
    if ran.rc == NOT_STARTED and ran.pid is None:
        return f'{tool} could not be started: {tell(ran.err)}'
    lines = [x.strip() for x in (*ran.out.splitlines(),
                                 *ran.err.splitlines()) if x.strip()]
    marked = [x for x in lines if _ERROR.match(x)]
    word = tell((*marked, *lines[-1:], 'none')[0])
    if ran.rc is not None and ran.rc < 0:
        return f'{tool} was ended by {_signal(-ran.rc)}, output: {word}'
    return f'{tool} ended with status {ran.rc}, output: {word}'


def _signal(number: int) -> str:
    """The name of a signal (signal(7))."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'


def warned(tool: str, address: str | None, message: str) -> Warned:
    """A warning of a tool, about one device or about all of them."""
    return Warned(f'{tool} {address}' if address else tool, message)


def unread(tool: str, answer: str, *facts: str) -> Unread:
    """What a tool was asked of a device and did not answer."""
    return Unread(tool, answer, facts=facts)


def left_out(host: Machine, function: Function, *drivers: str) -> str | None:
    """That a driver for the device is loaded, but no driver is bound to it:
    the driver failed there, which is not the same as no driver at all."""
    if function.driver is not None:
        return None
    loaded = [d for d in drivers if host.exists(f'/sys/bus/pci/drivers/{d}')]
    return (f'driver {loaded[0]} is loaded but not bound to the device'
            if loaded else None)


def missing(tool: str) -> Warned:
    """The only warning about a tool that is not installed."""
    return warned(tool, None, f'{tool} is not installed: what only this '
                  'tool reports is unknown, and what only it writes cannot '
                  'be changed')


def ok(device: Device, items: Iterable[Item]) -> tuple[Result, ...]:
    """Each item succeeded, as the device was read back afterwards."""
    return tuple(Result((device.id, i.name), True) for i in items)


def failure(device: Device, item: Item, summary: str,
            **known: Any) -> Result:
    """One item failed."""
    return Result((device.id, item.name), False, Detail(
        summary, device=device.id, component=item.name, **known))


def failures(device: Device, items: Iterable[Item], summary: str,
             **known: Any) -> tuple[Result, ...]:
    """All items failed, for one reason."""
    return tuple(failure(device, i, summary, **known) for i in items)


def reset_failed(device: Device, summary: str,
                 **known: Any) -> tuple[Result, ...]:
    """A device was not reset."""
    known.setdefault('error_class', ErrorClass.NEEDS_OPERATOR)
    return (Result((device.id, 'reset'), False, Detail(
        summary, device=device.id, **known)),)


def still_running(device: Device, items: Iterable[Item], tool: str,
                  ran: Ran) -> tuple[Result, ...]:
    """A tool that writes firmware past its deadline: it must not be
    interrupted."""
    return failures(
        device, items, f'{tool} did not end in {FLASH / 60:.0f} minutes',
        error_class=ErrorClass.NEEDS_OPERATOR,
        running=f'{tool}, process {ran.pid}, writing {device.address}',
        todo='wait until it ends, then refresh the inventory')


def misfit(device: Device, items: Iterable[Item], what: str,
           expected: str | None, seen: str | None) -> tuple[Result, ...]:
    """An image that is not for the device; nothing was written."""
    return failures(device, items, f'the image is for another {what}; '
                    'nothing was written', expected=expected,
                    seen=seen or 'unknown')


def json_in(text: str) -> Any:
    """The JSON value in a tool's output, or None if there is none.

    Some tools print lines of their own before or after it.
    """
    starts = [i for i in (text.find('{'), text.find('[')) if i >= 0]
    for start in sorted(starts):
        try:
            # How far it goes first: what is nested without an end, or has
            # numbers and characters that are none, is no answer.
            end = json.JSONDecoder().raw_decode(text, start)[1]
            return strict_json.parse(text[start:end].encode())
        except (ValueError, RecursionError):
            continue
    return None


def json_file(path: str) -> Any:
    """The JSON value in a file that a tool wrote, or None."""
    try:
        with open(path, 'rb') as file:
            return strict_json.parse(file.read(MAX_OUTPUT + 1), MAX_OUTPUT)
    except (OSError, ValueError):
        return None


def rows(value: object) -> list[dict[str, Any]]:
    """The objects in a list; other values are left out."""
    if not isinstance(value, list):
        return []
    return [x for x in value if isinstance(x, dict)]


def table(value: object) -> dict[str, Any]:
    """An object, or an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str | None:
    """A text or whole number as text, without placeholders; otherwise None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value) if isinstance(value, str) or (
        value.bit_length() <= _BITS) else ''
    return device_marks.clean_text(strict_json.text_of(text)) if (
        len(text) <= _TEXT) else None


def bdf(text: object) -> str | None:
    """A PCI address as sysfs writes it: ``0000:17:00.0``, or None.

    Accepts addresses without domain, with a domain of eight digits, and in
    capitals.
    """
    match = _ADDRESS.fullmatch((text_of(text) or '').lower())
    if match is None:
        return None
    domain, bus, slot, function = match.groups()
    return f'{int(domain or "0", 16):04x}:{bus}:{slot}.{function}'


def product_of(function: Function) -> Product | None:
    """The product of a function: that of its inventory, which knows the
    site's rows, otherwise the catalogue's of its PCI ids."""
    if function.product is not None:
        return function.product
    # Late: the catalogue's reader is slow to import, and a host without
    # any device of ours never gets here.
    from ironic_accel.model import catalog
    return catalog.load().by_pci(
        function.vendor_id, function.device_id,
        function.subsystem_vendor_id, function.subsystem_id)


def product_named(name: str | None) -> Product | None:
    """The catalogue's product of a name, or None."""
    from ironic_accel.model import catalog  # late, as above
    return catalog.load().product(name)


def first_functions(functions: Sequence[Function]) -> list[Function]:
    """The lowest function of each card: tools address the card."""
    first: dict[str, Function] = {}
    for function in sorted(functions, key=lambda f: f.address):
        first.setdefault(function.card, function)
    return list(first.values())
