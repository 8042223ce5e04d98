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

"""Set boost mode of an Acme A1 inside an instance (driver guide, chapter 2).

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7.
"""

from typing import Any

VALUE = str
ORDER = 10


def set_mode(card: Any, wanted: str, patience: float) -> bool:
    """Set the mode; whether it was changed."""
    card.await_file('acme/boost', patience)
    if card.read('acme/boost') == wanted:
        return False
    card.write('acme/boost', wanted)
    card.check('acme/boost', wanted)
    return True
