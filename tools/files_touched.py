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

"""Through how many of our files a profile goes on its way to the BMC.

One tick of the conductor's runner sends the PATCH of one mode to a simulated
BMC in the same process. Every file of ``ironic_accel/`` of which a function
is called from the beginning of the tick until that PATCH leaves counts once.
Run as a script it prints them in the order of their first call, how many of
each room, and how many in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import contextlib
import pathlib
import sys
import threading
from types import FrameType
from typing import Any

import requests

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRODUCT = ROOT / 'ironic_accel'
SCENE = ROOT / 'tests' / 'unit' / 'conductor' / 'test_short_path.py'

#: Code that runs when a module is imported is not on the way of a value.
_NO_CALL = frozenset({'<module>', '<lambda>', '<genexpr>', '<listcomp>',
                      '<dictcomp>', '<setcomp>'})


#: Where the reading of an inventory begins.
_READS = frozenset({('converge/ports.py', 'observe'),
                    ('redfish/backend.py', 'sources')})


class Trace:
    """The files whose functions were called, in order.

    :ivar files: paths below ``ironic_accel/``.
    :ivar observed: those that the observation of the BMC calls.
    :ivar sent: whether a PATCH has left, after which nothing counts.
    """

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.observed: dict[str, None] = {}
        self.sent = False
        self._thread = threading.get_ident()
        self._observing = 0

    def called(self, frame: FrameType, event: str, _arg: Any) -> None:
        """What ``sys.setprofile`` calls."""
        if self.sent or event not in ('call', 'return'):
            return
        code = frame.f_code
        if not code.co_filename.startswith(f'{PRODUCT}/'):
            return
        name = code.co_filename.removeprefix(f'{PRODUCT}/')
        if (name, code.co_name) in _READS:
            self._observing += 1 if event == 'call' else -1
        if event == 'call' and code.co_name not in _NO_CALL and not (
                code.co_name.startswith('__')):
            (self.observed if self._observing else self.files)[name] = None

    @property
    def rooms(self) -> dict[str, int]:
        """How many files each room has on the way."""
        return dict(Counter(
            str(pathlib.PurePath(f).parent) for f in self.files))


@contextlib.contextmanager
def traced() -> Iterator[Trace]:
    """Trace this thread until a PATCH is sent."""
    trace = Trace()
    request = requests.Session.request

    def sends(self: requests.Session, method: str, *args: Any,
              **known: Any) -> requests.Response:
        trace.sent = trace.sent or method == 'PATCH'
        return request(self, method, *args, **known)

    setattr(requests.Session, 'request', sends)  # noqa: B010
    sys.setprofile(trace.called)
    try:
        yield trace
    finally:
        sys.setprofile(None)
        setattr(requests.Session, 'request', request)  # noqa: B010


def report(trace: Trace) -> str:
    """The files, the rooms and the numbers as text."""
    rooms = ', '.join(f'{room} {count}' for room, count
                      in sorted(trace.rooms.items()))
    more = [f for f in trace.observed if f not in trace.files]
    return '\n'.join([
        *trace.files, f'by room: {rooms}',
        f'{len(trace.files)} files from the profile to the PATCH, and '
        f'{len(more)} more that only read the inventory'])


def main() -> int:
    """Run the scene and print what it touched."""
    import pytest
    return int(pytest.main(['-q', '-s', '-p', 'no:cacheprovider',
                            str(SCENE)]))


if __name__ == '__main__':
    sys.exit(main())
