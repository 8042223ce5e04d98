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

"""Which answers to a write mean "not now": a table, with its sources.

What is in it is waited out and counts as no attempt; nothing was written.
Sources of the rows: DSP0266 (503 and 429 with Retry-After); DMTF message
registries Base 1.18 and Update 1.0, by the resolutions "resubmit the
request" and the like; openbmc/bmcweb ``update_service.hpp`` (a second update
is ServiceTemporarilyUnavailable) and NVIDIA's fork of it
(``updateInProgressMsg``: "Retry the update operation once it is complete");
sushy 5.14 ``connector.py`` (SYS518, and iLO's InvalidOperationForSystemState)
and ``oem/dell/constants.py`` (RAC0679: a job runs); the message registries
that real services give: IDRAC 2.7 (R750), CrayHMS 1.0 and IPC 1.0 (HPE Cray
EX235n), by "wait for ... to complete"; quadsproject/badfish
issue 129 (SWC0700: "iDRAC is not ready ... retry after a few minutes");
HPE's iLO 7 1.14 message registries (HPEDevCom/redfishdocs), by "retry the
operation"; Intel xpumanager's Redfish client and bmclib for Supermicro's
OemFirmwareAlreadyInUpdateMode; aiohmi ``redfish/oem/lenovo`` for
HttpPushUriTargetsBusy, which Lenovo answers ResourceInUse to.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import datetime
import email.utils
import re

#: What a busy service is left alone for where it does not say, seconds.
BUSY = 60.0
#: The shortest and the longest that a service may send us away, seconds.
SHORTEST, LONGEST = 1.0, 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class NotNow:
    """Answers that mean "not now".

    :ivar ids: MessageIds without registry and version.
    :ivar registry: matches the registry's prefix, where an id is no
        standard one.
    :ivar statuses: HTTP statuses that say so by themselves.
    :ivar wait: seconds, where no Retry-After says how long.
    """

    ids: frozenset[str] = frozenset()
    registry: str = r'.*'
    statuses: frozenset[int] = frozenset()
    wait: float = BUSY


NOT_NOW: tuple[NotNow, ...] = (
    # HTTP (DSP0266): whatever the body says. 408: the service gave up
    # waiting for the request; 425: it will not risk it before its clock or
    # session is settled.
    NotNow(statuses=frozenset({408, 425, 429, 503})),
    # An expired session: a new one is made before the request is sent anew.
    NotNow(statuses=frozenset({401}), wait=2.0),
    # DMTF Base and Update.
    NotNow(frozenset({
        'ResourceInUse', 'ServiceTemporarilyUnavailable',
        'ServiceShuttingDown', 'ServiceInUnknownState', 'ResourceInStandby',
        'ResourceExhaustion',
        'UpdateInProgress', 'SessionLimitExceeded'})),
    # Dell, by what the messages of its registry IDRAC 2.7 are about: data or
    # an iDRAC, a Lifecycle Controller or a chassis that is not ready; jobs
    # and updates that run; power actions that are under way.
    NotNow(frozenset({
        'SYS518', 'SYS279', 'SWC0700', 'RAC0508', 'RAC0509', 'LC060',
        'PWR2250', 'SRV118',
        'BIOS009', 'NIC009', 'STOR032',
        'RAC0679', 'RAC052', 'RAC071', 'RAC0773', 'RAC1059', 'RAC957',
        'RAC958', 'RED034', 'RED088', 'SUP0108', 'JCP030', 'JCP035',
        'JCP043', 'LC044', 'LC045', 'LC062', 'LC104', 'SYS028', 'SYS074',
        'SYS168', 'SYS431', 'RDU8517',
        'PWR8571', 'PWR8581', 'PWR8588', 'PWR8592', 'PWR8593'}),
           r'IDRAC|iDRAC|'),
    # HPE iLO.
    NotNow(frozenset({
        'AlreadyInProgress', 'BundleUpdateAlreadyInProgress',
        'ComponentUploadAlreadyInProgress', 'DeviceIsBusy',
        'FirmwareFlashAlreadyInProgress', 'InvalidOperationForSystemState',
        'OperationAvailableAfterSystemPOST', 'ResetInProgress',
        'ResourceInUseWithDetail', 'ResourceNotReadyRetry',
        'ResourceTemporarilyUnavailable', 'UnableToModifyDuringSystemPOST',
        'UpdateTemporarilyUnavailable', 'SystemPowerStateChangeFailed',
        'ServiceUnavailableTemporarily'}), r'iLO|iLOeRS|HpeCommon'),
    # HPE Cray EX (registries CrayHMS 1.0 and IPC 1.0 of an EX235n).
    NotNow(frozenset({
        'BMC003', 'CMM003', 'CMM004', 'FW001', 'FW002', 'FW003', 'FW004',
        'FW005', 'FW007', 'FW008', 'FW009', 'FW010', 'PCTL000', 'PCTL001',
        'PW001', 'PW002', 'PW003'}), r'CrayHMS'),
    NotNow(frozenset({'BMCInitializing', 'FirmwareInUpdateMode', 'NodeBusy',
                      'SDRInUpdateMode'}), r'IPC'),
    # Supermicro: also where an image was uploaded and not started.
    NotNow(frozenset({'OemFirmwareAlreadyInUpdateMode'}), r'SMC'),
)


def wait(status: int, message_ids: Iterable[str],
         retry_after: float | None) -> float | None:
    """How long to wait before a request is sent again, or None for never.

    :param message_ids: all of the answer, wherever they stand in it.
    :param retry_after: seconds, as ``seconds`` gives them.
    """
    ids = list(message_ids)
    for row in NOT_NOW:
        if status in row.statuses or any(_in(row, i) for i in ids):
            return row.wait if retry_after is None else retry_after
    return None


def matching(message_ids: Iterable[str]) -> str | None:
    """The first MessageId that says "not now"."""
    return next((i for i in message_ids
                 if any(_in(row, i) for row in NOT_NOW)), None)


def _in(row: NotNow, message_id: str) -> bool:
    """``Registry.1.2[.3].Name``, or the name alone."""
    parts = message_id.strip().split('.')
    registry = parts[0] if len(parts) > 1 else ''
    return parts[-1] in row.ids and (
        re.fullmatch(row.registry, registry) is not None)


def seconds(text: str | None, date: str | None = None) -> float | None:
    """A Retry-After header in seconds, within the bounds; None if it says
    nothing that can be understood.

    :param text: a number of seconds, or a date (RFC 9110).
    :param date: the Date header of the same answer: a date is meant by the
        clock of the BMC, which need not be ours.
    """
    if not text or len(text) > 64:
        return None
    text = text.strip()
    if re.fullmatch(r'[0-9]+', text):
        # A number of any length is bounded before it is made one.
        return _bounded(float(text) if len(text) < 10 else LONGEST)
    if re.fullmatch(r'[0-9]{1,9}\.[0-9]*', text):
        return _bounded(float(text))
    when = _moment(text)
    if when is None:
        return None
    now = _moment(date) or datetime.datetime.now(datetime.UTC)
    return _bounded((when - now).total_seconds())


def _bounded(value: float) -> float:
    return min(max(value, SHORTEST), LONGEST)


def _moment(text: str | None) -> datetime.datetime | None:
    if not text:
        return None
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
