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

"""A stand-in for Ironic's API: nodes in memory, and permissions by role.

It answers as Ironic does (paths, status codes, error bodies, what is put in
the place of what may not be seen), on a free port, in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import json
import re
import socketserver
import threading
from typing import Any
from urllib import parse
from wsgiref import simple_server

Json = Any
Answer = tuple[int, Json]

_REDACTED = {'content': '** Redacted - Requires baremetal:node:get:'
                        'driver_internal_info permission. **'}
#: What each role may not (ironic/common/policy.py): a system reader calls no
#: passthru and changes nothing; a lessee's reader sees less.
_READS = {'node', 'traits', 'firmware'}
ROLES = {'admin': {*_READS, 'inventory', 'history', 'info', 'passthru',
                   'write'},
         'reader': {*_READS, 'inventory', 'history', 'info'},
         'owner': {*_READS, 'inventory', 'history', 'info', 'write'},
         'lessee': _READS}


class Cloud:
    """The nodes of a cloud with their data.

    :ivar nodes: by name: the API's node, with ``_traits``, ``_firmware``,
        ``_inventory`` and ``_history`` beside its fields.
    :ivar passthru: method to ``f(node, body)`` that gives an answer.
    :ivar asked: (verb, path, body) of each call that changes something.
    :ivar on_provision: called with (node, body) when a state is asked for.
    :ivar latest: the minor version of the API.
    """

    def __init__(self, role: str = 'admin') -> None:
        self.may = set(ROLES[role])
        self.nodes: dict[str, dict[str, Any]] = {}
        self.drivers = ['accel-redfish', 'redfish']
        self.passthru: dict[str, Callable[[dict[str, Any], Json], Answer]] \
            = {}
        self.asked: list[tuple[str, str, Json]] = []
        self.on_provision: Callable[[dict[str, Any], Json], None] \
            = lambda node, body: None
        self.on_read: Callable[[dict[str, Any]], None] = lambda node: None
        self.refuse: dict[str, Answer] = {}
        #: Deploy templates and runbooks by path, then by name.
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            'deploy_templates': {}, 'runbooks': {}}
        self.url = ''
        self.latest = 115

    def add(self, name: str, **fields: Any) -> dict[str, Any]:
        """A node of ours, manageable, with nothing on it."""
        number = len(self.nodes)
        node = {
            'uuid': f'00000000-0000-4000-8000-{number:012}', 'name': name,
            'driver': 'accel-redfish', 'power_interface': 'accel-redfish',
            'vendor_interface': 'accelerator', 'conductor': 'one',
            'provision_state': 'manageable', 'power_state': 'power on',
            'maintenance': False, 'reservation': None, 'instance_uuid': None,
            'last_error': None, 'extra': {}, 'properties': {},
            'driver_internal_info': {}, '_traits': [], '_firmware': [],
            '_inventory': None, '_history': [], **fields}
        self.nodes[name] = node
        return node

    # What the API does

    def answer(self, verb: str, path: str, body: Json,
               minor: int = 115) -> Answer:
        """Answer one call of a version of the API."""
        if verb != 'GET':
            self.asked.append((verb, path, body))
        for pattern, (status, what) in self.refuse.items():
            if re.search(pattern, f'{verb} {path}'):
                return error(status, what)
        if path in ('', '/', '/v1', '/v1/'):
            return 200, {'id': 'v1', 'versions': []}
        if path == '/v1/drivers':
            return 200, {'drivers': [{'name': d, 'hosts': ['one']}
                                     for d in self.drivers]}
        if path.rstrip('/') in ('/v1/nodes/detail', '/v1/nodes'):
            return 200, {'nodes': [self._shown(n)
                                   for n in self.nodes.values()]}
        found = re.fullmatch(
            r'/v1/(deploy_templates|runbooks)(?:/([^/]+))?(/traits.*)?', path)
        if found:
            return self._object(verb, found[1], found[2], found[3], body,
                                minor >= 112)
        found = re.fullmatch(r'/v1/nodes/([^/]+)(?:/(.*))?', path)
        if not found:
            return error(404, f'{path} is not there')
        for node in self.nodes.values():
            if found[1] in (node['uuid'], node['name']):
                return self._node(verb, node, found[2] or '', body)
        return error(404, f'Node {found[1]} could not be found.')

    def _object(self, verb: str, kind: str, name: str | None,
                rest: str | None, body: Json, traits: bool) -> Answer:
        """Deploy templates and runbooks, as far as the commands use them.

        :param traits: whether runbooks have any. If not, their name is one,
            and a patch may not change ``disable_ramdisk`` (ironic 35.1.0,
            api/controllers/v1/runbook.py).
        """
        if 'passthru' not in self.may:
            return denied(f'baremetal:{kind[:-1]}:get')
        if kind == 'runbooks' and not traits:
            if rest:
                return error(404, 'Not Found')
            if verb == 'POST' and not body['name'].startswith('CUSTOM_'):
                return error(400, f"Schema error for runbook: '{body['name']}'"
                                  ' does not match')
            if verb == 'PATCH' and any(
                    c['path'] == '/disable_ramdisk' for c in body):
                return error(400, 'Cannot patch /disable_ramdisk.')
        there = self.objects[kind]
        if verb == 'POST':
            if body['name'] in there:
                return error(409, f"{body['name']} already exists.")
            there[body['name']] = {
                **body, 'uuid': f'00000000-0000-4000-9000-{len(there):012}',
                **({'traits': []} if kind == 'runbooks' and traits else {})}
            return 201, there[body['name']]
        if name not in there:
            return error(404, f'{kind[:-1]} {name} could not be found.')
        one = there[name]
        if rest:
            one.setdefault('traits', [])
        if verb == 'PATCH':
            for change in body:
                _patch(one, change)
        elif verb == 'PUT':
            one['traits'].append(str(rest).rpartition('/')[2])
            return 204, None
        return 200, {'traits': one['traits']} if rest else one

    def _node(self, verb: str, node: dict[str, Any], rest: str,
              body: Json) -> Answer:
        what = rest.partition('/')[0]
        if what == 'vendor_passthru':
            return self._passthru(node, rest.partition('/')[2], body)
        if verb != 'GET':
            if 'write' not in self.may:
                return denied('baremetal:node:update')
            return self._write(verb, node, rest, body)
        if rest == '':
            self.on_read(node)
            return 200, self._shown(node)
        if what not in self.may:
            return denied(f'baremetal:node:{what}:get')
        data = node[f'_{what}']
        if what == 'inventory':
            return (200, data) if data else error(
                404, f"Could not find inventory of node {node['uuid']}")
        return 200, {what: data}

    def _shown(self, node: dict[str, Any]) -> dict[str, Any]:
        shown = {k: v for k, v in node.items() if not k.startswith('_')}
        shown['traits'] = list(node['_traits'])
        if 'info' not in self.may:
            shown['driver_internal_info'] = _REDACTED
            shown.update({field: f'** Value Redacted - Requires baremetal:'
                                 f'node:get:{field} permission. **'
                          for field in ('last_error', 'reservation')})
        return shown

    def _passthru(self, node: dict[str, Any], method: str,
                  body: Json) -> Answer:
        if 'passthru' not in self.may:
            return denied('baremetal:node:vendor_passthru')
        if method == 'methods':
            return 200, {name: {} for name in self.passthru}
        if method not in self.passthru:
            return error(400, f'No handler for method {method}')
        return self.passthru[method](node, body)

    def _write(self, verb: str, node: dict[str, Any], rest: str,
               body: Json) -> Answer:
        if node['reservation']:
            return error(409, f"Node {node['uuid']} is locked by host "
                              f"{node['reservation']}, please retry after "
                              'the current operation is completed.')
        if rest == 'states/provision':
            self.on_provision(node, body)
        elif rest == 'maintenance':
            node['maintenance'] = verb == 'PUT'
            node['maintenance_reason'] = (body or {}).get('reason')
        elif verb == 'PATCH':
            for change in body:
                _patch(node, change)
            return 200, self._shown(node)
        return 202, None


def _patch(node: dict[str, Any], change: Json) -> None:
    *transport, last = change['path'].strip('/').split('/')
    target = node
    for part in transport:
        target = target[part]
    if change['op'] == 'remove':
        del target[last]
    else:
        target[last] = change['value']


def error(status: int, text: str) -> Answer:
    """An error as Ironic words it: JSON in JSON."""
    return status, {'error_message': json.dumps({
        'faultcode': 'Client', 'faultstring': text, 'debuginfo': None})}


def denied(rule: str) -> Answer:
    """What a policy turns down."""
    return error(403, f'Access was denied to the following resource: {rule}')


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving(cloud: Cloud) -> Iterator[Cloud]:
    """Serve it on a free port of loopback, as long as the block lasts."""
    def app(environ: dict[str, Any], start: Callable[..., Any],
            ) -> Iterable[bytes]:
        size = int(environ.get('CONTENT_LENGTH') or 0)
        raw = environ['wsgi.input'].read(size) if size else b''
        asked = parse.parse_qs(environ.get('QUERY_STRING', ''))
        minor = int(environ.get('HTTP_X_OPENSTACK_IRONIC_API_VERSION', '1.1')
                    .rpartition('.')[2])
        status, body = cloud.answer(
            environ['REQUEST_METHOD'], environ['PATH_INFO'],
            json.loads(raw) if raw else None, minor) if (
                minor <= cloud.latest) else error(
                    406, f'Version 1.{minor} was requested but the requested '
                         'API service supports only up to 1.'
                         f'{cloud.latest}.')
        # As Ironic 39 does (ironic/db/sqlalchemy/api.py,
        # get_node_list_columns).
        if 'conductor' in ','.join(asked.get('fields', ())).split(','):
            status, body = error(
                500, "type object 'Node' has no attribute 'conductor'")
        out = b'' if body is None else json.dumps(body).encode()
        start(f'{status} -', [
            ('Content-Type', 'application/json'),
            ('Content-Length', str(len(out))),
            ('X-OpenStack-Ironic-API-Minimum-Version', '1.1'),
            ('X-OpenStack-Ironic-API-Maximum-Version', f'1.{cloud.latest}'),
            ('X-OpenStack-Ironic-API-Version', f'1.{minor}')])
        return [out]

    server = simple_server.make_server(
        '127.0.0.1', 0, app, server_class=_Server, handler_class=_Quiet)
    cloud.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
