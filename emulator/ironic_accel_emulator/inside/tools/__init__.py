# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Simulated vendor tools: executables that share one state.

``install`` writes small executables with the names of the real tools into a
folder for PATH. Each reads and changes the cards in one state file
(``state``), and prints the output of the real tool; each module names the
source of the output. None of them accesses a device.
"""

from __future__ import annotations

import importlib
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ironic_accel_emulator.inside.tools.state import State

#: Module and function of each tool, by the name of its executable.
TOOLS: dict[str, tuple[str, str]] = {
    'mstflint': ('mellanox', 'flint'),
    'mstconfig': ('mellanox', 'config'),
    'mstfwreset': ('mellanox', 'fwreset'),
    'nvidia-smi': ('nvidia', 'smi'),
    'nvidia_gpu_tools.py': ('nvidia', 'admin'),
    'xpu-smi': ('intel', 'xpu_smi'),
    'amd-smi': ('amd', 'smi'),
    'xbmgmt': ('amd', 'xbmgmt'),
    'fwupdmgr': ('generic', 'fwupdmgr'),
    'fpgainfo': ('generic', 'fpgainfo'),
    'fpgasupdate': ('generic', 'fpgasupdate'),
    'rsu': ('generic', 'rsu'),
    'hl-smi': ('generic', 'hl_smi'),
    'hl-fw-loader': ('generic', 'hl_fw_loader'),
    'bfb-install': ('bluefield', 'install'),
}

# A tool is started many times, so the parent packages are registered without
# running their __init__ modules, and without site-packages.
_SCRIPT = """#!{python} -IS
import sys
import types
for name, path in {parents!r}:
    module = types.ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
from ironic_accel_emulator.inside.tools import main
sys.exit(main({tool!r}, {state!r}, sys.argv[1:]))
"""


def install(
    folder: Path, state: Path, tools: Iterable[str] = tuple(TOOLS)
) -> None:
    """Write the executables of some tools into a folder.

    :param state: the state file that they share (see ``state.State``).
    """
    here = Path(__file__).resolve().parent
    parents = [
        ('ironic_accel_emulator', str(here.parents[1])),
        ('ironic_accel_emulator.inside', str(here.parents[0])),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for tool in tools:
        if tool not in TOOLS:
            known = ', '.join(TOOLS)
            raise ValueError(f'tool: {tool!r}: expected one of {known}')
        path = folder / tool
        path.write_text(
            _SCRIPT.format(
                python=sys.executable,
                parents=parents,
                tool=tool,
                state=str(state),
            )
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP)


def main(tool: str, state: str, argv: Sequence[str]) -> int:
    """Run a tool; returns its exit status."""
    shared = State(Path(state))
    trouble = shared.called(tool, argv)
    if trouble == 'hang':
        shared.hang()
    if trouble == 'garble':
        sys.stdout.write('\x00\x07{"%% Segmentation :: fault [[[\n')
        return 0
    module, name = TOOLS[tool]
    play = getattr(importlib.import_module(f'{__name__}.{module}'), name)
    status: int = play(shared, list(argv), trouble)
    return status
