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
"""How long the report's page of a large fleet takes to open.

For each number of nodes in all statuses, most of them with eight GPUs: the
size of the page in MiB; the CPU seconds to make it; the milliseconds until
headless Chromium has it ready for use (from the start of the navigation), and
those until a search over all of it is drawn. Each is the median of five runs:
what else the machine does counts for the browser. There is no peer.
"""

from __future__ import annotations

import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import results

from ironic_accel.faces.osc.report import html_report
from tests.faces import browser
from tests.faces import fleet

SIZES, QUICK = (100, 500, 2000), (2, 4, 8)
#: Milliseconds until the page is ready.
GOAL_MS = 2000.0
#: The exponent of what grows with the nodes: linear, and some noise.
LINEAR = 1.2
RUNS = 5

SEARCH = ("{ const start = performance.now(), find = "
          "document.getElementById('search'); find.value = 'critical'; "
          "find.dispatchEvent(new Event('input')); document.body.offsetHeight;"
          " document.getElementById('picture').getContext('2d')"
          '.getImageData(0, 0, 1, 1); performance.now() - start }')


def measure(nodes: int, folder: pathlib.Path, rounds: int,
            report: results.Report) -> dict[str, tuple[float, str]]:
    """The figures of a fleet, and their units."""
    fleet_of = fleet.report(nodes)
    path = folder / f'{nodes}.html'
    runs = []
    for _ in range(rounds):
        start = time.process_time()
        text = html_report.render(fleet_of)
        made = time.process_time() - start
        path.write_text(text, 'utf-8')
        with browser.browser() as opened:
            opened.open(path.as_uri(), 1400, 1000)
            runs.append((made, float(opened.run(
                'document.body.dataset.ready')), float(opened.run(SEARCH))))
    made, ready, search = map(statistics.median, zip(*runs, strict=True))
    figures = {'size of the page': (path.stat().st_size / 2**20, 'MiB'),
               'making the page': (made, 'CPU s'),
               'until the page is ready': (ready, 'ms'),
               'a search': (search, 'ms')}
    for name, (figure, unit) in figures.items():
        report.add(name, figure, unit, results.at_most(GOAL_MS)
                   if unit == 'ms' else None, size=nodes)
    return figures


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('nodes', nargs='*', type=int, metavar='NODES',
                        help='numbers of nodes')
    options = parser.parse_args()
    report = results.report(__file__, __doc__)
    if browser.find() is None:
        report.skip('everything', "Debian's package chromium is missing")
        return report.end(options)
    costs: dict[str, dict[int, float]] = {}
    units: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for nodes in sorted(options.nodes) or (
                QUICK if options.quick else SIZES):
            for name, (figure, unit) in measure(
                    nodes, pathlib.Path(folder),
                    1 if options.quick else RUNS, report).items():
                costs.setdefault(name, {})[nodes] = figure
                units[name] = unit
    for name, each in costs.items():
        report.growth(name, each, units[name], results.at_most(LINEAR))
    return report.end(options)


if __name__ == '__main__':
    sys.exit(main())
