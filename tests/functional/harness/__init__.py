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

"""Real services as processes on loopback, around simulated BMCs.

The demo and the functional tests share it. Nothing here imports the product:
the lab drives processes and talks REST; of the emulator it uses the builders
of images and the state of the simulated tools.
"""

from tests.functional.harness.ironic_api import NodeStateError
from tests.functional.harness.lab import Lab
from tests.functional.harness.process import LabError
from tests.functional.harness.process import ProcessDied
from tests.functional.harness.rest import RestError

__all__ = ["Lab", "LabError", "NodeStateError", "ProcessDied", "RestError"]
