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

"""Fuzzing, in process: no exception but ours, and each in its time.

``python -m tests.security.fuzz [--count N] [--seed N] [--captures DIR...]``
prints what was tried. A mutated answer counts once it was asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import functools
import io
import logging
from pathlib import Path
import random
import sys
import time
import traceback
from typing import Any

import requests
from requests import adapters
from requests import structures
from sushy import connector as sushy_connector
import urllib3

from ironic_accel.converge import agent_answers
from ironic_accel.converge import agent_schema
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.serialization import inventory_to_dict
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.writer import Writer
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box
from tests.security import mutate

#: Seconds that one try may take; a whole look of a large machine is one.
DEADLINE = 30.0
BOXES = ('hgx-h100', 'pcie-a100', 'bluefield-2', 'two-nodes')
SETTINGS = BmcSettings(warm_up=0, read_timeout=1, request_timeout=2)
#: Without these there is no more to look at: they are spoilt rarely.
VITAL = ('/redfish/v1', '/redfish/v1/Systems')


@dataclasses.dataclass
class Tally:
    """What was tried of one kind.

    :ivar mutated: answers that were bad and were asked for.
    :ivar ours: tries that ended in an error of ours.
    :ivar wrong: other exceptions, each with the seed of its try.
    """

    mutated: int = 0
    tries: int = 0
    ours: int = 0
    slowest: float = 0.0
    wrong: list[str] = dataclasses.field(default_factory=list)

    @contextlib.contextmanager
    def attempt(self, seed: str) -> Iterator[None]:
        """One try: whatever it raises is counted."""
        start = time.monotonic()
        self.tries += 1
        try:
            yield
        except AccelError as exc:
            self.ours += 1
            # It can be told: to a log, a database, a terminal.
            str(exc).encode()
        except Exception as exc:
            at = [f for f in traceback.extract_tb(exc.__traceback__)
                  if '/tests/' not in f.filename][-4:]
            self.wrong.append(
                f'{seed}: {type(exc).__name__}: {str(exc)[:100]}: ' + ' > '
                .join(f'{f.filename.rsplit("/", 1)[-1]}:{f.lineno}'
                      for f in at))
        took = time.monotonic() - start
        self.slowest = max(self.slowest, took)
        if took > DEADLINE:
            self.wrong.append(f'{seed}: took {took:.0f} s')


class Bmc(adapters.BaseAdapter):
    """Answers out of documents, in the place of a network.

    :ivar spoil: gives a bad answer for a path, or None for the good one.
    """

    def __init__(self, docs: Mapping[str, Any],
                 spoil: Callable[[str, Any], mutate.Said | None]) -> None:
        super().__init__()
        self.docs, self.spoil = docs, spoil
        self.hosts: set[str] = set()

    def send(self, request: requests.PreparedRequest, *args: Any,
             **kwargs: Any) -> requests.Response:
        """Answer one request."""
        url = urllib3.util.parse_url(str(request.url))
        self.hosts.add(str(url.host))
        path = (url.path or '/').rstrip('/') or '/'
        doc = self.docs.get(path)
        said = self.spoil(path, doc)
        if said is None:
            said = (mutate.Said(404, b'{"error": {}}') if doc is None
                    else mutate.Said(200, mutate.encoded(doc)))
        response = requests.Response()
        response.status_code, response.url = said.status, str(request.url)
        response.reason, response.request = 'Said', request
        response.headers = structures.CaseInsensitiveDict(said.headers)
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(said.body), status=said.status,
            preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""


def connected(bmc: Bmc) -> Any:
    """A connector as Ironic has one, with that BMC behind it."""
    connector = sushy_connector.Connector('http://bmc.example.org')
    connector._session.mount('http://', bmc)
    connector.set_http_session_auth('token')
    return connector


@functools.cache
def documents(source: str) -> Mapping[str, Any]:
    """The documents of a box or a capture, by path."""
    box = load_box(Path(source) if '/' in source else source,
                   clock=FakeClock())
    paths = ['/redfish/v1', *box.documents.below('/redfish/v1')]
    return {p: box.document(p) for p in paths}


def look(rng: random.Random, source: str, seed: str, tally: Tally) -> None:
    """One look at a BMC that gives some bad answers, then one write."""
    docs = documents(source)
    often = rng.choice((0.02, 0.1, 0.4))
    kept: dict[str, mutate.Said | None] = {}

    def spoil(path: str, doc: Any) -> mutate.Said | None:
        if path not in kept:
            share = often / 20 if path in VITAL else often
            kept[path] = None if doc is None or rng.random() > share else (
                mutate.answer(rng, doc))
            tally.mutated += kept[path] is not None
        return kept[path]

    bmc = Bmc(docs, spoil)
    systems = docs.get('/redfish/v1/Systems', {}).get('Members') or [{}]
    with tally.attempt(seed):
        backend = RedfishBackend(
            connected(bmc), rng.choice(systems).get('@odata.id'),
            settings=SETTINGS)
        seen = backend.observe()
        backend.transports(seen)
        mutate.encoded(inventory_to_dict(seen)).decode()
    if bmc.hosts - {'bmc.example.org'}:
        tally.wrong.append(f'{seed}: asked {sorted(bmc.hosts)}')


TASK = {
    '@odata.id': '/redfish/v1/TaskService/Tasks/1', 'Id': '1',
    '@odata.type': '#Task.v1_4_3.Task', 'TaskState': 'Completed',
    'TaskStatus': 'OK', 'PercentComplete': 100, 'StartTime': 'now',
    'Messages': [{'MessageId': 'Update.1.0.UpdateSuccessful',
                  'Message': 'done', 'Severity': 'OK',
                  'MessageArgs': ['x', 'GPU_1']}]}


def write(rng: random.Random, seed: str, tally: Tally) -> None:
    """A write that is answered badly, and its task polled."""
    def spoil(path: str, doc: Any) -> mutate.Said:
        tally.mutated += 1
        return mutate.answer(rng, TASK)

    connector = connected(Bmc({}, spoil))
    with tally.attempt(seed):
        answer = Writer(connector, SETTINGS).send(
            rng.choice(('POST', 'PATCH')), '/redfish/v1/x', {'a': 1})
        ticket = tasks.ticket(answer, [('gpu-1', 'gpu', 'GPU_1')])
        mutate.encoded(ticket).decode()
        tasks.poll(connector, ticket)


def _agent_says() -> dict[str, Any]:
    box = documents('hgx-h100')
    bmc = Bmc(box, lambda path, doc: None)
    backend = RedfishBackend(connected(bmc), 'System_0', settings=SETTINGS)
    seen = dataclasses.replace(backend.observe(), seen_via=('agent',))
    (transport,) = backend.transports(seen)
    item = Item('gpu-1', 'ecc', 'mode', 'enabled')
    action = Action('set', 'agent', (Change(item, 'disabled'),),
                    Activation.WARM_REBOOT)
    return {
        'inventory': inventory_to_dict(seen),
        'transports': [
            agent_schema.transport_to_dict(
                dataclasses.replace(transport, name='agent', resets={})
            )
        ],
        'poll': {
            'state': 'ended',
            'results': [
                {
                    'ref': ['gpu-1', 'ecc'],
                    'ok': False,
                    'detail': {
                        'summary': 'no',
                        'class': 'permanent',
                        'todo': None,
                    },
                }
            ],
        },
        'error': {
            'kind': 'Rejected',
            'retry_after': 5,
            'detail': {'summary': 'no', 'class': 'transient', 'node': None},
        },
        'ticket': {'job': 'x', 'parts': [['a', 'b']]},
        'request': agent_schema.Start(
            action, (agent_schema.Whose('gpu-1', 'gpu', '1'),)
        ).to_dict(),
    }


def agent(rng: random.Random, good: dict[str, Any], seed: str,
          tally: Tally) -> None:
    """One bad document of the agent protocol, either way."""
    facts = catalog.load()
    which = rng.choice(sorted(good))
    raw = mutate.document(rng, good[which])
    tally.mutated += 1
    with tally.attempt(seed), contextlib.suppress(agent_answers.Wrong):
        match which:
            case 'inventory':
                seen = agent_answers.inventory(raw, 'agent', facts)
                mutate.encoded(inventory_to_dict(seen)).decode()
            case 'transports':
                agent_answers.transports(raw, 'agent', agent_answers.inventory(
                    good['inventory'], 'agent', facts))
            case 'poll':
                agent_answers.poll(raw)
            case 'ticket':
                agent_answers.ticket(raw)
            case 'error':
                str(agent_answers.error(raw)).encode()
            case _:
                agent_schema.start_from_dict(raw)


def request(device: str) -> dict[str, Any]:
    """A good request to an agent."""
    item = Item(device, 'sriov', 'mode', 'enabled')
    return agent_schema.Start(
        Action('set', 'agent', (Change(item, 'disabled'),),
               Activation.DEVICE_RESET),
        (agent_schema.Whose(device, 'nic', None, '0000:17:00.0'),)).to_dict()


#: What is tried, with its share of the mutated answers.
SHARES = {'bmc': 0.37, 'writes': 0.08, 'actions': 0.15, 'agent': 0.12,
          'tools': 0.12, 'inside': 0.09, 'files': 0.05, 'served': 0.02}


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Without warnings of some loggers; their levels as before afterwards.

    Later tests in this process read what these loggers write.
    """
    before = {one: one.level for one in map(logging.getLogger, names)}
    for one in before:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in before.items():
            one.setLevel(level)


def run(count: int, seed: int, sources: list[str],
        kinds: Iterable[str] = tuple(SHARES)) -> dict[str, Tally]:
    """Try as many mutated answers as are wanted, over all kinds."""
    from tests.security import fuzz_actions
    from tests.security import fuzz_files
    from tests.security import fuzz_inside
    from tests.security import fuzz_tools
    tallies = {n: Tally() for n in kinds}
    whole = sum(SHARES[n] for n in tallies)
    good = _agent_says()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet('sushy', 'ironic_accel'))
        benches = (stack.enter_context(fuzz_tools.machines())
                   if 'tools' in tallies else [])
        inside = (stack.enter_context(fuzz_inside.machine())
                  if 'inside' in tallies else None)
        image = stack.enter_context(fuzz_actions.images())
        desk = stack.enter_context(fuzz_files.desks())
        for name, tally in tallies.items():
            number = 0
            while tally.mutated < count * SHARES[name] / whole:
                mark = f'{seed}/{name}/{number}'
                rng = random.Random(mark)  # noqa: S311 - no secret
                if name == 'bmc':
                    look(rng, sources[number % len(sources)], mark, tally)
                elif name == 'writes':
                    write(rng, mark, tally)
                elif name == 'actions':
                    fuzz_actions.act(rng, sources[number % len(sources)],
                                     image, mark, tally)
                elif name == 'files':
                    fuzz_files.read(rng, desk, mark, tally)
                elif name == 'served':
                    fuzz_files.fetch(rng, desk, mark, tally)
                elif name == 'agent':
                    agent(rng, good, mark, tally)
                elif inside is not None and name == 'inside':
                    # Each of its kinds in turn, however few of its answers.
                    which = sorted(inside.tries)[number % len(inside.tries)]
                    with tally.attempt(f'{mark}/{which}'):
                        tally.mutated += inside.tries[which](rng)
                else:
                    fuzz_tools.read(rng, benches[number % len(benches)],
                                    mark, tally)
                number += 1
    return tallies


def main(argv: list[str]) -> int:
    """Run, and print what came of it; 1 where anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--count', type=int, default=100_000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--captures', type=Path, action='append', default=[],
                        help='a folder of recorded BMCs (tar archives)')
    args = parser.parse_args(argv)
    sources = [*BOXES, *(str(p.resolve()) for folder in args.captures
                         for p in sorted(folder.glob('*.tar.gz')))]
    start = time.monotonic()
    tallies = run(args.count, args.seed, sources)
    print(f'seed {args.seed}, {len(sources)} machines')
    for name, tally in tallies.items():
        print(f'{name:<8}{tally.mutated:8d} mutated answers, {tally.tries} '
              f'tries, {tally.ours} ended in an error of ours, slowest '
              f'{tally.slowest:.2f} s, {len(tally.wrong)} wrong')
    for tally in tallies.values():
        print(*tally.wrong[:20], sep='\n', end='\n' if tally.wrong else '')
    total = sum(t.mutated for t in tallies.values())
    print(f'{total} mutated answers in {time.monotonic() - start:.0f} s')
    return any(t.wrong for t in tallies.values())


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
