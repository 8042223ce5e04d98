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

"""The names of all faults that a box can have, with what each does.

A BMC's reads, its properties, its update service and tasks, its resets, and
the tools inside the host. ``python -m ironic_accel_emulator --list-faults``
prints them. Where a fault is what a real service was seen to do, its line
says of whom.
"""

from __future__ import annotations

from collections.abc import Iterator

# Faults of the HTTP exchange, by request path.
HTTP = {
    'busy': '503 with Retry-After (VALUE seconds or any text, 5)',
    'drop': 'the request is carried out and the connection dropped',
    'refuse': 'the connection is dropped before anything is done',
    'expire-session': '401 once to a request with a session token',
    'status': 'the status VALUE (such as 500, 404, 405, 501)',
    'body': 'VALUE is the whole body: JSON or any text, behind a status '
            'and a colon if it is not 200: 503:{"error": "busy"}',
    'garbage': '200 with a body that is no JSON',
    'empty': '200 with the empty object',
    'other': '200 with another resource: the one at VALUE, or the root',
    'cut': 'a body of which the second half is missing',
    'hmc-down': 'the GPU tray answers 503 "HMC communication failed" '
                '(DGX H100)',
    'tasks-down': 'the task and job services answer 503',
    'redirect': '307 to the URL VALUE, or to the same path of another host',
    'hang': 'no answer for VALUE seconds (60)',
    'slow': 'an answer after VALUE seconds (0.5)',
    'expand-error': '500 to a request with $expand',
    'expand-truncated': 'a body cut short to a request with $expand',
    'expand-wrong': 'collections answer $expand with references only',
    'expand-drops': 'members that $expand gives lack the property VALUE',
}
# Faults of a document: VALUE is a property name or JSON pointer.
PROPERTY = {
    'null': 'a property is null',
    'absent': 'a property is missing',
    'wrong-type': 'a property has a list where none belongs',
    'unknown-enum': 'a property has a value outside its enumeration',
    'says': 'a property has a value: VALUE is POINTER:JSON',
    'serial-zeros': 'all GPUs report a serial number of zeros',
    'short': 'a collection lists VALUE members (1) fewer than it counts',
    'pages': 'a collection comes in pages of VALUE members (1)',
    'absolute': 'links are absolute URLs of the host VALUE',
}
# Faults of tasks and updates.
UPDATE = {
    'task-purged': 'a task is gone before the first poll',
    'task-forgotten': 'a task is gone VALUE seconds (60) after it began, '
                      'and what it does goes on',
    'task-done': 'a task is done before the first poll',
    'task-new': 'a task is New for VALUE seconds (30) first',
    'task-warning': 'a task ends Completed with TaskStatus Warning',
    'task-stuck': 'a task stays Running although the work is done',
    'task-early': 'PercentComplete is 100 while the state is Running',
    'task-waits': 'a task that is done stays in UserIntervention, 100 %, '
                  'until the host is reset (iDRAC)',
    'monitor-error': 'a task monitor answers 200 with an error in it',
    'bare': 'a push is answered with the status VALUE (202), no body and '
            'no Location',
    'success': 'a push is answered 200 with a Success message and no task',
    'jobs': 'an update is a Job of the JobService, and no Task (iDRAC)',
    'push-refused': 'a push is refused with the status VALUE (400)',
    'upload-waits': 'a pushed image is checked and waits for StartUpdate; '
                    'VALUE new: with a task of its own for each (Supermicro '
                    'X12), else one task goes on (X13)',
    'one-target': 'a push with two Targets or more is refused with 400 '
                  '(bmcweb)',
    'targets-ignored': 'a push writes all that the image is for, whatever '
                       'Targets says (iDRAC, SimpleUpdate)',
    'fail-component': 'a component does not take the image',
    'silent-noop': 'an image is taken and nothing changes',
    'equal-refused': 'an equal version is refused: 400 SUP029',
    'foreign-task': "someone else's task runs for VALUE seconds (600)",
    'foreign-copy': 'a background copy runs that nobody here started',
    'foreign-job': "someone else's update waits for a reset of the host, in "
                   'the state VALUE (Scheduled)',
    'foreign-settings': 'BIOS settings of someone else wait for a reset',
    'foreign-firmware': "someone else's firmware of the component VALUE (any) "
                        'waits to be activated',
    'vanish-after-bmc': 'a component is gone after a BMC reset',
    'if-match': 'a PATCH has to have If-Match, in the form VALUE: weak, '
                'strong or quoted (the ETag is told in two pairs of quotes)',
}
# Faults of resets and of what follows them.
RESET = {
    'weak-reset': 'a reset does not activate what it should',
    'aux-refused': 'the auxiliary cycle is refused with 400',
    'late-devices': 'devices show VALUE seconds after power-on',
    'renumber': 'resource ids move at the next host reset',
    'nic-mode-offline': 'a DPU in NIC mode is Paused and StandbyOffline '
                        'for good (BlueField-3)',
}
# Faults of the tools inside a host: ``Inside.state.fault(TOOL, NAME)``.
TOOL = {
    'hang': 'a tool, or its call about one card, never ends',
    'garble': 'a tool prints nonsense and ends with 0',
    'lie': 'a tool says that all is well and changes nothing',
    'fail': 'a tool changes nothing and says so',
    'lost': 'NVML has lost a GPU',
    'error-N': 'nvml answers with its error N: 15 lost, 16 requires reset, '
               '14 infoROM corrupted, 6 not found, 999 unknown',
    'in-use': 'nvml keeps a MIG mode for the next reset of a GPU in use',
    'no-json': 'mstconfig knows no -j (4.21, Debian 12)',
    'tlv': 'mstconfig cannot query one parameter, and ends with an error',
    'no-json-tlv': 'both of these',
    'no-current': 'mstconfig of firmware that cannot tell what is active',
    'half': 'mstconfig sets the first of several parameters, and fails',
    'no-nic-reset': 'bfb-install ends well, and an ERR line says that the '
                    'NIC was not reset (BlueField-3)',
    'nic-update-failed': 'bfb-install ends with 0 although an update failed',
    'words': 'xpu-smi prints health in words although asked for JSON (2.0)',
    'v2': 'xpu-smi calls the health of memory memory_health (2.0 to 2.3)',
    'renumbered': 'xpu-smi has another component as number 4 (2.4)',
    'list': 'amd-smi prints a list (before ROCm 7)',
}
#: What ``--fault`` takes.
KNOWN = {**HTTP, **PROPERTY, **UPDATE, **RESET}

_GROUPS = (
    ('of an exchange (MATCH is in its path; $ is its end)', HTTP),
    ('of a document', PROPERTY),
    ('of updates and tasks', UPDATE),
    ('of resets', RESET),
    ('of tools inside the host (not for --fault)', TOOL),
)


def lines() -> Iterator[str]:
    """The catalogue, as it is printed."""
    for title, group in _GROUPS:
        yield f'Faults {title}:'
        for name, text in group.items():
            yield f'  {name:<18}{text}'
