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

"""``baremetal accelerator progress``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import apply
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs.apply_job import ApplyJob
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc import waiting
from ironic_accel.model import errors as model_errors

Document = Mapping[str, Any]

#: Fields of the operation in progress, as ``accel_progress`` has them.
OPERATION = ('step', 'kind', 'profile', 'phase', 'progress', 'percent',
             'seconds', 'writes', 'device_resets', 'resets')
#: Fields of the result of the last operation.
RESULT = ('step', 'profile', 'outcome', 'seconds', 'writes', 'resets')


class ProgressShow(base.ShowOne):
    """Show the accelerator operation in progress on a node.

    Shows the result of the last operation too, whether the power of the node
    is locked, and why no operation is started. With --wait the exit code is
    3 if the operation was refused, and 4 if it failed or was still running
    at the limit.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        waiting.add_wait(parser, 'Show the progress until the operation has '
                                 'ended.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Show the progress, and wait for the end if that is asked for."""
        ref = parsed_args.node
        node = self.ironic.managed(ref)
        found = read(self.ironic, node)
        running = found['operation']
        if running and waiting.is_asked(parsed_args):
            job = ApplyJob(self.ironic, ref, running['kind'], {},
                           attached=running.get('id', ''))
            runs = parallel.run([job], progress_display.of(self.app),
                                limit=waiting.limit(parsed_args))
            self.status = apply.status(runs)
            if runs[0].status and runs[0].status.error:
                self.say(f'node {ref}: {runs[0].status.error}')
            node = self.ironic.node(ref)
            found = read(self.ironic, node)
        shown = fields(ref, node, found)
        return tuple(shown), formatters.row(*shown.values())


def read(ironic: api.Ironic, node: Document) -> Document:
    """The answer of ``accel_progress``, or the same from the node's fields.

    :raises: Denied if the caller may read neither.
    """
    try:
        return ironic.get(str(node['uuid']), 'accel_progress')
    except Denied:
        info = api.info(node)
        if info is None:
            raise
        return {'operation': keys.OPERATION.read(info),
                'result': keys.RESULT.read(info),
                'guard': keys.GUARD.read(info),
                'stopped': api.held(node, ())}


def fields(ref: str, node: Document, found: Document) -> dict[str, Any]:
    """The fields of a node's progress."""
    operation = found['operation'] or {}
    result = found['result'] or {}
    error = result.get('error')
    guard = found.get('guard') or {}
    return {
        'node': ref, 'provision_state': node['provision_state'],
        'in_progress': bool(operation),
        **{name: operation.get(name) for name in OPERATION},
        'power_locked_for': guard.get('what'),
        'not_started_because': found.get('stopped'),
        **{f'last_{name}': result.get(name) for name in RESULT},
        'last_error': (model_errors.word(model_errors.Detail.from_dict(error))
                       if error else None)}
