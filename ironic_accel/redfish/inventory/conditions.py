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

"""The health of a resource by its conditions.

Status.Conditions (Resource v1.11) lists what requires attention "in this or
a related resource". OriginOfCondition names another resource that caused it,
and ConditionInRelatedResource (Base message registry) is a roll-up of those
of others. A condition of the device itself counts in addition to Health: the
firmware of a processor with the Health OK may have a Critical condition.
"""

from __future__ import annotations

from collections.abc import Collection
import re

from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal

#: Values of Resource.Health, the worst last.
HEALTH = ('OK', 'Warning', 'Critical')

#: Resources below a device whose conditions are not those of the device.
_PORTS = re.compile(r'/(?:Ports|NetworkPorts|NetworkDeviceFunctions)(?:/|\Z)')

#: MessageId of a roll-up, without registry and version.
_ROLLED_UP = 'ConditionInRelatedResource'


def worst(shown: Fields, own: Collection[str]) -> tuple[str | None, bool]:
    """The worst severity of the conditions of the device itself.

    :param shown: a resource of the device.
    :param own: paths of all its resources.
    :returns: the severity, or None without a condition; and whether there is
        a condition of unknown severity.
    """
    found, unclear = None, False
    told = shown.doc.get('Status')
    conditions = told.get('Conditions') if isinstance(told, dict) else None
    if conditions is None:
        return None, False
    listed = shown.parts('Status', 'Conditions')
    if not isinstance(conditions, list) or len(listed) != len(conditions):
        return None, True
    for one in listed:
        severity = health_value(one.doc.get('Severity'))
        if severity == 'OK':
            continue
        others = _other_origin(one, {shown.uri, *own})
        _warn(shown, one, severity, others)
        if others is not None:
            continue
        if severity is None:
            unclear = True
        elif found is None or HEALTH.index(severity) > HEALTH.index(found):
            found = severity
    return found, unclear


def health_value(value: object) -> str | None:
    """A value of Resource.Health in any capitalisation, else None."""
    return next((h for h in HEALTH if isinstance(value, str)
                 and value.lower() == h.lower()), None)


def _other_origin(condition: Fields, own: Collection[str]) -> str | None:
    """The other resource that a condition is about; None for the device."""
    message = str(condition.doc.get('MessageId')).rsplit('.', 1)[-1]
    uri = condition.link('OriginOfCondition')
    origin = normal(uri) if uri else None
    if message == _ROLLED_UP:
        return origin or 'a related resource'
    if origin is None or any(
            origin == o or (origin.startswith(f'{o}/')
                            and not _PORTS.search(origin[len(o):]))
            for o in own):
        return None
    return origin


def _warn(shown: Fields, condition: Fields, severity: str | None,
          others: str | None) -> None:
    text = condition.text('Message') or condition.text('MessageId')
    shown.add_warning(
        f'condition {severity or "of unknown severity"}'
        + (f' of {others}, not counted for this device' if others else '')
        + f': {(text or "without a message")[:200]}')
