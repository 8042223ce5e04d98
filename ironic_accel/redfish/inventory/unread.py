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

"""What an inventory leaves unknown, by the failures and their history.

A listed sub-resource that repeatedly does not exist is absent. One that the
operator accepts as unread is a warning. All others are unread, with the
failure and the time of the first one.
"""

from __future__ import annotations

from collections.abc import Collection

from ironic_accel.model.reading_status import Unread
from ironic_accel.redfish.client.getter import Failure
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import read_failures
from ironic_accel.redfish.client.read_failures import NOTHING
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.read_history import TIMES
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import CARD_KINDS


def settle(reader: Reader, devices: Collection[str], counts: bool,
           settings: BmcSettings) -> list[Unread]:
    """The unread resources of an inventory; adds warnings for the others.

    :param devices: paths of the devices in the inventory; a sub-resource of
        any other card may hide a device.
    :param counts: whether "does not exist" counts for the history: the host
        is on, and nothing is running.
    """
    history = settings.history
    accepted = {normal(uri) for uri in settings.accept_unread}
    for uri in reader.read_well:
        if uri not in reader.failures:
            history.succeeded(reader.address, uri)
    out = []
    for uri, impact in reader.open.items():
        if impact == NOTHING or uri not in reader.failures:
            continue
        failure = reader.failures[uri]
        if uri in accepted and _is_accepted(reader, uri, impact, failure):
            continue
        if _is_absent(reader, uri, impact, failure, counts, settings):
            continue
        since = history.failed(reader.address, uri)
        kinds, about = impact.kinds, impact.about
        if about is not None and about not in devices:
            kinds = tuple(dict.fromkeys((*kinds, *CARD_KINDS)))
            about = None
        out.append(Unread(uri, failure.answer, about, since, kinds,
                          impact.facts if about or not impact.about else (),
                          impact.holds))
    for uri in accepted - set(reader.failures):
        reader.warn(uri, read_failures.refusal(uri) or 'listed in '
                    'accept_unread without need: it was read, or is not part '
                    'of the inventory')
    return out


def _is_accepted(reader: Reader, uri: str, impact: Impact, failure: Failure
                 ) -> bool:
    wrong = read_failures.refusal(uri)
    if wrong is None and impact.role is not Role.PART:
        wrong = (f'{uri} is {impact.role.value}: only sub-resources can be '
                 'accepted')
    reader.warn(uri, f'cannot be accepted as unread: {wrong}' if wrong else
                f'accepted as unread (accept_unread): {failure.answer}')
    return wrong is None


def _is_absent(reader: Reader, uri: str, impact: Impact, failure: Failure,
               counts: bool, settings: BmcSettings) -> bool:
    history = settings.history
    if not impact.optional or failure.status not in read_failures.NOT_THERE:
        history.failed_otherwise(reader.address, uri)
        return False
    if not history.is_absent(reader.address, uri, counts):
        return False
    reader.warn(uri, f'is listed but does not exist ({failure.answer}, '
                f'{TIMES} times a minute apart): treated as absent')
    return True
