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

"""The story that the demo plays: real services, simulated machines.

It drives processes and REST alone, like all of the lab; what it prints is
drawn by a face that the caller hands in.
"""

from tests.functional.harness.demo.play import Options
from tests.functional.harness.demo.play import play
from tests.functional.harness.demo.show import Faces

__all__ = ['Faces', 'Options', 'play']
