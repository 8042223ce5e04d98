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

from http import client as http_client
from unittest import mock

from ironic.api.controllers import base as api_base
from ironic.api.schemas.v1 import driver as driver_schema
from ironic.common import exception
from ironic.conductor import rpcapi
from ironic import objects
from ironic.tests.unit.api import base as test_api_base
from ironic.tests.unit.objects import utils as obj_utils

OLD = {api_base.Version.string: '1.115'}
NEW = {api_base.Version.string: '1.116'}


class TestNodeField(test_api_base.BaseApiTest):

    def setUp(self):
        super().setUp()
        self.node = obj_utils.create_test_node(
            self.context, accelerator_interface='fake')
        for name in ('get_topic_for', 'update_node'):
            patcher = mock.patch.object(rpcapi.ConductorAPI, name,
                                        autospec=True)
            setattr(self, name, patcher.start())
            self.addCleanup(patcher.stop)
        self.get_topic_for.return_value = 'test-topic'
        self.update_node.return_value = self.node

    def _patch(self, headers, value='fake'):
        return self.patch_json(
            f'/nodes/{self.node.uuid}',
            [{'path': '/accelerator_interface', 'value': value,
              'op': 'add'}], headers=headers, expect_errors=True)

    def test_it_is_shown(self):
        found = self.get_json(f'/nodes/{self.node.uuid}', headers=NEW)
        self.assertEqual('fake', found['accelerator_interface'])

    def test_it_is_hidden_from_earlier_versions(self):
        found = self.get_json(f'/nodes/{self.node.uuid}', headers=OLD)
        self.assertNotIn('accelerator_interface', found)

    def test_it_is_selected(self):
        path = f'/nodes/{self.node.uuid}?fields=accelerator_interface'
        self.assertEqual('fake', self.get_json(
            path, headers=NEW)['accelerator_interface'])
        self.assertEqual(http_client.NOT_ACCEPTABLE, self.get_json(
            path, headers=OLD, expect_errors=True).status_int)

    def test_it_is_changed(self):
        self.assertEqual(http_client.OK, self._patch(NEW).status_code)
        self.assertEqual('fake', self.update_node.call_args.args[
            2].accelerator_interface)

    def test_it_is_not_changed_in_an_earlier_version(self):
        self.assertEqual(http_client.NOT_ACCEPTABLE,
                         self._patch(OLD).status_code)
        self.assertFalse(self.update_node.called)

    def test_it_is_text(self):
        self.assertEqual(http_client.BAD_REQUEST,
                         self._patch(NEW, ['fake']).status_code)

    @mock.patch.object(rpcapi.ConductorAPI, 'do_node_clean', autospec=True)
    def test_a_step_of_it_is_accepted(self, clean):
        self.node.provision_state = 'manageable'
        self.node.save()
        step = {'interface': 'accelerator', 'step': 'apply_profile',
                'args': {'profile': 'gold'}}
        answer = self.put_json(
            f'/nodes/{self.node.uuid}/states/provision',
            {'target': 'clean', 'clean_steps': [step]}, headers=NEW)
        self.assertEqual(http_client.ACCEPTED, answer.status_code)
        self.assertEqual([step], clean.call_args.args[3])


class TestDriverFields(test_api_base.BaseApiTest):

    KEYS = ('default_accelerator_interface', 'enabled_accelerator_interfaces')

    def setUp(self):
        super().setUp()
        self.dbapi.register_conductor(
            {'hostname': 'host', 'drivers': ['fake-hardware'],
             'version': objects.Conductor.VERSION})
        self.dbapi.register_conductor_hardware_interfaces(
            self.dbapi.get_conductor('host').id, [
                {'hardware_type': 'fake-hardware', 'default': True,
                 'interface_type': 'accelerator', 'interface_name': 'fake'}])

    def test_they_are_shown(self):
        found = self.get_json('/drivers/fake-hardware', headers=NEW)
        self.assertEqual(['fake', ['fake']], [found[k] for k in self.KEYS])
        found = self.get_json('/drivers?detail=True', headers=NEW)
        self.assertEqual('fake', found['drivers'][0][self.KEYS[0]])

    def test_they_are_hidden_from_earlier_versions(self):
        found = self.get_json('/drivers/fake-hardware', headers=OLD)
        self.assertFalse(set(self.KEYS) & set(found))

    def test_they_are_selected(self):
        path = f'/drivers/fake-hardware?fields={self.KEYS[0]}'
        self.assertEqual('fake', self.get_json(
            path, headers=NEW)[self.KEYS[0]])
        self.assertEqual(http_client.BAD_REQUEST, self.get_json(
            path, headers=OLD, expect_errors=True).status_int)

    def test_the_schemas(self):
        for name in self.KEYS:
            self.assertNotIn(name, driver_schema.show_response_body_v86[
                'properties'])
            self.assertIn(name, driver_schema.show_response_body_v116[
                'properties'])


class TestUnknownInterface(test_api_base.BaseApiTest):

    @mock.patch.object(rpcapi.ConductorAPI, 'get_topic_for', autospec=True)
    @mock.patch.object(rpcapi.ConductorAPI, 'update_node', autospec=True)
    def test_the_error_of_the_conductor(self, update, topic):
        node = obj_utils.create_test_node(self.context)
        topic.return_value = 'test-topic'
        update.side_effect = exception.InterfaceNotFoundInEntrypoint(
            iface='scoop', entrypoint='x', valid='fake')
        answer = self.patch_json(
            f'/nodes/{node.uuid}',
            [{'path': '/accelerator_interface', 'value': 'scoop',
              'op': 'add'}], headers=NEW, expect_errors=True)
        self.assertEqual(http_client.BAD_REQUEST, answer.status_code)
