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

from unittest import mock

from ironic.common import exception
from ironic.conductor import steps as conductor_steps
from ironic.conductor import task_manager
from ironic.drivers.modules import fake
from ironic.tests.unit.db import base as db_base
from ironic.tests.unit.objects import utils as obj_utils

STEP = {'interface': 'accelerator', 'step': 'apply_profile',
        'args': {'profile': 'gold'}}

#: As an implementation outside of Ironic declares it.
DECLARED = {'interface': 'accelerator', 'step': 'apply_profile',
            'priority': 0, 'abortable': False, 'argsinfo': {
                'profile': {'description': 'A profile.', 'required': True}}}


class AcceleratorStepsTestCase(db_base.DbTestCase):

    def setUp(self):
        super().setUp()
        self.node = obj_utils.create_test_node(
            self.context, driver='fake-hardware',
            accelerator_interface='fake')

    def test_it_goes_before_the_vendor_interface(self):
        for table in (conductor_steps.CLEANING_INTERFACE_PRIORITY,
                      conductor_steps.DEPLOYING_INTERFACE_PRIORITY,
                      conductor_steps.SERVICING_INTERFACE_PRIORITY):
            self.assertEqual(
                ['accelerator', 'vendor'],
                sorted((n for n in table if n != 'network'),
                       key=lambda n: -table[n])[:2])
        self.assertIn('accelerator',
                      conductor_steps.VERIFYING_INTERFACE_PRIORITY)

    def test_a_cleaning(self):
        with task_manager.acquire(self.context, self.node.uuid) as task:
            found = conductor_steps._validate_user_clean_steps(task, [STEP])
        self.assertEqual([('accelerator', 'apply_profile')], [
            (s['interface'], s['step']) for s in found])

    @mock.patch.object(fake.FakeAccelerator, 'get_deploy_steps',
                       autospec=True)
    def test_a_deployment(self, steps):
        steps.return_value = [DECLARED]
        wanted = dict(STEP, priority=150)
        with task_manager.acquire(self.context, self.node.uuid) as task:
            found = conductor_steps._validate_user_deploy_steps(
                task, [wanted])
        self.assertEqual([('accelerator', 150)], [
            (s['interface'], s['priority']) for s in found])

    @mock.patch.object(fake.FakeAccelerator, 'get_service_steps',
                       autospec=True)
    def test_a_service(self, steps):
        steps.return_value = [DECLARED]
        with task_manager.acquire(self.context, self.node.uuid) as task:
            found = conductor_steps._validate_user_service_steps(
                task, [STEP])
        self.assertEqual(['apply_profile'], [s['step'] for s in found])

    def test_the_argument_is_required(self):
        with task_manager.acquire(self.context, self.node.uuid) as task:
            self.assertRaisesRegex(
                exception.InvalidParameterValue, 'profile',
                conductor_steps._validate_user_clean_steps, task,
                [{'interface': 'accelerator', 'step': 'apply_profile'}])

    def test_a_node_without_one(self):
        self.node.accelerator_interface = 'no-accelerator'
        self.node.save()
        with task_manager.acquire(self.context, self.node.uuid) as task:
            self.assertRaises(
                exception.InvalidParameterValue,
                conductor_steps._validate_user_clean_steps, task, [STEP])

    @mock.patch.object(fake.FakeAccelerator, 'get_verify_steps',
                       autospec=True)
    def test_verification(self, steps):
        steps.return_value = [{'interface': 'accelerator', 'priority': 10,
                               'step': 'verify'}]
        with task_manager.acquire(self.context, self.node.uuid) as task:
            found = conductor_steps._get_verify_steps(task, enabled=True)
        self.assertIn('verify', [s['step'] for s in found])
