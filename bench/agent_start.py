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
"""What our presence costs an agent on a machine without an accelerator.

Each figure is the least of several fresh Python processes that have imported
the agent before the clock starts: its start (our hardware manager and
extension loaded, and asked whether there is anything) and its inspection
(our collector loaded and run). The peer is the agent itself: what its own
modules take to be imported, in the same processes.
"""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import tempfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measure import results

ROOT = Path(__file__).resolve().parents[1]
#: CPU milliseconds, and how much of the agent's own imports they may be.
GOAL_MS, GOAL_RATIO = 200.0, 0.33

# Runs in a process of its own. It imports the agent, though that is for
# ipa_hardware_manager alone: what the agent costs by itself has to be paid
# before the clock starts.
_CLOCK = """
import sys, time
imported = time.process_time()
import stevedore
from ironic_python_agent import config, hardware, inspector
from ironic_python_agent.extensions import base
from oslo_config import cfg
loaded = len(sys.modules)
used = time.process_time()
{work}
print((time.process_time() - used) * 1000, (used - imported) * 1000,
      len(sys.modules) - loaded)
"""

_ROOT = """
from ipa_hardware_manager import conf
conf.register()
conf.CONF.set_override('root', {root!r}, group='accelerator')
"""

_WORK = {
    'start': _ROOT + """
from ipa_hardware_manager import extension, manager
assert manager.AccelHardwareManager().evaluate_hardware_support() == 0
""",
    'inspection': _ROOT + """
from ipa_hardware_manager import collector
data = {{}}
collector.collect(data, None)
assert data['accelerators']['inventory']['devices'] == []
""",
}


def bare(folder: Path, functions: int) -> None:
    """A sysfs with so many PCI functions, none of them an accelerator."""
    for number in range(functions):
        path = (folder / 'sys/bus/pci/devices'
                / f'0000:{number // 8:02x}:{number % 8:02x}.0')
        path.mkdir(parents=True)
        for name, value in (('vendor', '0x8086'), ('device', '0x7a30'),
                            ('class', '0x060400'),
                            ('subsystem_vendor', '0x8086'),
                            ('subsystem_device', '0x0000')):
            (path / name).write_text(f'{value}\n')


def measure(work: str, root: str) -> tuple[float, float, int]:
    """In a process of its own: CPU milliseconds of the work and of the
    agent's imports, and newly loaded modules."""
    code = _CLOCK.format(work=work.format(root=root))
    ran = subprocess.run(
        [sys.executable, '-c', code], check=True, capture_output=True,
        text=True, timeout=120, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    used, imports, modules = ran.stdout.split()
    return float(used), float(imports), int(modules)


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('--runs', type=int)
    parser.add_argument('--functions', type=int, default=200,
                        help='PCI functions of the machine')
    options = parser.parse_args()
    report = results.report(__file__, __doc__)
    with tempfile.TemporaryDirectory() as folder:
        bare(Path(folder), options.functions)
        for name, work in _WORK.items():
            runs = [measure(work, folder) for _ in range(
                options.runs or (3 if options.quick else 5))]
            (best, _imports, modules) = min(runs)
            peer = results.Peer("the agent's imports",
                                min(imports for _, imports, _ in runs))
            report.add(f"the agent's {name}", best, 'CPU ms',
                       results.ratio_at_most(GOAL_RATIO), peer,
                       options.functions)
            report.add(f"the agent's {name}, by itself", best, 'CPU ms',
                       results.at_most(GOAL_MS), None, options.functions)
            report.add(f"modules that the {name} loads", modules, 'modules',
                       size=options.functions)
    return report.end(options)


if __name__ == '__main__':
    sys.exit(main())
