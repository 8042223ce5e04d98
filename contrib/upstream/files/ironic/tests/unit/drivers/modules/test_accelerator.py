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

from ironic.common import driver_factory
from ironic.common import exception
from ironic.conductor import task_manager
from ironic.drivers import base
from ironic.drivers import hardware_type
from ironic.drivers.modules import fake
from ironic.drivers.modules import noop
from ironic.tests.unit.db import base as db_base
from ironic.tests.unit.objects import utils as obj_utils


class AcceleratorInterfaceTestCase(db_base.DbTestCase):

    def _node(self, name):
        return obj_utils.create_test_node(
            self.context, driver='fake-hardware', accelerator_interface=name)

    def test_it_is_a_type_of_its_own(self):
        self.assertIn('accelerator', base.ALL_INTERFACES)
        self.assertIn('accelerator', base.BareDriver().optional_interfaces)
        self.assertEqual('accelerator',
                         base.AcceleratorInterface.interface_type)

    def test_no_accelerator_is_the_default(self):
        supported = hardware_type.AbstractHardwareType.\
            supported_accelerator_interfaces
        self.assertEqual([noop.NoAccelerator], supported.fget(None))

    def test_default_of_a_type(self):
        self.config(enabled_accelerator_interfaces=['no-accelerator'])
        self.assertEqual('no-accelerator', driver_factory.default_interface(
            driver_factory.get_hardware_type('manual-management'),
            'accelerator'))

    def test_noop(self):
        node = self._node('no-accelerator')
        with task_manager.acquire(self.context, node.uuid) as task:
            found = task.driver.accelerator
            self.assertIsInstance(found, noop.NoAccelerator)
            self.assertEqual({}, found.get_properties())
            self.assertEqual([], found.get_clean_steps(task))
            self.assertRaises(exception.UnsupportedDriverExtension,
                              found.validate, task)
            self.assertRaises(exception.UnsupportedDriverExtension,
                              found.apply_profile, task, 'gold')
            self.assertRaises(exception.UnsupportedDriverExtension,
                              found.refresh_traits, task)

    def test_fake(self):
        node = self._node('fake')
        with task_manager.acquire(self.context, node.uuid) as task:
            found = task.driver.accelerator
            self.assertIsInstance(found, fake.FakeAccelerator)
            found.validate(task)
            self.assertIsNone(found.execute_clean_step(task, {
                'step': 'apply_profile', 'interface': 'accelerator',
                'args': {'profile': 'gold'}}))
            self.assertIsNone(found.refresh_traits(task))
            self.assertEqual([
                ('accelerator', 'apply_profile', 0, False),
                ('accelerator', 'refresh_traits', 0, False)], sorted(
                    (s['interface'], s['step'], s['priority'],
                     s['requires_ramdisk'])
                    for s in found.get_clean_steps(task)))

    def test_a_name_that_is_not_enabled(self):
        node = obj_utils.get_test_node(
            self.context, driver='fake-hardware',
            accelerator_interface='scoop')
        self.assertRaises(exception.InterfaceNotFoundInEntrypoint,
                          driver_factory.check_and_update_node_interfaces,
                          node)
