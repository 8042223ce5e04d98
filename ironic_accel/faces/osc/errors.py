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

"""What the API turns down, in words that say what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re

from ironicclient import exc
from ironicclient.common.apiclient import exceptions as api_exc
from keystoneauth1 import exceptions as keystone_exc
from osc_lib.exceptions import CommandError

_REQUEST = re.compile(r' \(Request-ID: \S+\)')
_LOCKED = re.compile(r'is locked by host (\S+)')


class Denied(CommandError):
    """The caller may not do or see this."""


class Missing(CommandError):
    """There is no such thing."""


class NodeBusy(CommandError):
    """Not now: something else is under way on the node."""


@contextlib.contextmanager
def worded(what: str, node: str = '') -> Iterator[None]:
    """Turn an error of the API into one that says what to do.

    :param what: what was tried: ``read its traits``.
    :param node: which node, as the caller called it.
    :raises: Denied, Missing, Busy, or CommandError.
    """
    where = f'node {node}: ' if node else ''
    try:
        yield
    except (exc.Forbidden, exc.Unauthorized) as error:
        raise Denied(
            f'{where}not permitted to {what}: {_text(error)}') from error
    except exc.NotFound as error:
        raise Missing(_missing(where, what, node, _text(error))) from error
    except exc.Conflict as error:
        raise NodeBusy(_busy(where, what, _text(error))) from error
    except (exc.UnsupportedVersion, exc.NotAcceptable) as error:
        raise CommandError(
            f'{where}cannot {what}: {_text(error)}; do without '
            '--os-baremetal-api-version, or ask for a later one') from error
    except (exc.ConnectionRefused, keystone_exc.ConnectFailure,
            keystone_exc.ConnectionError) as error:
        raise CommandError(
            f'{where}cannot {what}: the Bare Metal API does not answer: '
            f'{_text(error)}; check --os-cloud, --os-endpoint and the '
            'network') from error
    except api_exc.HttpError as error:
        raise CommandError(_refused(where, what, _text(error))) from error


def _text(error: Exception) -> str:
    """The API's words in one line; --debug has the request's id."""
    return _REQUEST.sub('', ' '.join(str(error).split()))


def _missing(where: str, what: str, node: str, text: str) -> str:
    if re.search(r'Node \S+ could not be found', text):
        return (f'no node {node}: {text}; see `baremetal node list` for '
                'those that you may see')
    return f'{where}cannot {what}: {text}'


def _busy(where: str, what: str, text: str) -> str:
    found = _LOCKED.search(text)
    if found:
        return (f'{where}cannot {what}: locked by {found[1].rstrip(".,")}, '
                'which is working on it; try again in a moment')
    return f'{where}cannot {what} now: {text}'


def _refused(where: str, what: str, text: str) -> str:
    if 'No handler for method' in text:
        return (f'{where}cannot {what}: {text}; its conductor has an older '
                'ironic-accel: upgrade it')
    return f'{where}cannot {what}: {text}'
