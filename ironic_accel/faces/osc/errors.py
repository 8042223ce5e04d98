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

"""Errors of the API, with the node they concern and what to do."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re

from ironicclient import exc
from ironicclient.common.apiclient import exceptions as api_exc
from keystoneauth1 import exceptions as keystone_exc
from osc_lib.exceptions import CommandError

from ironic_accel.model import errors

_REQUEST = re.compile(r' \(Request-ID: \S+\)')
_POLICY = re.compile(r'(?:following resource: |")(baremetal:[\w:.]+)')
#: A policy of another scope than the token's; Ironic answers it with HTTP 500
#: (oslo_policy/policy.py, InvalidScope).
_SCOPE = re.compile(r'requires a scope of ')
_LOCKED = re.compile(r'is locked by host (\S+)')


class Denied(CommandError):
    """The caller lacks the permission."""

    @property
    def reason(self) -> str:
        """What is not permitted, without what to do about it."""
        return reason(str(self))


class Missing(CommandError):
    """The object does not exist."""


class NodeBusy(CommandError):
    """The node is locked, or an operation is in progress on it."""


class Unavailable(CommandError):
    """The Bare Metal API does not respond."""


class UnknownMethod(CommandError):
    """The conductor has no passthru method of that name."""


def reason(text: str) -> str:
    """What is wrong, of a message, without what to do about it."""
    return text.partition('; next: ')[0]


def ask(rule: str = 'the policy') -> str:
    """What to do where a call is not permitted.

    :param rule: what forbids it.
    """
    return ('next: use a system administrator (--os-system-scope all), or a '
            f'user that {rule} allows')


@contextlib.contextmanager
def worded(what: str, node: str = '') -> Iterator[None]:
    """Turn an error of the API into one that says what to do.

    :param what: the call that was made, as in ``read its traits``.
    :param node: name or UUID of the node, as given by the caller.
    :raises: Denied, Missing, NodeBusy, UnknownMethod or another
        CommandError.
    """
    where = f'node {node}: ' if node else ''
    try:
        yield
    except exc.Unauthorized as error:
        raise Denied(
            f'{where}not permitted to {what}: {_text(error)}; next: check '
            'the user, password or token that you use') from error
    except exc.Forbidden as error:
        raise Denied(_denied(where, what, _text(error))) from error
    except exc.NotFound as error:
        raise Missing(_missing(where, what, node, _text(error))) from error
    except exc.Conflict as error:
        raise NodeBusy(_busy(where, what, _text(error))) from error
    except (exc.UnsupportedVersion, exc.NotAcceptable) as error:
        raise CommandError(
            f'{where}cannot {what}: {_text(error)}; omit '
            '--os-baremetal-api-version or request a later version') from error
    except (exc.ConnectionRefused, keystone_exc.ConnectFailure,
            keystone_exc.ConnectionError) as error:
        raise Unavailable(
            f'{where}cannot {what}: the Bare Metal API does not respond: '
            f'{_text(error)}; check --os-cloud, --os-endpoint and the '
            'network') from error
    except api_exc.HttpError as error:
        text = _text(error)
        if _SCOPE.search(text):
            raise Denied(_denied(where, what, text)) from error
        if 'No handler for method' in text:
            raise UnknownMethod(
                f'{where}cannot {what}: {text}; upgrade ironic-accel on its '
                'conductor') from error
        raise CommandError(f'{where}cannot {what}: {text}') from error


def as_model_error(error: Exception) -> errors.AccelError:
    """An error of a command as one of ours, for its document.

    Our messages say after ``next:`` what to do.
    """
    if isinstance(error, errors.AccelError):
        return error
    if isinstance(error.__cause__, errors.BadInput):
        return error.__cause__
    summary, _, todo = str(error).partition('; next: ')
    kind = (errors.ErrorClass.TRANSIENT
            if isinstance(error, NodeBusy | Unavailable)
            else errors.ErrorClass.NEEDS_OPERATOR
            if isinstance(error, Denied | UnknownMethod)
            else errors.ErrorClass.PERMANENT)
    if summary.startswith('--'):
        return errors.BadInput(summary, error_class=kind, todo=todo or None)
    return errors.AccelError(summary, error_class=kind, todo=todo or None)


def _text(error: Exception) -> str:
    """The message in one line, without the request ID (see --debug)."""
    return _REQUEST.sub('', ' '.join(str(error).split()))


def _denied(where: str, what: str, text: str) -> str:
    """What was not permitted, and who is (``admin/roles`` of the docs).

    Ironic names the policy (ironic/common/exception.py, HTTPForbidden).
    """
    found = _POLICY.search(text)
    return (f'{where}not permitted to {what}: {text}; '
            f"{ask(f'policy {found[1]}' if found else 'the policy')}")


def _missing(where: str, what: str, node: str, text: str) -> str:
    if re.search(r'Node \S+ could not be found', text):
        return (f'node {node} not found: {text}; list the nodes that you '
                'may see with: baremetal node list')
    return f'{where}cannot {what}: {text}'


def _busy(where: str, what: str, text: str) -> str:
    found = _LOCKED.search(text)
    if found:
        return (f'{where}cannot {what}: locked by host '
                f'{found[1].rstrip(".,")}; try again later')
    return f'{where}cannot {what} now: {text}'

