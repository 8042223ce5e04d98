# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Redfish error responses (DSP0266)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BASE = 'Base.1.18.1'

# Message, and resolution where the Base registry has one (DSP8011).
_MESSAGES: dict[str, tuple[str, str, str]] = {
    'Success': ('The request completed successfully.', 'OK', 'None.'),
    'GeneralError': (
        'A general error has occurred. See Resolution for information on '
        'how to resolve the error, or @Message.ExtendedInfo if Resolution '
        'is not provided.',
        'Critical',
        'None.',
    ),
    'ResourceNotFound': (
        "The requested resource of type '%1' named '%2' was not found.",
        'Critical',
        'Provide a valid resource identifier and resubmit the request.',
    ),
    'ResourceMissingAtURI': (
        "The resource at the URI '%1' was not found.",
        'Critical',
        'Place a valid resource at the URI or correct the URI and resubmit '
        'the request.',
    ),
    'InternalError': (
        'The request failed due to an internal service error.  The service '
        'is still operational.',
        'Critical',
        'Resubmit the request.',
    ),
    'ServiceTemporarilyUnavailable': (
        'The service is temporarily unavailable.  Retry in %1 seconds.',
        'Critical',
        'Wait for the indicated retry duration and retry the operation.',
    ),
    'NoValidSession': (
        'There is no valid session established with the implementation.',
        'Critical',
        'Establish a session before attempting any operations.',
    ),
    'ResourceAtUriUnauthorized': (
        "While accessing the resource at '%1', the service received an "
        "authorization error '%2'.",
        'Critical',
        'Ensure that the appropriate access is provided for the service '
        'in order for it to access the URI.',
    ),
    'ActionNotSupported': (
        'The action %1 is not supported by the resource.',
        'Critical',
        'The action supplied cannot be resubmitted to the implementation.',
    ),
    'ActionParameterMissing': (
        'The action %1 requires the parameter %2 to be present in the '
        'request body.',
        'Critical',
        'Supply the action with the required parameter in the request body '
        'when the request is resubmitted.',
    ),
    'ActionParameterNotSupported': (
        "The parameter %1 for the action %2 is not supported on the "
        'target resource.',
        'Warning',
        'Remove the parameter supplied and resubmit the request.',
    ),
    'ActionParameterValueNotInList': (
        "The value '%1' for the parameter %2 in the action %3 is not in "
        'the list of acceptable values.',
        'Warning',
        'Choose a value from the enumeration list that the implementation '
        'can support and resubmit the request.',
    ),
    'ChassisPowerStateOffRequired': (
        "The Chassis with Id '%1' requires to be powered off to perform "
        'this request.',
        'Warning',
        'Power off the specified Chassis and resubmit the request.',
    ),
    'PropertyNotWritable': (
        'The property %1 is a read-only property and cannot be assigned '
        'a value.',
        'Warning',
        'Remove the property from the request body and resubmit the '
        'request if the operation failed.',
    ),
    'PropertyUnknown': (
        'The property %1 is not in the list of valid properties for the '
        'resource.',
        'Warning',
        'Remove the unknown property from the request body and resubmit '
        'the request if the operation failed.',
    ),
    'PropertyMissing': (
        'The property %1 is a required property and must be included in '
        'the request.',
        'Warning',
        'Ensure that the property is in the request body and has a valid '
        'value and resubmit the request if the operation failed.',
    ),
    'PropertyValueTypeError': (
        "The value '%1' for the property %2 is not a type that the "
        'property can accept.',
        'Warning',
        'Correct the value for the property in the request body and '
        'resubmit the request if the operation failed.',
    ),
    'PropertyValueNotInList': (
        "The value '%1' for the property %2 is not in the list of "
        'acceptable values.',
        'Warning',
        'Choose a value from the enumeration list that the implementation '
        'can support and resubmit the request if the operation failed.',
    ),
    'QueryCombinationInvalid': (
        'Two or more query parameters in the request cannot be used '
        'together.',
        'Warning',
        'Remove one or more of the query parameters and resubmit the '
        'request if the operation failed.',
    ),
    'QueryNotSupportedOnResource': (
        'Querying is not supported on the requested resource.',
        'Warning',
        'Remove the query parameters and resubmit the request if the '
        'operation failed.',
    ),
    'QueryParameterUnsupported': (
        "The query parameter '%1' is not supported.",
        'Warning',
        'Correct or remove the query parameter and resubmit the request.',
    ),
    'QueryParameterValueFormatError': (
        "The value '%1' for the parameter %2 is of a different format "
        'than the parameter can accept.',
        'Warning',
        'Correct the value for the query parameter in the request and '
        'resubmit the request if the operation failed.',
    ),
    'MalformedJSON': (
        'The request body submitted was malformed JSON and could not be '
        'parsed by the receiving service.',
        'Critical',
        'Ensure that the request body is valid JSON and resubmit the '
        'request.',
    ),
    'UnrecognizedRequestBody': (
        'The service detected a malformed request body that it was unable '
        'to interpret.',
        'Warning',
        'Correct the request body and resubmit the request if it failed.',
    ),
    'PreconditionRequired': (
        'A precondition header or annotation is required to change this '
        'resource.',
        'Critical',
        'Try the operation again using the If-Match or If-None-Match header '
        'and the current ETag.',
    ),
    'PropertyValueFormatError': (
        "The value '%1' for the property %2 is not a format that the "
        'property can accept.',
        'Warning',
        'Correct the value for the property in the request body and '
        'resubmit the request if the operation failed.',
    ),
    'PreconditionFailed': (
        'The ETag supplied did not match the ETag required to change this '
        'resource.',
        'Critical',
        'Try the operation again using the appropriate ETag.',
    ),
    'PayloadTooLarge': (
        'The supplied payload exceeds the maximum size supported by the '
        'service.',
        'Critical',
        'Supply a payload that is within the size limit and resubmit the '
        'request.',
    ),
    'OperationNotAllowed': (
        'The HTTP method is not allowed on this resource.',
        'Critical',
        'None.',
    ),
    'InsufficientPrivilege': (
        'There are insufficient privileges for the account or credentials '
        'associated with the current session to perform the requested '
        'operation.',
        'Critical',
        'Either abandon the operation or change the associated access '
        'rights and resubmit the request if the operation failed.',
    ),
}  # fmt: skip


def message(
    name: str,
    args: Sequence[str] = (),
    text: str | None = None,
    severity: str | None = None,
) -> dict[str, Any]:
    """Return one Message object.

    ``name`` is a Base message or a whole MessageId of another registry, which
    requires ``text`` and ``severity``.
    """
    known = _MESSAGES.get(name)
    wording, level, resolution = known or (text or name, 'Warning', 'None.')
    wording = text or wording
    for number, value in enumerate(args, 1):
        wording = wording.replace(f'%{number}', value)
    level = severity or level
    return {
        '@odata.type': '#Message.v1_1_1.Message',
        'MessageId': f'{BASE}.{name}' if known else name,
        'Message': wording,
        'MessageArgs': list(args),
        'MessageSeverity': level,
        'Resolution': resolution,
    }


class RedfishError(Exception):
    """Raised to reply to a request with a Redfish error body."""

    def __init__(
        self,
        status: int,
        name: str,
        args: Sequence[str] = (),
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        entry = message(name, args, text)
        self.body: dict[str, Any] = {
            'error': {
                'code': entry['MessageId'],
                'message': entry['Message'],
                '@Message.ExtendedInfo': [entry],
            }
        }
        super().__init__(f'{status} {entry["MessageId"]}')

    @classmethod
    def bad_parameter(cls, name: str, value: object) -> RedfishError:
        """400 for an invalid value of an action parameter."""
        args = (str(value), name, 'Reset')
        return cls(400, 'ActionParameterValueNotInList', args)

    @classmethod
    def missing(cls, path: str) -> RedfishError:
        """404 for a resource that does not exist."""
        kind, _, name = path.strip('/').rpartition('/')
        kind = kind.rpartition('/')[2] or 'Resource'
        return cls(404, 'ResourceNotFound', (kind, name))

    @classmethod
    def busy(cls, seconds: int = 30) -> RedfishError:
        """503 with Retry-After."""
        return cls(
            503,
            'ServiceTemporarilyUnavailable',
            (str(seconds),),
            headers={'Retry-After': str(seconds)},
        )
