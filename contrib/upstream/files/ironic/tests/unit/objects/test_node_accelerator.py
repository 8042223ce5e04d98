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

from ironic import objects
from ironic.tests.unit.db import base as db_base
from ironic.tests.unit.objects import utils as obj_utils


class TestConvertAcceleratorInterface(db_base.DbTestCase):
    """The field of Node 1.45 in objects of other versions."""

    def _node(self, **fields):
        node = obj_utils.get_test_node(self.ctxt, **fields)
        node.obj_reset_changes()
        return node

    def setUp(self):
        super().setUp()
        self.ctxt = self.context

    def test_the_version_that_has_it(self):
        node = self._node()
        delattr(node, 'accelerator_interface')
        node._convert_to_version('1.45')
        self.assertIsNone(node.accelerator_interface)
        self.assertEqual({'accelerator_interface': None},
                         node.obj_get_changes())

    def test_a_value_stays(self):
        node = self._node(accelerator_interface='fake')
        node._convert_to_version('1.45')
        self.assertEqual('fake', node.accelerator_interface)
        self.assertEqual({}, node.obj_get_changes())

    def test_an_earlier_version_over_rpc(self):
        node = self._node(accelerator_interface='fake')
        node._convert_to_version('1.44')
        self.assertNotIn('accelerator_interface', node)
        self.assertEqual({}, node.obj_get_changes())

    def test_an_earlier_version_in_the_database(self):
        node = self._node(accelerator_interface='fake')
        node._convert_to_version('1.44', remove_unavailable_fields=False)
        self.assertIsNone(node.accelerator_interface)
        self.assertEqual({'accelerator_interface': None},
                         node.obj_get_changes())

    def test_it_is_saved(self):
        node = obj_utils.create_test_node(self.ctxt)
        node.accelerator_interface = 'fake'
        node.save()
        self.assertEqual('fake', objects.Node.get(
            self.ctxt, node.uuid).accelerator_interface)
