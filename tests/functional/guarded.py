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

"""A real Ironic behind a real Keystone, and the users of it.

Each role is held in four places: the system, the project of the node's owner,
that of its lessee, and one to which the node does not belong.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import pathlib
from typing import Any

from tests import commands
from tests.functional import stage
from tests.functional.harness import ironic as ironic_service
from tests.functional.harness import ironic_api
from tests.functional.harness import keystone as keystone_service
from tests.functional.harness import keystone_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests import roles_page

#: The administrator of a project that neither owns nor leases the node.
STRANGER = 'stranger'
#: Who uses the commands: a role, and where it is held.
ADMIN, OWNER, LESSEE = 'admin system', 'member owner', 'manager lessee'
OUTSIDER = f'admin {STRANGER}'
#: Who uses the commands, besides those of the last test.
PEOPLE = (ADMIN, OWNER, LESSEE, OUTSIDER)


@dataclasses.dataclass
class Site:
    """Ironic behind Keystone, two nodes, and the users.

    :ivar free: a manageable node.
    :ivar used: an active one.
    :ivar users: by ``ROLE PLACE``.
    :ivar policy: the ``policy.yaml`` of API and conductor.
    :ivar tokens: of those who have logged in.
    """

    ironic: ironic_service.Ironic
    keystone: keystone_service.Keystone
    free: Machine
    used: Machine
    users: Mapping[str, keystone_api.Account]
    policy: pathlib.Path
    tokens: dict[str, str] = dataclasses.field(default_factory=dict)

    def token(self, who: str) -> str:
        """The token of one of the users, who logs in once."""
        if who not in self.tokens:
            self.tokens[who] = keystone_api.token(
                self.keystone.url, self.users[who])
        return self.tokens[who]

    def api(self, who: str) -> ironic_api.IronicApi:
        """Ironic as one of the users."""
        return ironic_api.IronicApi(self.ironic.url, self.token(who))

    def clouds(self) -> dict[str, Any]:
        """A ``clouds.yaml`` with those who use the commands.

        By a token each; ``WHO by password`` logs in anew.
        """
        return {'clouds': {
            **{who: {'auth_type': 'admin_token', 'auth': {
                'endpoint': self.ironic.url, 'token': self.token(who)}}
               for who in PEOPLE},
            **{f'{who} by password': self.users[who].cloud(self.keystone.url)
               for who in PEOPLE}}}

    def run(self, who: str, *words: str) -> commands.Told:
        """Run ``baremetal accelerator`` as one of the users."""
        return commands.bare('--max-retries', '5', '--os-cloud', who,
                             'accelerator', *words)


@contextlib.contextmanager
def opened(lab: Lab) -> Iterator[Site]:
    """Keystone and one more Ironic, as long as the block."""
    with contextlib.ExitStack() as stack:
        keystone = lab.start_keystone()
        stack.callback(keystone.stop)
        policy = lab.folder / 'policy.yaml'
        policy.write_text('{}', 'utf-8')
        ironic = lab.ironic_on(None, 'guarded', {
            'oslo_policy': {'policy_file': policy}}, keystone)
        stack.callback(ironic.stop)
        keystone.api.create_endpoint('baremetal', ironic.url)
        projects = {place: keystone.api.create_project(place) for place in (
            'owner', 'lessee', STRANGER)}
        users = {f'{role} {place}': account for role in roles_page.ROLES
                 for place, account in keystone.api.create_accounts(
                     role, {'system': None, **projects}).items()}

        def make(*arguments: str, **fields: Any) -> Machine:
            made = lab.machine(*arguments, into=ironic, **{
                'owner': projects['owner'], 'lessee': projects['lessee'],
                **fields})
            stack.callback(made.remove)
            return made

        free, used = stage.hgxs(make, stage.SCALE, stage.SCALE)
        for machine in (free, used):
            stage.refresh(machine)
        ironic.api.patch_node(used.uuid, instance_info={
            'image_source': 'http://127.0.0.1:9/image', 'image_checksum':
            '0' * 32, 'capabilities': {'boot_option': 'local'}})
        ironic.api.set_provision(used.uuid, 'adopt')
        ironic.api.wait_state(used.uuid, 'active')
        yield Site(ironic, keystone, free, used, users, policy)
