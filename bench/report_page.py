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

    bench/report_page.py [NODES...]

Prints, for each number of nodes in all statuses, most of them with eight
GPUs: the size of the page in MiB; the processor seconds to make it; the
milliseconds until headless Chromium has it ready for use (from the start of
the navigation), and those until a search over all of it is drawn; and the
load average. Each is the median of five runs: what else the machine does
counts for the browser. The bar is 2,000 nodes in 2,000 ms.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from ironic_accel.faces.osc.report import html_report
from tests.faces import browser
from tests.faces import fleet

RUNS = 5

SEARCH = ("{ const start = performance.now(), find = "
          "document.getElementById('search'); find.value = 'critical'; "
          "find.dispatchEvent(new Event('input')); document.body.offsetHeight;"
          " document.getElementById('picture').getContext('2d')"
          '.getImageData(0, 0, 1, 1); performance.now() - start }')


def measure(nodes: int, folder: pathlib.Path) -> str:
    """One line of the table."""
    report = fleet.report(nodes)
    path = folder / f'{nodes}.html'
    runs = []
    for _ in range(RUNS):
        start = time.process_time()
        text = html_report.render(report)
        made = time.process_time() - start
        path.write_text(text, 'utf-8')
        with browser.browser() as opened:
            opened.open(path.as_uri(), 1400, 1000)
            runs.append((made, float(opened.run(
                'document.body.dataset.ready')), float(opened.run(SEARCH))))
    made, ready, search = map(statistics.median, zip(*runs, strict=True))
    return (f'{nodes:>6} {path.stat().st_size / 2**20:>8.1f} {made:>8.2f} '
            f'{ready:>9.0f} {search:>9.0f} {os.getloadavg()[0]:>6.1f}')


def main(numbers: list[int]) -> int:
    """Print the table; 1 where there is no browser."""
    if browser.find() is None:
        print("Debian's package chromium is not installed")
        return 1
    print(' nodes      MiB   made s  ready ms search ms   load')
    with tempfile.TemporaryDirectory() as folder:
        for nodes in numbers:
            print(measure(nodes, pathlib.Path(folder)), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main([int(n) for n in sys.argv[1:]] or [100, 500, 2000]))
