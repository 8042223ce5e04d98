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

The demo and the lab tests share it. Nothing here imports a room of ours but
the twin's image builders: the lab drives processes and talks REST.
"""

from ironic_accel.lab.ironic_api import NodeStateError
from ironic_accel.lab.lab import Lab
from ironic_accel.lab.process import LabError
from ironic_accel.lab.process import ProcessDied
from ironic_accel.lab.rest import RestError

__all__ = ["Lab", "LabError", "NodeStateError", "ProcessDied", "RestError"]
