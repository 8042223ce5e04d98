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

"""Limit a sushy session of Ironic to the BMC's own origin.

Ironic's drivers use sushy, which reads any absolute URI in a document, and
requests follows redirects; both send the token or password and the body. A
session that is pinned here sends to one scheme, host and port only; any
other request fails before a byte is sent. Timeouts and sizes remain those of
sushy.
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

LOG = logging.getLogger(__name__)


def pin(connector: Any) -> None:
    """Pin a sushy connector, once."""
    session = connector._session
    if isinstance(session.get_adapter('https://'),
                  origin.PinnedAdapter):
        return
    made = origin.PinnedAdapter(origin.of(connector._url), {
        s: session.get_adapter(f'{s}://') for s in ('http', 'https')})
    # A longer prefix would take precedence, but nothing mounts one.
    session.adapters.clear()
    for scheme in made.inner:
        session.mount(f'{scheme}://', made)


def probe_service_root(url: str, path: str, verify: bool | str, **tls: str
                       ) -> None:
    """Read the service root of a BMC once, without credentials.

    Any response is accepted: the next request evaluates it.

    :param url: scheme and authority of the BMC.
    :param path: path of its service root.
    :param verify: as for sushy; ``tls`` too.
    :raises: sushy's ConnectionError without a response within the limits of
        one request.
    """
    connector = connector_module.PinnedConnector(url, verify=verify, **tls)
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

    Sushy reads the service root before that, without credentials. The login
    is tried once, and repeated for the next inventory.
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
    """Sushy's BasicAuth, limited to the BMC's origin."""


class SessionAuth(_Pins, auth.SessionAuth):  # type: ignore[misc]
    """Sushy's SessionAuth, limited to the BMC's origin."""


class SessionOrBasicAuth(_Pins,
                         auth.SessionOrBasicAuth):  # type: ignore[misc]
    """Sushy's SessionOrBasicAuth, limited to the BMC's origin."""


#: By the values of Ironic's ``redfish_auth_type``.
AUTH_CLASSES: Mapping[str, type[auth.AuthBase]] = types.MappingProxyType({
    'basic': BasicAuth, 'session': SessionAuth, 'auto': SessionOrBasicAuth})
