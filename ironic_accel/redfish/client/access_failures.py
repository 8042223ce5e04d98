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

"""Why a BMC cannot be used: its address, its certificate, the credentials.

A failed request is described by its cause, with the option to change. What
the same request would meet again (a certificate, a port of another protocol,
credentials) needs an operator; a BMC that does not answer may answer later.

Sources: OpenSSL X509_STORE_CTX_get_error(3) for the numbers of certificate
errors (``ssl.SSLCertVerificationError.verify_code``) and the reasons of
``ssl.SSLError``; RFC 8446 section 5.1 and appendix C.2 for the first bytes of
a TLS alert; requests 2.x ``adapters.py`` for a CA bundle that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import http.client
import socket
import ssl

from requests import exceptions as requests_errors
from sushy import exceptions
from urllib3.util import ssl_match_hostname

from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable


@dataclasses.dataclass(frozen=True, slots=True)
class OptionNames:
    """What the caller's options of its access to a BMC are called.

    :ivar address: has the scheme, host and port.
    :ivar bundle: has the CA bundle.
    :ivar trust: what to set so that another issuer is trusted.
    :ivar skip: what to set so that the certificate is not verified.
    :ivar credentials: have the user and the password.
    :ivar system: has the Id or path of the System.
    """

    address: str = 'the URL of the BMC'
    bundle: str = 'the CA bundle'
    trust: str = 'a CA bundle that contains its issuer'
    skip: str = 'that its certificate is not verified'
    credentials: str = 'the user and the password'
    system: str = 'system'


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """Why a request got no response.

    :ivar words: the cause, in a few words.
    :ivar lasting: whether the same request would fail again.
    :ivar remedy: what to do; the names of options are filled in.
    :ivar garbled: whether a service that has answered before may send it
        once, as one garbled response.
    """

    words: str
    lasting: bool = False
    remedy: str | None = None
    garbled: bool = False

    def todo(self, names: OptionNames) -> str | None:
        """What to do, with the names of the caller's options."""
        if self.remedy is None:
            return None
        return self.remedy.format(**dataclasses.asdict(names))


_TRUST = 'set {trust}'
#: By the number of OpenSSL.
_CERTIFICATE = {
    9: Cause('the certificate of the BMC is not valid yet', True,
             'check the clocks of the BMC and of this machine'),
    10: Cause('the certificate of the BMC has expired', True,
              'renew the certificate of the BMC, or set {skip}'),
    18: Cause('the certificate of the BMC is self-signed and not trusted',
              True, _TRUST),
    19: Cause('the certificate of the BMC is signed by an unknown issuer',
              True, _TRUST),
    20: Cause('the certificate of the BMC is signed by an unknown issuer',
              True, _TRUST),
    21: Cause('the certificate of the BMC is signed by an unknown issuer',
              True, _TRUST)}
#: X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_OTHER_NAME = frozenset({62, 64})
#: Reasons of OpenSSL for a port that does not speak TLS.
_NOT_TLS = frozenset({'WRONG_VERSION_NUMBER', 'HTTP_REQUEST',
                      'RECORD_LAYER_FAILURE', 'PACKET_LENGTH_TOO_LONG'})
#: Reasons of OpenSSL for a handshake that would fail again.
_NO_COMMON = frozenset({
    'UNSUPPORTED_PROTOCOL', 'NO_PROTOCOLS_AVAILABLE',
    'TLSV1_ALERT_PROTOCOL_VERSION', 'SSLV3_ALERT_HANDSHAKE_FAILURE',
    'DH_KEY_TOO_SMALL', 'BAD_ECPOINT', 'TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'TLSV1_ALERT_INSUFFICIENT_SECURITY', 'NO_SHARED_CIPHER'})
#: Reasons of OpenSSL for a file without certificates.
_NO_BUNDLE = frozenset({'NO_CERTIFICATE_OR_CRL_FOUND', 'NO_START_LINE',
                        'PEM_LIB'})
_BUNDLE = 'Could not find a suitable TLS CA certificate bundle'
#: A TLS alert in place of a status line (type 21, version 3.x), as it is and
#: as Python quotes it.
_ALERT = ('\x15\x03', r'\x15\x03')

HTTPS_ONLY = Cause('the BMC speaks HTTPS on this port, not HTTP', True,
                   'use https:// in {address}')
HTTP_ONLY = Cause('the BMC speaks HTTP on this port, not HTTPS', True,
                  'check scheme and port in {address}', garbled=True)
_CLOSED = Cause('the connection was closed without a response')
_CLOSED_PLAIN = dataclasses.replace(
    _CLOSED, remedy='if the BMC serves HTTPS on this port, use https:// in '
                    '{address}')

#: Causes by the texts of requests, urllib3 and http.client, for errors that
#: have no type of their own in the chain; the more specific first.
_TEXTS = (
    (Cause('connection refused', remedy='check host and port in {address}'),
     ('Connection refused',)),
    (Cause('cannot resolve its host name',
           remedy='check the host in {address} and the name server'),
     ('Name or service not known', 'Temporary failure in name resolution',
      'Failed to resolve')),
    (Cause('host or network unreachable',
           remedy='check the host in {address} and the network'),
     ('No route to host', 'is unreachable')),
    (Cause('certificate verification failed', True, _TRUST),
     ('CERTIFICATE_VERIFY_FAILED',)),
    (Cause('TLS error'), ('SSLError', 'SSL:')),
    (Cause('the response is incomplete'),
     ('IncompleteRead', 'InvalidChunkLength')),
    (_CLOSED, ('Connection aborted', 'RemoteDisconnected',
               'Connection reset by peer')))


def cause(error: BaseException, plain: bool, seconds: float) -> Cause:
    """Why a request got no response.

    :param error: of sushy or requests, with its causes.
    :param plain: whether it went out over HTTP without TLS.
    :param seconds: how long a response was waited for.
    """
    found = list(_causes(error))
    for one in found:
        known = _known(one)
        if known is not None:
            return known
    if any(isinstance(c, requests_errors.Timeout | TimeoutError)
           for c in found):
        return Cause(f'no response within {seconds:g} s')
    for one in found:
        for known, marks in _TEXTS:
            if any(mark in str(one) for mark in marks):
                return (_CLOSED_PLAIN if known is _CLOSED and plain
                        else known)
    return Cause(f'no complete response: {str(error)[:200]}')


def _known(error: BaseException) -> Cause | None:
    """The cause that an exception stands for by its type."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return _other_name(error.verify_message.rstrip('.'))
        return _CERTIFICATE.get(error.verify_code, Cause(
            'the certificate of the BMC was rejected: '
            f'{error.verify_message}', True, _TRUST))
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, ssl_match_hostname.CertificateError):
        # urllib3 1.26 compares names itself.
        return _other_name(str(error))
    if isinstance(error, socket.gaierror):
        return _TEXTS[1][0]
    if isinstance(error, http.client.BadStatusLine) \
            and not isinstance(error, http.client.RemoteDisconnected):
        if any(mark in str(error) for mark in _ALERT):
            return HTTPS_ONLY
        return Cause('the service on this port is not HTTP', True,
                     'check host and port in {address}', garbled=True)
    if isinstance(error, OSError) and str(error).startswith(_BUNDLE):
        return Cause('the CA bundle cannot be read', True,
                     'check {bundle}')
    return None


def _other_name(why: str) -> Cause:
    return Cause(f'the certificate of the BMC is for another name: {why}',
                 True, 'use a name of the certificate in {address}, or set '
                       '{skip}')


def _tls(error: ssl.SSLError) -> Cause | None:
    reason = error.reason or ''
    if reason in _NOT_TLS:
        return HTTP_ONLY
    if reason in _NO_BUNDLE:
        return Cause('the CA bundle contains no certificate', True,
                     'check {bundle}')
    if reason in _NO_COMMON:
        return Cause(f'TLS was not agreed on ({reason})', True,
                     'check the TLS versions and ciphers of the BMC and of '
                     'this machine')
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _CLOSED
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, each once: urllib3 keeps some as reasons."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, one.__context__,
                 getattr(one, 'reason', None), *one.args]


def unreachable(error: BaseException, where: str, names: OptionNames,
                plain: bool, seconds: float = 30.0) -> Unreachable:
    """The error for a BMC that sent no response, or rejected the access.

    :param error: of sushy.
    :param where: names the BMC.
    :returns: NoAccess where the same request would fail again.
    """
    if isinstance(error, exceptions.AccessError):
        return rejected(where, names, error.status_code, str(error.code))
    why = cause(error, plain, seconds)
    if why.lasting:
        return NoAccess(Detail(f'{where}: {why.words}',
                               ErrorClass.NEEDS_OPERATOR,
                               todo=why.todo(names)))
    return Unreachable(Detail(f'{where} does not answer: {why.words}',
                              ErrorClass.TRANSIENT, todo=why.todo(names)))


def moved(where: str, names: OptionNames, answer: str) -> NoAccess:
    """The error for a service root that redirects to another address.

    :param answer: describes the redirect.
    """
    return NoAccess(Detail(
        f'{where} {answer}', ErrorClass.NEEDS_OPERATOR,
        todo=f'if the BMC moved there, change {names.address}'))


def rejected(where: str, names: OptionNames, status: int | None,
             message_id: str | None = None, sent: bool = True
             ) -> NoAccess:
    """The error for HTTP 401 and 403.

    :param sent: whether credentials were sent.
    """
    if status == 403:
        text = f'{where}: the user lacks the privilege (HTTP 403)'
        todo = ('give the user of the BMC the role Administrator, or check '
                f'{names.credentials}')
    else:
        text = (f'{where}: the BMC rejected the credentials (HTTP 401)'
                if sent else
                f'{where}: the BMC requires credentials (HTTP 401)')
        todo = f'set {names.credentials}'
    return NoAccess(Detail(
        text, ErrorClass.NEEDS_OPERATOR, message_id=message_id, todo=todo))
