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

"""Keystone's API, as far as the lab and its tests need it."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any

import requests

from tests.functional.harness import process
from tests.functional.harness import rest

DOMAIN = "default"
SYSTEM: Mapping[str, Any] = {"system": {"all": True}}


@dataclasses.dataclass(frozen=True)
class Account:
    """A user and what its token is for: the system or a project."""

    name: str
    password: str
    scope: Mapping[str, Any]

    def cloud(self, url: str) -> dict[str, Any]:
        """The same as an entry of ``clouds.yaml``.

        :param url: Keystone's, with the version.
        """
        scope = ({"system_scope": "all"} if self.scope == SYSTEM else
                 {"project_id": self.scope["project"]["id"]})
        return {"auth_type": "password", "auth": {
            "auth_url": url, "username": self.name,
            "password": self.password, "user_domain_id": DOMAIN, **scope}}


def token(url: str, account: Account) -> str:
    """Log in, and return the token.

    :param url: Keystone's, with the version.
    :raises: LabError where Keystone cannot be reached or refuses.
    """
    session = requests.Session()
    session.trust_env = False  # A proxy has no business on loopback.
    try:
        answer = session.post(url + "/auth/tokens", timeout=rest.SECONDS,
                              json={"auth": _login(account)})
    except requests.RequestException as error:
        raise process.LabError(f"POST {url}/auth/tokens: {error}") from error
    if answer.status_code != 201:
        raise rest.RestError("POST", url + "/auth/tokens",
                             answer.status_code, answer.text)
    return answer.headers["X-Subject-Token"]


def _login(account: Account) -> dict[str, Any]:
    return {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": account.name, "password": account.password,
            "domain": {"id": DOMAIN}}}},
        "scope": dict(account.scope)}


class KeystoneApi(rest.RestClient):
    """Keystone with an administrator's token."""

    def __init__(self, url: str, admin: Account) -> None:
        super().__init__(url, {"X-Auth-Token": token(url, admin),
                               "Accept": "application/json"})

    def create_project(self, name: str) -> str:
        """Create a project; its id."""
        answer = self.post("/projects", {"project": {
            "name": name, "domain_id": DOMAIN}})
        return str(answer["project"]["id"])

    def create_accounts(self, role: str, projects: Mapping[str, str | None],
                        ) -> dict[str, Account]:
        """Create a user of a name like the role, with that role alone.

        :param projects: id of each project, by what it is to be called;
            None is the system.
        :returns: the user by what the token is for.
        """
        password = secrets.token_urlsafe()
        user = self.post("/users", {"user": {
            "name": f"one-{role}", "password": password,
            "domain_id": DOMAIN}})["user"]
        found = self.get(f"/roles?name={role}")["roles"][0]["id"]
        for project in projects.values():
            where = "/system" if project is None else f"/projects/{project}"
            self.put(f"{where}/users/{user['id']}/roles/{found}")
        return {place: Account(user["name"], password, SYSTEM
                               if project is None else {
                                   "project": {"id": project}})
                for place, project in projects.items()}

    def create_endpoint(self, kind: str, url: str) -> None:
        """Put a service of a type into the catalogue."""
        made = self.post("/services", {"service": {
            "type": kind, "name": kind}})
        self.post("/endpoints", {"endpoint": {
            "service_id": made["service"]["id"], "interface": "public",
            "url": url, "region_id": None}})
