# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a BMC without Redfish tells: FRU inventory and firmware revisions.

Reading only; the power of a host is the business of Ironic's power
interface. pyghmi keeps the sessions of a whole process in one event loop, so
that what one BMC garbles is raised in whatever thread waits for another one:
each look is a process of its own, which also ends when its time is over.

Sources: IPMI 2.0 revision 1.1, 20.1 Get Device ID and 22.14 Get System GUID;
IPMI Platform Management FRU Information Storage Definition 1.0 revision 1.3,
8 Common Header Format and 10 to 12, the info areas.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
import subprocess
import sys
from typing import Any

from ironic_accel.model import catalog
from ironic_accel.model import join
from ironic_accel.model import version
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable

NAME = 'ipmi'
SCHEMA = 'ipmi/1'
PORT = 623

_APPLICATION = 0x06
_DEVICE_ID = 0x01
_SYSTEM_GUID = 0x37

#: What pyghmi says of a password that is not the BMC's (session.py,
#: ``_got_rakp2``) and what BMCs answer to unknown users (IPMI 2.0, 13.24).
_REFUSED = ('incorrect password', 'unauthorized name', 'invalid role',
            'unauthorized role')


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A BMC and the way into it.

    :ivar kg: the BMC's key in hexadecimal, where it has one.
    """

    address: str
    username: str
    password: str = dataclasses.field(repr=False)
    port: int = PORT
    kg: str | None = dataclasses.field(default=None, repr=False)


def ask(target: Target, seconds: float) -> dict[str, Any]:
    """Look at a BMC, for a bounded time.

    :param seconds: after which it counts as one that does not answer.
    :returns: a document ``ipmi/1``: ``bmc`` (``version``, ``manufacturer``,
        ``product``), ``uuid``, ``units`` (``id``, ``name``, ``fields``) and
        ``warnings``.
    :raises: Unreachable where it does not answer or does not let us in.
    """
    # Secrets go by the pipe: arguments and environment can be read.
    try:
        ran = subprocess.run(  # noqa: S603 - ourselves, nothing of a caller
            [sys.executable, '-m', __name__], check=False,
            input=json.dumps(dataclasses.asdict(target)),
            capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise _unreachable(target, f'no answer within {seconds:g} s',
                           ErrorClass.TRANSIENT) from None
    try:
        answer: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        last = (ran.stderr.strip().splitlines() or ['nothing was said'])[-1]
        raise _unreachable(target, f'the look ended with {ran.returncode}: '
                           f'{last}', ErrorClass.NEEDS_OPERATOR) from None
    if 'error' in answer:
        kind = ErrorClass(answer['class'])
        raise _unreachable(target, answer['error'], kind)
    return answer


def _unreachable(target: Target, why: str, kind: ErrorClass) -> Unreachable:
    todo = 'check ipmi_address, ipmi_username and ipmi_password' \
        if kind is ErrorClass.NEEDS_OPERATOR else None
    return Unreachable(
        f'the BMC at {target.address}:{target.port} cannot be asked by '
        f'IPMI: {why}', error_class=kind, todo=todo)


def inventory(answer: Mapping[str, Any],
              known: Iterable[Device] = ()) -> Inventory:
    """What a document ``ipmi/1`` says, as an inventory.

    It has the host's own board, with the BMC's firmware. Accelerators are
    seen in band, where they can be told from one another; a unit that has
    the serial number of one adds where it sits and its part number.

    :param known: devices that were seen in band.
    :raises: ValueError for another schema.
    """
    if answer.get('schema') != SCHEMA:
        raise ValueError(f"schema: {answer.get('schema')!r} where "
                         f'{SCHEMA!r} was expected')
    units = {u['id']: u for u in answer['units']}
    board = _board(units.pop(0, {}).get('fields') or {},
                   answer['bmc']['version'])
    return Inventory(
        system=answer.get('uuid') or NAME, host='unknown', complete=True,
        seen_via=(NAME,), requests=answer['requests'],
        warnings=tuple(Warned(**w) for w in answer['warnings']),
        devices=join.identify([board, *_matched(units.values(), known)]))


def _board(fields: Mapping[str, Any], firmware: str) -> Device:
    maker = fields.get('Board manufacturer') or fields.get('Manufacturer')
    return Device(
        id='system', kind='baseboard',
        vendor=catalog.load().vendor(maker) or version.clean(maker),
        model=version.clean(fields.get('Product name')
                            or fields.get('Board product name')),
        serial=join.clean_serial(fields.get('Board serial number')
                                 or fields.get('Serial Number')),
        # pyghmi calls the board's part number its model (fru.py).
        part_number=version.clean(fields.get('Board model')),
        location='System', uri='ipmi:fru/0',
        components=(Component('bmc', 'BMC', firmware, uri='ipmi:mc'),))


def _matched(units: Iterable[Mapping[str, Any]],
             known: Iterable[Device]) -> Iterator[Device]:
    """What units tell of devices that were seen in band.

    Without a URI: that a BMC has a unit's inventory does not say that it
    sees the device.
    """
    serials: dict[str, list[Device]] = {}
    for device in known:
        if serial := join.clean_serial(device.serial):
            serials.setdefault(serial, []).append(device)
    for unit in units:
        fields = unit['fields']
        serial = join.clean_serial(fields.get('Serial Number')
                                   or fields.get('Board serial number'))
        found = serials.get(serial or '', [])
        if len(found) == 1:
            yield Device(
                id=f"fru-{unit['id']}", kind=found[0].kind, serial=serial,
                location=version.clean(unit['name']),
                part_number=version.clean(
                    fields.get('Board model') or fields.get('Model')))


def read(target: Target) -> dict[str, Any]:
    """Look at a BMC in this process; see ``ask``.

    :raises: Unreachable.
    """
    from pyghmi import exceptions
    from pyghmi.ipmi import command

    try:
        bmc = command.Command(
            bmc=target.address, userid=target.username,
            password=target.password, port=target.port,
            kg=bytes.fromhex(target.kg) if target.kg else None,
            # OEM parts of pyghmi would speak HTTPS with these credentials;
            # no certificate is trusted for that.
            verifycallback=lambda _certificate: False)
    except (OSError, exceptions.PyghmiException) as exc:
        raise _refused(target, exc) from exc
    try:
        return _Reader(bmc).document()
    except exceptions.PyghmiException as exc:
        raise _refused(target, exc) from exc
    finally:
        bmc.ipmi_session.logout()


def _refused(target: Target, exc: Exception) -> Unreachable:
    text = str(exc) or type(exc).__name__
    if any(word in text.lower() for word in _REFUSED):
        return _unreachable(target, f'it refuses the credentials: {text}',
                            ErrorClass.NEEDS_OPERATOR)
    # pyghmi says "timeout", or "None", of a BMC that is not there.
    silent = text.lower() in ('none', 'timeout') or isinstance(exc, OSError)
    return _unreachable(target, f'no answer ({text})' if silent else
                        f'it answers: {text}', ErrorClass.TRANSIENT)


class _Reader:
    """One look through an open session."""

    def __init__(self, bmc: Any) -> None:
        self._bmc = bmc
        self._warnings: list[Warned] = []
        self._requests = 0

    def document(self) -> dict[str, Any]:
        """The document ``ipmi/1``."""
        controller = self._controller()
        units = [u for u in self._units() if u is not None]
        return {
            'schema': SCHEMA, 'bmc': controller, 'uuid': self._uuid(),
            'units': units, 'requests': self._requests,
            'warnings': [dataclasses.asdict(w) for w in self._warnings]}

    def _controller(self) -> dict[str, Any]:
        """The BMC; the minor revision is BCD (IPMI 2.0, table 20-2)."""
        data = bytes(self._raw(_DEVICE_ID))
        return {'version': f'{data[2] & 0x7f}.{data[3]:02x}',
                'manufacturer': int.from_bytes(data[6:9], 'little'),
                'product': int.from_bytes(data[9:11], 'little')}

    def _uuid(self) -> str | None:
        from pyghmi import exceptions
        from pyghmi.ipmi.private import util
        try:
            data = bytearray(self._raw(_SYSTEM_GUID))
        except exceptions.IpmiException as exc:
            self._warn('ipmi:guid', f'no system GUID: {exc}')
            return None
        return str(util.decode_wireformat_uuid(data)).lower()

    def _raw(self, number: int) -> Any:
        self._requests += 1
        return self._bmc.xraw_command(
            netfn=_APPLICATION, command=number)['data']

    def _units(self) -> Iterator[dict[str, Any] | None]:
        """The field replaceable units: the system, then those that sensor
        records locate."""
        yield self._unit(0, 'System', None)
        try:
            located = self._bmc.init_sdr().fru
        except Exception as exc:  # pyghmi parses what the BMC sends
            self._warn('ipmi:sdr', 'the sensor data records, which locate '
                       f'the other units, cannot be read: {_say(exc)}')
            return
        for number in sorted(located):
            if number:
                yield self._unit(number, located[number].fru_name,
                                 located[number])

    def _unit(self, number: int, name: str, record: Any
              ) -> dict[str, Any] | None:
        from pyghmi.ipmi import fru
        uri = f'ipmi:fru/{number}'
        self._requests += 1
        try:
            unit = fru.FRU(ipmicmd=self._bmc, fruid=number, sdr=record)
        except Exception as exc:  # pyghmi parses without looking
            self._warn(uri, f'the FRU inventory of {name} is garbled: '
                       f'{_say(exc)}')
            return None
        if unit.rawfru is None:
            if number == 0:
                self._warn(uri, 'the BMC has no FRU inventory of the system')
            return None
        wrong = defect(bytes(unit.rawfru))
        if wrong is not None:
            self._warn(uri, f'the FRU inventory of {name} is garbled: '
                       f'{wrong}')
            return None
        fields = {k: v for k, v in (unit.info or {}).items()
                  if isinstance(v, str) and v.strip()}
        return {'id': number, 'name': name, 'fields': fields}

    def _warn(self, uri: str, message: str) -> None:
        self._warnings.append(Warned(uri, message))


def _say(exc: Exception) -> str:
    return f'{type(exc).__name__}: {exc}'


#: The info areas by the byte of the common header that points to them.
_AREAS = ((2, 'chassis'), (3, 'board'), (4, 'product'))


def defect(raw: bytes) -> str | None:
    """What is wrong with a FRU inventory, or None.

    Header and areas each sum up to zero, modulo 256.
    """
    if len(raw) < 8:
        return f'{len(raw)} bytes where at least 8 were expected'
    if raw[0] & 0x0f != 1:
        return f'format {raw[0] & 0x0f} where 1 was expected'
    if sum(raw[:8]) % 256:
        return 'the checksum of its header is wrong'
    for place, name in _AREAS:
        start = 8 * raw[place]
        if not start:
            continue
        if start + 2 > len(raw):
            return f'its {name} area is beyond its end'
        area = raw[start:start + 8 * raw[start + 1]]
        if len(area) < 8 or len(area) != 8 * raw[start + 1]:
            return f'its {name} area is cut short'
        if sum(area) % 256:
            return f'the checksum of its {name} area is wrong'
    return None


def main() -> None:
    """Look at the BMC that standard input names; print the document."""
    target = Target(**json.load(sys.stdin))
    try:
        answer = read(target)
    except Unreachable as exc:
        why = exc.detail.summary.partition('IPMI: ')[2]
        answer = {'error': why, 'class': str(exc.detail.error_class)}
    json.dump(answer, sys.stdout)


if __name__ == '__main__':
    main()
