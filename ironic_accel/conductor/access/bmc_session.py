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

"""Backends for a node's BMC, over the session that Ironic keeps itself."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
import time
from typing import Any
from urllib import parse

from ironic.common import exception
from ironic.drivers.modules.redfish import utils as redfish_utils

from ironic_accel.conductor.access import images
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import keys
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.backend import NAME
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client import access_failures
from ironic_accel.redfish.client.access_failures import OptionNames
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import read_failures
from ironic_accel.redfish.client import session as client_session

#: What the options of Ironic's access to a BMC are called.
OPTIONS = OptionNames(
    address='driver_info/redfish_address',
    bundle='driver_info/redfish_verify_ca',
    trust='driver_info/redfish_verify_ca to the path of a CA bundle',
    skip='driver_info/redfish_verify_ca to false',
    credentials='driver_info/redfish_username and '
                'driver_info/redfish_password',
    system='driver_info/redfish_system_id')


def session(node: Any) -> tuple[Any, str]:
    """The connector of Ironic's cached session, and the System's URI.

    The one place that knows how Ironic keeps its sessions. Without
    ``redfish_system_id`` Ironic takes the only System of a BMC, and so do
    we, by asking it.

    :raises: Unreachable where the BMC does not answer or the System is not
        there; NoAccess where it rejects the credentials, or its certificate
        or protocol is not the expected one.
    """
    info = redfish_utils.parse_driver_info(node)
    errors = redfish_utils.sushy.exceptions
    try:
        cache = _cache(tuple(sorted(info.items())))
        with cache as root:
            client_session.pin(root._conn)
            client_session.name_options(root._conn, OPTIONS)
            cache.note_use(root, node)
            uri = info.get('system_id')
            if not uri:
                uri = root.get_system(None).path
            return root._conn, str(uri)
    except (errors.AccessError, errors.ConnectionError) as exc:
        raise _failure(node, exc) from exc
    except (errors.SushyError, AttributeError) as exc:
        # sushy raises AttributeError for a session that no longer exists
        # (ironic, SessionCache.__exit__).
        raise Unreachable(
            f'the BMC does not respond: {type(exc).__name__}',
            error_class=ErrorClass.TRANSIENT, node=node.uuid,
            seen=str(exc)) from exc


def _failure(node: Any, error: Exception) -> Unreachable:
    """The error for a BMC that does not answer, or lets nobody in.

    :param error: of sushy.
    """
    address = str(redfish_utils.parse_driver_info(node)['address'])
    found = access_failures.unreachable(
        error, f'the BMC at {parse.urlsplit(address).netloc}', OPTIONS,
        address.startswith('http://'), ironic_series.read_timeout())
    return type(found)(found.detail, node=node.uuid)


def no_access(node: Any, error: BaseException) -> NoAccess | None:
    """Why Ironic's own request will fail again, or None where it may not.

    :param error: of Ironic, with the error of sushy among its causes.
    """
    errors = redfish_utils.sushy.exceptions
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, errors.AccessError | errors.ConnectionError):
            found = _failure(node, seen)
            return found if isinstance(found, NoAccess) else None
        seen = seen.__cause__ or seen.__context__
    return None


def pin(node: Any) -> None:
    """Restrict Ironic's own session with a node's BMC to the origin of the
    BMC.

    The session is made here, so that its login is restricted too, unless
    Ironic has one, which is restricted as it is. If it cannot be made, Ironic
    is not left to make it, because its login would follow any redirect of the
    BMC.

    :raises: RedfishConnectionError, after as many attempts as Ironic makes;
        RedfishError; InvalidParameterValue, MissingParameterValue.
    """
    if not CONF.redfish.connection_cache_size:
        # Each call of Ironic's makes a session of its own then.
        return
    info = redfish_utils.parse_driver_info(node)
    errors = redfish_utils.sushy.exceptions
    for left in reversed(range(CONF.redfish.connection_attempts)):
        try:
            cache = _cache(tuple(sorted(info.items())))
            with cache as root:
                client_session.pin(root._conn)
                cache.note_use(root, node)
            return
        except errors.ConnectionError as exc:
            if not left or no_access(node, exc) is not None:
                raise exception.RedfishConnectionError(
                    node=node.uuid, error=exc) from exc
            time.sleep(CONF.redfish.connection_retry_interval)
        except (errors.SushyError, AttributeError) as exc:
            raise exception.RedfishError(
                node=node.uuid, error=exc) from exc


class _Cache(redfish_utils.SessionCache):
    """Ironic's cache of sessions, the same ones; new ones are pinned.

    The BMC is probed first: sushy requests the root of a BMC ten times, three
    seconds and a timeout apart, before it reports that it is not reachable
    (sushy/main.py, connector.py), which takes half a minute if the connection
    is refused and ten minutes if nothing responds. Such an inventory would
    hold the node and one of few workers for so long.
    """

    AUTH_CLASSES: Mapping[str, Any] = client_session.AUTH_CLASSES

    def __enter__(self) -> Any:
        """See Ironic.

        :raises: sushy's ConnectionError where the BMC does not answer.
        """
        if self._session_key not in self._sessions:
            client_session.probe_service_root(
                self._driver_info['address'],
                self._driver_info.get('root_prefix') or '/redfish/v1/',
                self._driver_info['verify_ca'],
                **{k: v for k, v in self._driver_info.items()
                   if k in ('tls_min_version', 'tls_ciphers')})
        return super().__enter__()

    def note_use(self, root: Any, node: Any) -> None:
        """Note that a node's task uses a session of the cache."""
        key = self._session_key
        client_session.SESSIONS.use(
            root._conn, node, lambda: self._sessions.get(key) is root)


@functools.lru_cache(maxsize=16384)
def _cache(info: tuple[tuple[str, Any], ...]) -> Any:
    """Ironic's session cache for one node, made once.

    Making one hashes the password with 600,000 rounds of PBKDF2 (ironic,
    SessionCache.__init__): a third of a second of a core, too much for every
    inventory. Ironic still manages the sessions themselves.
    """
    return _Cache(dict(info))


def backend(node: Any, name: str = NAME,
            before_write: Callable[[], None] | None = None
            ) -> RedfishBackend:
    """The out-of-band backend of a node.

    :param name: of the way, where a plan spans several BMCs.
    :param before_write: called before each request that changes something.
    :raises: Unreachable; BadInput for what cannot be accepted as unread.
    """
    connector, uri = session(node)
    options = CONF.accelerator
    serves = options.image_serve_url and options.image_serve_dir
    made = RedfishBackend(connector, uri, catalog=catalogue.catalogue(),
                          settings=BmcSettings(
                              push_timeout=options.push_timeout,
                              warm_up=options.warm_up,
                              accept_unread=accept_unread(node),
                              image_uri=images.serve if serves else None,
                              before_write=before_write), name=name)
    client_session.SESSIONS.hold(connector, made)
    return made


def accept_unread(node: Any) -> frozenset[str]:
    """``driver_info/accel_accept_unread``: what a BMC is known not to serve.

    A list of paths, or a text with them between commas or blanks.

    :raises: BadInput for an invalid list, and for a path that is required to
        know the devices or whether the system is idle.
    """
    told = keys.ACCEPT_UNREAD.of(node) or []
    if isinstance(told, str):
        told = told.replace(',', ' ').split()
    if not isinstance(told, list) or not all(
            isinstance(uri, str) for uri in told):
        raise BadInput(f'driver_info/{keys.ACCEPT_UNREAD.name}: {told!r}: '
                       'expected a list of paths of sub-resources')
    for uri in told:
        wrong = read_failures.refusal(uri)
        if wrong is not None:
            raise BadInput(f'driver_info/{keys.ACCEPT_UNREAD.name}: {wrong}')
    return frozenset(told)


def check(node: Any) -> None:
    """Check what an operator wrote of a BMC, with no word to it.

    :raises: InvalidParameterValue.
    """
    try:
        accept_unread(node)
    except BadInput as exc:
        raise exception.InvalidParameterValue(str(exc)) from exc


def host(node: Any) -> SystemPower:
    """The host's power as the BMC has it, for the auxiliary cycle.

    :raises: Unreachable.
    """
    connector, uri = session(node)
    return SystemPower(connector, uri)


