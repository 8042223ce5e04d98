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

"""Keeps a session of sushy's, which is not ours, at the BMC's own origin.

Ironic's drivers talk to a BMC by sushy: it asks whatever absolute URI a
document has, and requests follows redirects, with token or password and
body. A session that is pinned here sends to one scheme, host and port alone;
anything else fails before a byte is sent. How long it waits and how much it
reads stays sushy's.
"""

from __future__ import annotations

from collections.abc import Mapping
import logging
import types
from typing import Any

from sushy import auth
from sushy import exceptions

from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client import connector as connector_module
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client import origin_adapter

LOG = logging.getLogger(__name__)


def pin(connector: Any) -> None:
    """Pin a connector of sushy's, once."""
    session = connector._session
    if isinstance(session.get_adapter('https://'), origin_adapter.Pin):
        return
    made = origin_adapter.Pin(origin.of(connector._url), {
        s: session.get_adapter(f'{s}://') for s in ('http', 'https')})
    # A longer prefix would win: nobody mounts one beside us.
    session.adapters.clear()
    for scheme in made.inner:
        session.mount(f'{scheme}://', made)


def knock(url: str, path: str, verify: bool | str, **tls: str) -> None:
    """Ask a BMC for its service root once, without credentials.

    Any answer will do: what it means is for whoever asks next.

    :param url: scheme and authority of the BMC.
    :param path: of its service root.
    :param verify: as sushy takes it; ``tls`` too.
    :raises: sushy's ConnectionError where there is none within the bounds
        for one request.
    """
    connector = connector_module.Pinned(url, verify=verify, **tls)
    try:
        connector.get(path)
    except exceptions.ConnectionError:
        raise
    except (exceptions.SushyError, Unreachable) as error:
        LOG.debug('%s answers: %s', url, error)
    finally:
        connector.close()


class _Pins:
    """Pins the connector before a credential is used.

    Sushy asks for the service root before, without any. The login itself is
    asked for once: it is repeated at the next look.
    """

    _connector: Any

    def authenticate(self) -> None:
        """See sushy."""
        connector = self._connector
        retries = connector._server_side_retries
        connector._server_side_retries = 1
        try:
            super().authenticate()  # type: ignore[misc]
        finally:
            connector._server_side_retries = retries

    def set_context(self, root_resource: Any, connector: Any) -> None:
        """See sushy."""
        pin(connector)
        super().set_context(  # type: ignore[misc]
            root_resource, connector)


class BasicAuth(_Pins, auth.BasicAuth):  # type: ignore[misc]
    """Sushy's, at the BMC's origin alone."""


class SessionAuth(_Pins, auth.SessionAuth):  # type: ignore[misc]
    """Sushy's, at the BMC's origin alone."""


class SessionOrBasicAuth(_Pins,
                         auth.SessionOrBasicAuth):  # type: ignore[misc]
    """Sushy's, at the BMC's origin alone."""


#: By the names that Ironic has for them (``redfish_auth_type``).
AUTH_CLASSES: Mapping[str, type[auth.AuthBase]] = types.MappingProxyType({
    'basic': BasicAuth, 'session': SessionAuth, 'auto': SessionOrBasicAuth})
