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

"""Limits and choices of a caller for the requests to a BMC."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.converge.ports import Ready
from ironic_accel.model.profile import Image
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel.redfish.client.read_history import PROCESS

#: Returns the URI at which a BMC can download an image, or None.
ImageUri = Callable[[Ready, Image | None], str | None]


@dataclasses.dataclass(frozen=True, slots=True)
class BmcSettings:
    """Limits and choices; times in seconds, sizes in bytes.

    :ivar connect_timeout: to open a connection.
    :ivar read_timeout: without any data before or within a response.
    :ivar request_timeout: for a read as a whole: redirects, headers, body.
    :ivar inventory_timeout: for all reads of one inventory together.
    :ivar write_timeout: for the response to a small write.
    :ivar push_timeout: for the response after an image was sent, and for
        sending each chunk of it.
    :ivar push_rate: minimum average rate at which a BMC must accept an
        image, bytes per second, with ``push_timeout`` in addition.
    :ivar body_limit: largest response that is read.
    :ivar member_limit: maximum number of members of one collection.
    :ivar request_limit: maximum number of requests of one inventory.
    :ivar expand: whether ``$expand`` is used if the service offers it.
    :ivar warm_up: how long after a host reset a tree does not count as
        complete; if the BMC does not report the last reset, how long its
        inventories must have been equal.
    :ivar accept_unread: paths of sub-resources that the operator accepts as
        unread (``read_failures.refusal`` rejects the others).
    :ivar history: what earlier inventories of this process found.
        Inventories with another clock need a history of their own.
    :ivar image_uri: where a BMC can download an image; without it a service
        that only downloads (SimpleUpdate) cannot be used.
    :ivar before_write: called before each request that changes something; it
        raises if this process may not write any more, and nothing is sent.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    request_timeout: float = 60.0
    inventory_timeout: float = 600.0
    write_timeout: float = 60.0
    push_timeout: float = 600.0
    push_rate: int = 8 * 1024
    body_limit: int = 2 * 1024 * 1024
    member_limit: int = 512
    request_limit: int = 1000
    expand: bool = True
    warm_up: float = 30.0
    accept_unread: frozenset[str] = frozenset()
    history: ReadHistory = PROCESS
    image_uri: ImageUri | None = None
    before_write: Callable[[], None] | None = None
