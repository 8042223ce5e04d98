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

"""Reads a BMC once through pyghmi; run as a process by ``asking``.

Source: IPMI 2.0 revision 1.1, 20.1 Get Device ID and 22.14 Get System GUID.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import json
import sys
from typing import Any

from pyghmi import exceptions
from pyghmi.ipmi import command
from pyghmi.ipmi import fru
from pyghmi.ipmi.private import util

from ironic_accel.ipmi.answer import defect
from ironic_accel.ipmi.answer import SCHEMA
from ironic_accel.ipmi.asking import IpmiTarget
from ironic_accel.ipmi.asking import unreachable
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable

_APPLICATION = 0x06
_DEVICE_ID = 0x01
_SYSTEM_GUID = 0x37

#: What pyghmi says of a password that is not the BMC's (session.py,
#: ``_got_rakp2``) and what BMCs answer to unknown users (IPMI 2.0, 13.24).
_REFUSED = ('incorrect password', 'unauthorized name', 'invalid role',
            'unauthorized role')


def read(target: IpmiTarget) -> dict[str, Any]:
    """Read a BMC in this process; see ``asking.ask``.

    :raises: Unreachable.
    """
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
        return _FruReader(bmc).document()
    except exceptions.PyghmiException as exc:
        raise _refused(target, exc) from exc
    finally:
        bmc.ipmi_session.logout()


def _refused(target: IpmiTarget, exc: Exception) -> Unreachable:
    text = str(exc) or type(exc).__name__
    if any(word in text.lower() for word in _REFUSED):
        return unreachable(target, f'the BMC rejects the credentials: {text}',
                            ErrorClass.NEEDS_OPERATOR)
    # pyghmi says "timeout", or "None", of a BMC that is not there.
    silent = text.lower() in ('none', 'timeout') or isinstance(exc, OSError)
    return unreachable(target, f'no response ({text})' if silent else
                        f'unexpected response: {text}', ErrorClass.TRANSIENT)


class _FruReader:
    """Reads a BMC through an open session."""

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
            self._warn('ipmi:sdr', 'cannot read the sensor data records, '
                       f'which locate the other units: {_say(exc)}')
            return
        for number in sorted(located):
            if number:
                yield self._unit(number, located[number].fru_name,
                                 located[number])

    def _unit(self, number: int, name: str, record: Any
              ) -> dict[str, Any] | None:
        uri = f'ipmi:fru/{number}'
        self._requests += 1
        try:
            unit = fru.FRU(ipmicmd=self._bmc, fruid=number, sdr=record)
        except Exception as exc:  # pyghmi parses without looking
            self._warn(uri, f'the FRU inventory of {name} is invalid: '
                       f'{_say(exc)}')
            return None
        if unit.rawfru is None:
            if number == 0:
                self._warn(uri, 'the BMC has no FRU inventory of the system')
            return None
        wrong = defect(bytes(unit.rawfru))
        if wrong is not None:
            self._warn(uri, f'the FRU inventory of {name} is invalid: '
                       f'{wrong}')
            return None
        fields = {k: v for k, v in (unit.info or {}).items()
                  if isinstance(v, str) and v.strip()}
        return {'id': number, 'name': name, 'fields': fields}

    def _warn(self, uri: str, message: str) -> None:
        self._warnings.append(Warned(uri, message))


def _say(exc: Exception) -> str:
    return f'{type(exc).__name__}: {exc}'


def main() -> None:
    """Read the BMC that standard input names; print the document."""
    target = IpmiTarget(**json.load(sys.stdin))
    try:
        answer = read(target)
    except Unreachable as exc:
        why = exc.detail.summary.partition('IPMI: ')[2]
        answer = {'error': why, 'class': str(exc.detail.error_class)}
    json.dump(answer, sys.stdout)


if __name__ == '__main__':
    main()
