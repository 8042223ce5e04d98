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

"""A sushy connector, for callers without a conductor."""

from __future__ import annotations

from typing import Any
from urllib import parse

import requests
import sushy
from sushy import auth as sushy_auth
from sushy import exceptions

from ironic_accel.bounded import web
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client.connector import PinnedConnector
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin

#: A ``sushy.connector.Connector``; sushy has no type hints.
Connector = Any

#: Errors of sushy for a service root whose values have wrong types.
NOT_REDFISH = (AttributeError, KeyError, TypeError, ValueError)


def connect(url: str, user: str | None = None, password: str | None = None,
            verify: bool | str = True,
            settings: BmcSettings | None = None,
            observer: web.Observer | None = None) -> Connector:
    """Connect to a BMC.

    :param url: scheme and authority, ``https://192.0.2.1``.
    :param user: without it no credentials are sent (an emulator).
    :param verify: whether the certificate is verified, or the path of the CA
        certificates.
    :param observer: is called for each request.
    :returns: a connector; to be closed by ``disconnect``.
    :raises: BadInput for another URL; Unreachable if the BMC does not
        respond or rejects the credentials.
    """
    settings = settings or BmcSettings()
    where = parse.urlsplit(url)
    if '@' in where.netloc:
        raise BadInput('bmc: the URL contains credentials: give a user and '
                       'a password file instead')
    if origin.of(url) is None:
        raise BadInput(f'bmc: {url!r}: expected http://HOST or https://HOST')
    base = f'{where.scheme}://{where.netloc}'
    connector = PinnedConnector(base, verify=verify)
    connector.settings = settings
    connector.observer = observer
    if user is None:
        return connector
    try:
        # The connector keeps the auth object, which keeps the root object.
        # Deleting the root object would close the session.
        auth = sushy_auth.SessionOrBasicAuth(user, password)
        sushy.Sushy(base, auth=auth, connector=connector)
        # Sushy falls back to basic authentication without testing it.
        reading(connector).get('/redfish/v1/Systems',
                               server_side_retries_left=0)
    except exceptions.AccessError as error:
        disconnect(connector)
        raise Unreachable(
            f'{base}: the BMC rejected the credentials',
            error_class=ErrorClass.NEEDS_OPERATOR,
            message_id=str(error.code)) from error
    except exceptions.SushyError as error:
        disconnect(connector)
        raise Unreachable(f'{base}: the BMC does not answer: {error}',
                          error_class=ErrorClass.TRANSIENT) from error
    except NOT_REDFISH as error:
        disconnect(connector)
        raise Unreachable(
            f'{base}: the response is not Redfish',
            error_class=ErrorClass.TRANSIENT,
            seen=f'{type(error).__name__}: {error}') from error
    return connector


def disconnect(connector: Connector) -> None:
    """Close the session at the BMC, if there is one, and the connection."""
    auth: Any = getattr(connector, '_auth', None)
    try:
        if auth is not None:
            auth.close()
    except exceptions.SushyError:
        # The BMC is unreachable, and the session expires by itself. Sushy
        # would try again during garbage collection, in any thread.
        auth.reset_session_attrs()
    finally:
        connector.close()


def reading(connector: Connector, settings: BmcSettings | None = None
            ) -> Connector:
    """A connector that shares the session, sends each request once, to the
    BMC only, and has a time limit.

    A connector without a requests session works in process, and is used
    unchanged.

    :param settings: the limits; those of the connector by default.
    """
    if not isinstance(getattr(connector, '_session', None),
                      requests.Session):
        return connector
    return PinnedConnector.like(connector, settings)


def address(connector: Connector) -> str:
    """Host and port of the BMC, which identify it for all callers."""
    where = parse.urlsplit(connector._url)
    port = where.port or {'http': 80}.get(where.scheme, 443)
    return f'{where.hostname}:{port}'
