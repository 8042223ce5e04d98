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

"""The options of how long a run waits for what."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS = [
    cfg.IntOpt(
        'lost_timeout', default=300, min=1,
        help='Seconds for which a write that nobody can tell of any more is '
             'looked for on the box before it counts as not done: a task '
             'that a BMC has forgotten may go on.'),
    cfg.IntOpt(
        'forgotten_burn_timeout', default=2700, min=1,
        help='The same for firmware that a BMC had taken before it forgot '
             'the task (it restarted, or reaped the task early), unless the '
             'new version shows before: for so long nothing is pushed and '
             'nothing is reset. It is for firmware of which no vendor names '
             'a time; what takes longer has its own (the boot stream of a '
             'DPU 80 to 130 minutes).'),
    cfg.IntOpt(
        'write_timeout', default=5400, min=1,
        help='Seconds after which a write that still runs is no longer '
             'waited for by its step, which fails and says what runs; the '
             'write itself is never cut, and the node is guarded until then. '
             'A bundle of a baseboard takes about 20 minutes.'),
    cfg.IntOpt(
        'busy_timeout', default=5400, min=1,
        help='Seconds for which work that somebody else has under way on a '
             'box (a task, a background copy) is waited for.'),
    cfg.IntOpt(
        'reset_timeout', default=1800, min=1,
        help='Seconds that a reset of a host may take to be performed, the '
             'shutdown of its operating system and an auxiliary power cycle '
             'with it.'),
    cfg.IntOpt(
        'appear_timeout', default=600, min=1,
        help='Seconds after a reset of the host for which a device that is '
             'missing is waited for, on a BMC that says that all of its '
             'devices are there.'),
]
