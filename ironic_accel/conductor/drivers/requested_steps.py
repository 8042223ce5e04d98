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

"""The steps of the request that Ironic's API is waiting for.

Ironic validates the power interface before it accepts a clean, a service or a
deploy, and returns the error that this raises. It does not pass the steps on
before the node has changed its state (ironic 32 to 39: conductor/manager.py
do_node_clean and do_node_service, conductor/deployments.py start_deploy). They
are arguments of the calling method, so they are read from the call stack of
this thread, and never changed. If a later Ironic uses other names, no steps
are found here, and a step is refused when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import traceback
from typing import Any

from ironic.conductor import steps as conductor_steps

Step = Mapping[str, Any]

#: By module and function: the kind of operation, the argument, and the
#: local variable with the task. The workers that run later have functions
#: of the same names in other modules.
CALLS: Mapping[tuple[str, str], tuple[str, str]] = {
    ('ironic.conductor.manager', 'do_node_clean'): ('clean', 'clean_steps'),
    ('ironic.conductor.manager', 'do_node_service'): (
        'service', 'service_steps'),
    ('ironic.conductor.deployments', 'start_deploy'): (
        'deploy', 'deploy_steps')}


def steps(task: Any) -> tuple[str, list[Step]] | None:
    """Kind and steps of the request that a task was made for.

    :returns: in the order in which they run; those of deploy templates that
        the instance's traits name are among them. None where no request
        with steps waits.
    """
    for frame, _line in traceback.walk_stack(None):
        place = (str(frame.f_globals.get('__name__')), frame.f_code.co_name)
        if place not in CALLS or frame.f_locals.get('task') is not task:
            continue
        kind, argument = CALLS[place]
        given = frame.f_locals.get(argument) or []
        if kind == 'deploy':
            given = _deploying(task, given)
        return kind, [s for s in given if isinstance(s, Mapping)]
    return None


def _deploying(task: Any, given: Sequence[Step]) -> list[Step]:
    """The steps of a request and of deploy templates, by priority."""
    mine = {(s.get('interface'), s.get('step')) for s in given}
    templates = conductor_steps._get_deployment_templates(task)
    more = [{'interface': s['interface'], 'step': s['step'],
             'args': s['args'], 'priority': s['priority']}
            for t in templates for s in t.steps
            if (s['interface'], s['step']) not in mine]
    return sorted((s for s in (*given, *more) if s.get('priority')),
                  key=lambda s: -int(s['priority']))
