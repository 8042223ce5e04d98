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

"""A connection to a BMC, with the backend and the host of one System."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools

from ironic_accel.converge.composite import CountingBackend
from ironic_accel.converge import forecast
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import profile_options
from ironic_accel.faces.cli import request_log
from ironic_accel.faces.cli import workers
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model.history import Changes
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record
from ironic_accel.model import unite
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.access_failures import OptionNames
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.limits import ImageUri
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client.session import connect
from ironic_accel.redfish.client.session import Connector
from ironic_accel.redfish.client.session import disconnect
from ironic_accel.redfish.inventory import bmc_identity
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from ironic_accel.redfish.inventory import system_state


#: The options of the access to a BMC, for errors.
OPTIONS = OptionNames(
    address='--bmc', bundle='--ca', trust='--ca FILE, or --insecure',
    skip='--insecure', credentials='--user and --password-file',
    system='--system')
#: Those of a BMC in a file, whose keys override the options.
OF_FILE = OptionNames(
    address='its url in --bmc-file', bundle='ca in --bmc-file',
    trust='ca, or insecure, in --bmc-file', skip='insecure in --bmc-file',
    credentials='user and password-file in --bmc-file',
    system='system in --bmc-file')


def _agreed() -> None:
    """Accept every inventory."""


def _not_kept(changes: Changes) -> None:
    """Keep nothing: only a run with a journal does."""


class SessionBackend(CountingBackend):
    """The backend of a command, which keeps the last inventory.

    :ivar agree: called after each inventory, before it is used; it raises if
        the changes of the run were not agreed to.
    :ivar keep: called with the changes when a write begins, is answered or
        ends, before that is saved.
    :ivar seen: the last inventory, or None.
    :ivar requests: requests of all inventories, and one for each write and
        each poll.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.agree: Callable[[], None] = _agreed
        self.keep: Callable[[Changes], None] = _not_kept
        self.seen: Inventory | None = None

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend."""
        self.seen = super().observe(known)
        self.agree()
        return self.seen

    def announce(self, action: Action, image: Ready | None = None) -> None:
        """Take note of a write; the journal saves it with its intent."""
        super().announce(action, image)
        self.keep(self.changes)

    def take(self) -> Inventory | None:
        """The inventory taken since the last call, or None."""
        seen, self.seen = self.seen, None
        return seen

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Start a write; see ports.Backend."""
        self.requests += action.writes
        try:
            return super().start(action, image, spec, force)
        finally:
            self.keep(self.changes)

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Copy running firmware to the fallback slot; see ports.Backend."""
        named = super().commit(refs)
        self.requests += bool(named)
        return named

    def poll(self, ticket: Ticket) -> Poll:
        """Read the state of a write; see ports.Backend."""
        self.requests += 1
        found = super().poll(ticket)
        self.keep(self.changes)
        return found


@dataclasses.dataclass
class Opened:
    """The connection to one System of one BMC.

    :ivar requests_text: returns the requests so far, for people.
    """

    bmc: str
    wanted: str | None
    connector: Connector
    backend: SessionBackend
    catalog: Catalog
    requests_text: Callable[[], str]
    warm_up: float = 30.0

    @functools.cached_property
    def identity(self) -> BmcIdentity:
        """What identifies the BMC and the System.

        :raises: BadInput if the BMC has no such System; Unreachable.
        """
        reader = Reader(self.connector, BmcSettings())
        found = bmc_identity.read(reader, self.bmc, self.wanted)
        self.backend.requests += reader.requests
        return found

    @property
    def system(self) -> str:
        """The path of the System.

        :raises: BadInput if the BMC has no such System; Unreachable.
        """
        return self.identity.system

    @functools.cached_property
    def host(self) -> SystemPower:
        """The power control of the host."""
        return SystemPower(self.connector, self.system)

    def settled(self) -> Inventory:
        """Take an inventory, and a second one if needed.

        If the BMC does not report when its host was last reset, two
        identical inventories show that the first one is complete.
        """
        inventory = self.backend.observe()
        untold = system_state.UNTOLD.format(self.warm_up)
        if inventory.lacking == (untold,):
            messages.say(
                'the BMC does not report when its host was last reset: '
                f'taking a second inventory in {self.warm_up:g} s')
            workers.sleep(self.warm_up)
            inventory = self.backend.observe()
        return inventory

    def plan(self, inventory: Inventory, profile: Profile,
             record: Record) -> Plan:
        """Plan what a run that continues with a record would do."""
        inventory = unite.inventory((Source(inventory, stable=True),),
                                    record.identities)
        return forecast.plan(
            inventory, profile, record,
            self.backend.transports(inventory, profile.pushes), self.catalog)


@contextlib.contextmanager
def opened(args: argparse.Namespace, image_uri: ImageUri | None = None
           ) -> Generator[Opened, None, None]:
    """Connect to the system that the options select, for the block.

    :param image_uri: returns the URI from which a BMC downloads an image.
    :raises: BadInput for invalid options; Unreachable if the BMC does not
        respond.
    """
    bmc = bmc_options.url(args)
    user, password = bmc_options.credentials(args)
    catalog = profile_options.catalogue(args)
    verify = bmc_options.verify(args)
    log = request_log.RequestLog(bmc)
    with contextlib.ExitStack() as stack:
        stack.enter_context(messages.status(log.text))
        connector = connect(bmc, user, password, verify, observer=log,
                            options=OPTIONS if getattr(
                                args, 'bmc_file', None) is None else OF_FILE)
        stack.callback(disconnect, connector)
        backend = RedfishBackend(connector, args.system, catalog=catalog,
                                 settings=BmcSettings(
                                     image_uri=image_uri, warm_up=args.warm_up,
                                     accept_unread=frozenset(
                                         args.allow_unreadable)))
        yield Opened(bmc, args.system, connector,
                     SessionBackend(backend), catalog, log.text,
                     args.warm_up)
