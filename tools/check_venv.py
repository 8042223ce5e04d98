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

"""Make sure that ``python3 -m venv`` can work, before it is called.

Debian splits ``ensurepip`` off into ``pythonX.Y-venv``. As root the package
is installed, and the script says so; otherwise it names the package.
"""

from __future__ import annotations

import importlib.util
import sys

from tools import debian_packages

MODULE = "ensurepip"


def main() -> int:
    """Return 0 where a virtual environment can be made, else 1."""
    if importlib.util.find_spec(MODULE) is not None:
        return 0
    name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    why = f"a virtual environment needs the module {MODULE}"
    return 0 if debian_packages.install(name, why) else 1


if __name__ == "__main__":
    sys.exit(main())
