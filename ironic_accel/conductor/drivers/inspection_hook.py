# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The inspection hook ``accelerator-traits``.

For ``[inspector]hooks`` and ``[redfish]inspection_hooks``, at any place
among the other hooks.
"""

from __future__ import annotations

from typing import Any

from ironic.drivers.modules.inspector.hooks import base
from oslo_log import log

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.drivers.vendor import Accelerator
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import inspection
from ironic_accel.conductor.publication import properties
from ironic_accel.model.errors import AccelError

LOG = log.getLogger(__name__)


class AcceleratorTraits(base.InspectionHook):
    """Publishes record, traits, firmware components and properties of an
    inspection.

    A node with another driver gets the property only. Errors are stored in the
    result and logged; they never fail the inspection of the node.
    """

    def preprocess(self, task: Any, inventory: dict[str, Any],
                   plugin_data: dict[str, Any]) -> None:
        """Note the node's properties, before other hooks save it."""
        properties.hold(task)

    def __call__(self, task: Any, inventory: dict[str, Any],
                 plugin_data: dict[str, Any]) -> None:
        """Publish what was found.

        :param inventory: read only.
        :param plugin_data: what is stored of the accelerators is put into
            it, in place of what the collector sent.
        """
        try:
            _process(task, inventory, plugin_data)
        except saving.NotOurs as exc:
            LOG.warning('Skipping the accelerators in the inspection of node '
                        '%(node)s: '
                        '%(why)s', {'node': task.node.uuid, 'why': exc})
        except AccelError as exc:
            LOG.warning('Failed to inspect the accelerators of node %(node)s: '
                        '%(why)s', {
                            'node': task.node.uuid, 'why': exc})
            inspection.failed(task.node, str(exc))
        except Exception as exc:
            # Ironic fails the whole inspection for any exception of a hook, so
            # none may escape. The text of an unknown exception may contain
            # secrets: it is logged only.
            LOG.exception('Failed to inspect the accelerators of node %s',
                          task.node.uuid)
            inspection.failed(task.node, f'{type(exc).__name__}, see the log '
                                         'of the conductor')


def _process(task: Any, inventory: dict[str, Any],
             plugin_data: dict[str, Any]) -> None:
    ours = bool(declared_steps.interface_type(task.driver, Accelerator))
    if ours:
        seen = inspection.take(task, plugin_data)
    else:
        LOG.info('Node %(node)s has vendor interface %(name)s, which is not '
                 'an accelerator interface: setting properties/accelerators '
                 'only, no traits', {
                     'node': task.node.uuid,
                     'name': task.node.vendor_interface})
        seen = inspection.sent(plugin_data)
    if seen is not None:
        reported = plugin_data if plugin_data.get('pci_devices') else (
            inventory)
        properties.put(task, properties.listed(
            seen, catalogue.catalogue(), reported), ours)
    saving.save(task.node, forget=not ours)
