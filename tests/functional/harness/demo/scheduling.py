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

"""Chapter 9, on request: real Nova schedules by what was proved."""

from __future__ import annotations

import time

from tests.functional.harness import chain as chain_mod
from tests.functional.harness import nova_api
from tests.functional.harness.demo import cast as cast_mod
from tests.functional.harness.demo import profiles
from tests.functional.harness.demo import proving
from tests.functional.harness.demo import watch
from tests.functional.harness.demo.cast import apply_step
from tests.functional.harness.demo.cast import Cast
from tests.functional.harness.demo.show import Show

CAN_SECURE = 'CUSTOM_ACCEL_CAN_HGX_SECURE'


def nine_nova(show: Show, crew: Cast) -> None:
    """A server's flavor names a trait; its node is converted on the way."""
    show.chapter(9, 'Nova: a flavor asks for what was proved')
    chain = chain_mod.Chain(crew.lab)
    machine, api = crew[cast_mod.HGX], crew.lab.ironic.api
    watch.refresh(show, [machine])
    api.create_deploy_template(CAN_SECURE, [
        {**apply_step(profiles.SECURE), 'priority': 150}])
    chain.make_bootable(machine)
    api.provide(machine.uuid)
    chain.wait_offered(machine.uuid, CAN_SECURE)
    # A provider from before is offered before it has the new traits.
    chain.wait_traits(machine.uuid)
    show.expect(chain.published(machine.uuid) == crew.traits(cast_mod.HGX),
                'Nova has published the node\'s traits and no others of '
                'that kind', sorted(chain.published(machine.uuid)))
    flavor = chain.flavor([CAN_SECURE], [chain_mod.DEGRADED])
    show.line(f'flavor: resources:{chain_mod.RESOURCE_CLASS}=1, '
              f'trait:{CAN_SECURE}=required, '
              f'trait:{chain_mod.DEGRADED}=forbidden')
    began = time.monotonic()
    server = chain.nova.api.create_server(flavor)
    node = api.wait_node(machine.uuid, 'the deploy to begin', lambda node: (
        node['provision_state'] not in watch.RESTING))
    show.expect(node['instance_uuid'] == server,
                f'Nova puts the server on {cast_mod.HGX}', node)
    watch.follow(show, machine)
    chain.wait_active(server, began, 'server, converted on the way,')
    show.expect(proving.IS_SECURE in crew.traits(cast_mod.HGX),
                f'the server is ACTIVE, and its node {proving.IS_SECURE}',
                sorted(crew.traits(cast_mod.HGX)))
    changed = time.monotonic()
    chain.note('traits to Placement', chain.wait_traits(
        machine.uuid, changed).seconds)
    _no_second(show, chain, flavor)
    show.rows('Figures', ('What', 'Seconds'),
              [figure.rsplit(': ', 1) for figure in chain.figures])


def _no_second(show: Show, chain: chain_mod.Chain, flavor: str) -> None:
    server = chain.nova.api.create_server(flavor)
    try:
        chain.nova.api.wait_server(server)
        fault = 'it became ACTIVE'
    except nova_api.ServerStateError as error:
        fault = str(error.server.get('fault', {}).get('message'))
    show.expect('No valid host' in fault,
                'another server of that flavor: No valid host', fault)
