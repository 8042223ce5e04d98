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

"""The calls of Ironic's API that the commands make.

Every call returns its result or raises one of the errors of
``osc.errors``, which name the node and say what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import logging
from typing import Any

from ironicclient.common import http
from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import errors
from ironic_accel.model import errors as model_errors

LOG = logging.getLogger(__name__)

Document = Mapping[str, Any]

#: The vendor interfaces with the accelerator passthru methods.
VENDOR_INTERFACES = frozenset({
    'accelerator', 'accelerator-idrac', 'accelerator-ipmi'})


class Ironic:
    """The Bare Metal API of one cloud.

    :param client: an ``ironicclient.v1.client.Client``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def retries(self) -> tuple[int, int]:
        """How often, and after how many seconds each, a request is repeated.

        The client repeats those that Ironic answers with 409
        (``--max-retries``, ``--retry-interval``; ironicclient/common/http.py,
        with_retries).
        """
        number = self._client.http_client.conflict_max_retries
        pause = self._client.http_client.conflict_retry_interval
        return (http.DEFAULT_MAX_RETRIES if number is None else number,
                http.DEFAULT_RETRY_INTERVAL if pause is None else pause)

    def node(self, ref: str) -> dict[str, Any]:
        """One node by name or UUID."""
        with errors.worded('read the node', ref):
            return dict(self._client.node.get(ref).to_dict())

    def managed(self, ref: str) -> dict[str, Any]:
        """One node on which accelerator management is enabled.

        :raises: CommandError with the command that enables it.
        """
        node = self.node(ref)
        check_managed(node, ref)
        return node

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes that the caller may see, with child nodes."""
        with errors.worded('list the nodes'):
            return [dict(n.to_dict()) for n in self._client.node.list(
                detail=True, limit=0, include_children=True)]

    def nodes_with(self, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Some fields of all nodes that the caller may see, no children."""
        with errors.worded('list the nodes'):
            return [dict(n.to_dict()) for n in self._client.node.list(
                fields=list(fields), limit=0)]

    def children(self, uuid: str) -> list[dict[str, Any]]:
        """The child nodes of a node that the caller may see."""
        with errors.worded('list its child nodes', uuid):
            return [dict(n.to_dict()) for n in self._client.node.list(
                detail=True, limit=0, parent_node=uuid)]

    def traits(self, ref: str) -> list[str]:
        """The names of a node's traits."""
        with errors.worded('read its traits', ref):
            return sorted(self._client.node.get_traits(ref))

    def firmware(self, ref: str) -> list[dict[str, Any]]:
        """The firmware components (``baremetal node firmware list``)."""
        with errors.worded('read its firmware components', ref):
            return list(self._client.node.list_firmware_components(ref))

    def inventory(self, ref: str) -> dict[str, Any]:
        """The inspection data of a node.

        :raises: Missing if none is stored.
        """
        with errors.worded('read its inventory', ref):
            return dict(self._client.node.get_inventory(ref))

    def history(self, ref: str) -> list[dict[str, Any]]:
        """The events of a node's history, oldest first."""
        with errors.worded('read its history', ref):
            return list(self._client.node.get_history_list(ref, detail=True))

    def get(self, ref: str, method: str) -> dict[str, Any]:
        """Call a passthru method by GET."""
        with errors.worded(f'call {method}', ref):
            return dict(self._client.node.vendor_passthru(
                ref, method, http_method='GET').to_dict())

    def post(self, ref: str, method: str, **args: Any) -> dict[str, Any]:
        """Call a passthru method by POST."""
        with errors.worded(f'call {method}', ref):
            return dict(self._client.node.vendor_passthru(
                ref, method, args, http_method='POST').to_dict())

    def check_passthru(self, ref: str) -> None:
        """Check that the caller may call passthru methods of a node.

        The list of the methods has the policy of a call
        (ironic/api/controllers/v1/node.py, NodeVendorPassthruController), and
        every vendor interface has one. The policy is asked first: any other
        error is not about the caller, and no conductor may serve the driver
        that a node is to be taken from.

        :raises: Denied if not.
        """
        try:
            with errors.worded('call passthru methods', ref):
                self._client.node.get_vendor_passthru_methods(ref)
        except errors.Denied:
            raise
        except CommandError as error:
            LOG.debug('the passthru methods of node %s are not known: %s',
                      ref, error)

    def patch(self, ref: str, changes: Sequence[Document]) -> None:
        """Change fields of a node in one request."""
        with errors.worded('change its driver and interfaces', ref):
            self._client.node.update(ref, list(changes))

    def provision(self, ref: str, target: str, **options: Any) -> None:
        """Request a provision state."""
        with errors.worded(f'request {target}', ref):
            self._client.node.set_provision_state(ref, target, **options)

    def maintenance(self, ref: str, on: bool, why: str = '') -> None:
        """Set or unset the maintenance of a node."""
        with errors.worded('set its maintenance', ref):
            self._client.node.set_maintenance(
                ref, on, maint_reason=why or None)

    def deploy_template(self, name: str) -> dict[str, Any]:
        """A deploy template by name.

        :raises: Missing if there is none.
        """
        with errors.worded(f'read deploy template {name}'):
            return dict(self._client.deploy_template.get(name).to_dict())

    def create_deploy_template(self, body: Document) -> dict[str, Any]:
        """Create a deploy template."""
        with errors.worded(f"create deploy template {body['name']}"):
            return dict(self._client.deploy_template.create(**body).to_dict())

    def update_deploy_template(self, name: str,
                               changes: Sequence[Document]) -> None:
        """Change fields of a deploy template in one request."""
        with errors.worded(f'change deploy template {name}'):
            self._client.deploy_template.update(name, list(changes))

    @property
    def has_runbook_traits(self) -> bool:
        """Whether runbooks have traits: API 1.112, and a client that has it.

        The version is known after a request, which negotiates it.
        """
        minor = str(self._client.http_client.os_ironic_api_version
                    ).rpartition('.')[2]
        return hasattr(self._client.runbook, 'get_traits') and not (
            minor.isdecimal() and int(minor) < 112)

    def runbook(self, name: str) -> dict[str, Any]:
        """A runbook by name, with its traits if runbooks have such.

        :raises: Missing if there is none.
        """
        with errors.worded(f'read runbook {name}'):
            found = dict(self._client.runbook.get(name).to_dict())
            if self.has_runbook_traits:
                found['traits'] = list(self._client.runbook.get_traits(name))
            return found

    def create_runbook(self, body: Document) -> dict[str, Any]:
        """Create a runbook, which has no traits yet."""
        with errors.worded(f"create runbook {body['name']}"):
            # RunbookManager.create of the client refuses disable_ramdisk (up
            # to 6.0; ironicclient/v1/runbook.py).
            _, created = self._client.http_client.json_request(
                'POST', '/v1/runbooks', body=dict(body))
            return dict(created)

    def update_runbook(self, name: str, changes: Sequence[Document]) -> None:
        """Change fields of a runbook in one request."""
        with errors.worded(f'change runbook {name}'):
            self._client.runbook.update(name, list(changes))

    def add_runbook_trait(self, name: str, trait: str) -> None:
        """Let a runbook be used for nodes with a trait."""
        with errors.worded(f'add trait {trait} to runbook {name}'):
            self._client.runbook.add_trait(name, trait)

    def hardware_types(self) -> set[str]:
        """The hardware types of all active conductors."""
        with errors.worded('list the drivers'):
            return {d.name for d in self._client.driver.list()}


def is_managed(node: Document) -> bool:
    """Whether a node has an accelerator vendor interface."""
    return node.get('vendor_interface') in VENDOR_INTERFACES


def held(node: Document, children: Iterable[Document]) -> str | None:
    """Who holds a node, as far as the caller may see it, or None.

    A hold on a child node (a DPU) holds its parent too: the operations of
    the parent write to the DPU.
    """
    hold = keys.HOLD.read(info(node))
    if hold:
        return model_errors.held(hold)
    for child in children:
        hold = keys.HOLD.read(info(child))
        if hold and child.get('parent_node') == node['uuid']:
            name = child.get('name') or child['uuid']
            return f'child node {name} is {model_errors.held(hold)}'
    return None


def check_managed(node: Document, ref: str) -> None:
    """Check that accelerator management is enabled on a node.

    :raises: CommandError with the command that enables it.
    """
    if not is_managed(node):
        raise CommandError(
            f'node {ref} is not managed by ironic-accel (driver '
            f"{node.get('driver')}, vendor interface "
            f"{node.get('vendor_interface')}); next: baremetal accelerator "
            f'enable {ref}')


def readable(node: Document, field: str) -> str | None:
    """A text of a node, or None if there is none or it is redacted.

    Ironic's API puts a text that begins with two asterisks in the place of a
    ``last_error`` or ``reservation`` that the caller may not read, whether
    there is one or not (node_sanitize, see ``info``).
    """
    found = node.get(field)
    if not found or str(found).startswith('** '):
        return None
    return str(found)


def info(node: Document) -> Mapping[str, Any] | None:
    """The ``driver_internal_info`` of a node, or None if it is redacted.

    Ironic's API returns a text under ``content`` in its place
    (ironic/api/controllers/v1/node.py, node_sanitize).
    """
    found = node.get('driver_internal_info')
    if not isinstance(found, Mapping) or set(found) == {'content'}:
        return None
    return found
