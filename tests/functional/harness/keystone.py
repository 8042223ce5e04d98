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

"""Keystone as a process, for a lab whose Ironic asks who calls."""

from __future__ import annotations

import functools
import secrets

from tests.functional.harness import keystone_api
from tests.functional.harness import services


class Keystone(services.Service):
    """Real Keystone: SQLite, Fernet tokens, bootstrapped by upstream.

    Its one user at first is ``admin``, with a password made up here.
    """

    name = "keystone"

    def __init__(self, site: services.Site) -> None:
        super().__init__(site)
        self.port = site.ports.take()
        self.url = f"http://127.0.0.1:{self.port}/v3"
        self._password = secrets.token_urlsafe()

    @functools.cached_property
    def api(self) -> keystone_api.KeystoneApi:
        """A client of it, with the token of the system's administrator."""
        return keystone_api.KeystoneApi(self.url, self.admin)

    @property
    def admin(self) -> keystone_api.Account:
        """The administrator of the system."""
        return keystone_api.Account(
            "admin", self._password, keystone_api.SYSTEM)

    def start(self) -> None:
        """Write its configuration and start it; it makes its tables."""
        for keys in _KEYS:
            (self.folder / keys).mkdir(mode=0o700)
        services.write_settings(self.folder / "keystone.conf", {
            "DEFAULT": {"debug": False},
            "database": {"connection": services.sqlite_url(
                self.folder / "keystone.sqlite")},
            # The least that Keystone takes: what is hashed is made up.
            "identity": {"password_hash_rounds": 4},
            **{keys: {"key_repository": self.folder / keys}
               for keys in _KEYS}})
        self.spawn(
            self.site.module(
                "tests.functional.harness.run_keystone", self.port),
            env={"OS_KEYSTONE_CONFIG_DIR": str(self.folder),
                 "OS_BOOTSTRAP_PASSWORD": self._password})

    def ready(self) -> bool:
        """Whether its administrator gets a token."""
        return bool(keystone_api.token(self.url, self.admin))

    @property
    def authtoken(self) -> services.Settings:
        """What a service is configured with that asks it who calls."""
        return {
            "DEFAULT": {"auth_strategy": "keystone"},
            "keystone_authtoken": {
                "auth_type": "password", "auth_url": self.url,
                "www_authenticate_uri": self.url, "interface": "public",
                "username": "admin",
                "password": self._password,
                "user_domain_id": keystone_api.DOMAIN,
                "system_scope": "all"}}


#: Its key repositories, and the groups of options of that name.
_KEYS = ("fernet_tokens", "fernet_receipts")
