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

"""The names and descriptions of all faults of a simulated system.

Faults of reads, properties, updates and tasks, resets, and of the tools inside
the host. ``python -m ironic_accel_emulator --list-faults`` prints them. The
description of a fault that was observed on a real service names the service.
"""

from __future__ import annotations

from collections.abc import Iterator

# Faults of the HTTP exchange, by request path.
HTTP = {
    'busy': '503 with Retry-After (VALUE seconds or any text, 5)',
    'drop': 'the request is performed and the connection is closed',
    'refuse': 'the connection is closed and the request is not performed',
    'expire-session': '401 once for a request with a session token',
    'status': 'HTTP status VALUE (such as 500, 404, 405, 501)',
    'body': 'VALUE is the whole body: JSON or any text, after a status and a '
            'colon if it is not 200: 503:{"error": "busy"}',
    'garbage': '200 with a body that is not JSON',
    'empty': '200 with an empty object',
    'other': '200 with another resource: the one at VALUE, or the root',
    'cut': 'the second half of the body is missing',
    'hmc-down': 'the GPU tray returns 503 "HMC communication failed" '
                '(DGX H100)',
    'tasks-down': 'the task and job services return 503',
    'redirect': '307 to the URL VALUE, or to the same path of another host',
    'hang': 'no response for VALUE seconds (60)',
    'slow': 'the response is delayed by VALUE seconds (0.5)',
    'expand-error': '500 for a request with $expand',
    'expand-truncated': 'a truncated body for a request with $expand',
    'expand-wrong': 'collections return only references for $expand',
    'expand-drops': 'members in $expand lack the property VALUE',
}
# Faults of a document: VALUE is a property name or JSON pointer.
PROPERTY = {
    'null': 'a property is null',
    'absent': 'a property is missing',
    'wrong-type': 'a property is a list instead of its own type',
    'unknown-enum': 'a property has a value outside its enumeration',
    'says': 'a property has another value: VALUE is POINTER:JSON',
    'serial-zeros': 'all GPUs report a serial number of zeros',
    'short': 'a collection lists VALUE members (1) fewer than its count',
    'pages': 'a collection has pages of VALUE members (1)',
    'absolute': 'links are absolute URLs with the host VALUE',
}
# Faults of tasks and updates.
UPDATE = {
    'task-purged': 'a task no longer exists at the first poll',
    'task-forgotten': 'a task no longer exists VALUE seconds (60) after its '
                      'start, and its work continues',
    'task-done': 'a task has ended before the first poll',
    'task-new': 'a task is New for the first VALUE seconds (30)',
    'task-warning': 'a task ends Completed with TaskStatus Warning',
    'task-stuck': 'a task stays Running after its work has ended',
    'task-early': 'PercentComplete is 100 while the state is Running',
    'task-waits': 'after its work a task stays in UserIntervention, 100 %, '
                  'until the host is reset (iDRAC)',
    'monitor-error': 'a task monitor returns 200 with an error in the body',
    'bare': 'the response to a push has the status VALUE (202), no body and '
            'no Location',
    'success': 'the response to a push is 200 with a Success message and no '
               'task',
    'jobs': 'an update is a Job of the JobService instead of a Task (iDRAC)',
    'push-refused': 'a push is rejected with the status VALUE (400)',
    'upload-waits': 'a pushed image is verified and waits for StartUpdate; '
                    'with VALUE new there is a second task for the update '
                    '(Supermicro X12), else one task continues (X13)',
    'one-target': 'a push with two or more Targets is rejected with 400 '
                  '(bmcweb)',
    'targets-ignored': 'a push writes everything that the image fits, '
                       'whatever its Targets (iDRAC, SimpleUpdate)',
    'fail-component': 'the update of a component fails',
    'silent-noop': 'an image is accepted and nothing changes',
    'equal-refused': 'an equal version is rejected: 400 SUP029',
    'foreign-task': 'a task of another client runs for VALUE seconds (600)',
    'foreign-copy': 'a background copy of another client is running',
    'foreign-job': 'an update of another client waits for a host reset, in '
                   'the state VALUE (Scheduled)',
    'foreign-settings': 'BIOS settings of another client wait for a reset',
    'foreign-firmware': 'firmware of another client for the component VALUE '
                        '(any) is pending',
    'vanish-after-bmc': 'a component no longer exists after a BMC reset',
    'if-match': 'a PATCH requires If-Match in the form VALUE: weak, strong or '
                'quoted (the ETag header has two pairs of quotes)',
}
# Faults of resets and of what follows them.
RESET = {
    'weak-reset': 'a reset does not activate what it should',
    'aux-refused': 'the auxiliary cycle is rejected with 400',
    'late-devices': 'devices are reported VALUE seconds after power-on',
    'renumber': 'resource ids change at the next host reset',
    'nic-mode-offline': 'a DPU in NIC mode stays Paused and StandbyOffline '
                        '(BlueField-3)',
}
# Faults of the tools inside a host: ``Inside.state.fault(TOOL, NAME)``.
TOOL = {
    'hang': 'a tool, or its call for one card, never ends',
    'garble': 'a tool prints garbage and exits with 0',
    'lie': 'a tool reports success and changes nothing',
    'fail': 'a tool reports an error and changes nothing',
    'lost': 'NVML has lost a GPU',
    'error-N': 'NVML returns its error N: 15 lost, 16 requires reset, '
               '14 infoROM corrupted, 6 not found, 999 unknown',
    'in-use': 'NVML keeps a MIG mode pending until the next reset of a GPU in '
              'use',
    'no-json': 'mstconfig does not support -j (4.21, Debian 12)',
    'tlv': 'mstconfig cannot query one parameter, and exits with an error',
    'no-json-tlv': 'no-json and tlv together',
    'no-current': 'mstconfig cannot report the current values',
    'half': 'mstconfig sets the first of several parameters, and fails',
    'no-nic-reset': 'bfb-install succeeds, and an ERR line reports that the '
                    'NIC was not reset (BlueField-3)',
    'nic-update-failed': 'bfb-install exits with 0 although an update failed',
    'words': 'xpu-smi prints the health as text instead of JSON (2.0)',
    'v2': 'xpu-smi reports the memory health as memory_health (2.0 to 2.3)',
    'renumbered': 'component 4 of xpu-smi is another one (2.4)',
    'list': 'amd-smi prints a list (before ROCm 7)',
}
#: Faults for ``--fault``.
KNOWN = {**HTTP, **PROPERTY, **UPDATE, **RESET}

_GROUPS = (
    ('of requests (MATCH is a part of the path; $ is its end)', HTTP),
    ('of properties', PROPERTY),
    ('of updates and tasks', UPDATE),
    ('of resets', RESET),
    ('of tools inside the host (not for --fault)', TOOL),
)


def lines() -> Iterator[str]:
    """The lines of the printed catalogue."""
    for title, group in _GROUPS:
        yield f'Faults {title}:'
        for name, text in group.items():
            yield f'  {name:<18}{text}'
