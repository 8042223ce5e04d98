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

"""WSGI filter that makes every request an administrator's, for a lab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Application = Callable[[dict[str, Any], Any], Any]

PROJECT = "lab"

#: What Keystone's middleware tells an application of a valid token
#: (keystonemiddleware, auth_token: "What we add to the request").
_HEADERS = {
    "HTTP_X_IDENTITY_STATUS": "Confirmed",
    "HTTP_X_USER_ID": "lab", "HTTP_X_USER_NAME": "lab",
    "HTTP_X_PROJECT_ID": PROJECT, "HTTP_X_PROJECT_NAME": PROJECT,
    "HTTP_X_USER_DOMAIN_ID": "default",
    "HTTP_X_PROJECT_DOMAIN_ID": "default",
    "HTTP_X_ROLES": "admin,manager,member,reader,service",
    "HTTP_X_AUTH_TOKEN": "admin",
    "HTTP_X_SERVICE_CATALOG": "[]",
}


def filter_factory(settings: dict[str, str], **more: str
                   ) -> Callable[[Application], Application]:
    """Paste's factory of the filter; it has no settings."""
    def wrap(application: Application) -> Application:
        def admit(environ: dict[str, Any], start: Any) -> Any:
            environ.update(_HEADERS)
            return application(environ, start)
        return admit
    return wrap
