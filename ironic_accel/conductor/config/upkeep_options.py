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

"""The options of what keeps the published data true over time."""

from __future__ import annotations

from oslo_config import cfg
from oslo_config import types

from ironic_accel.conductor.node import keys

#: States in which the audit may look: nothing of Ironic's is under way.
_STATES = ['enroll', 'manageable', 'available', 'active']

OPTIONS = [
    cfg.IntOpt(
        'audit_interval', default=3600, min=0,
        help='Seconds between two audits of a node: a look at its BMC that '
             'writes nothing to it, after which its traits say what was '
             'seen. 0: no audits. What proof_max_age allows should be '
             'longer.'),
    cfg.IntOpt(
        'audit_workers', default=4, min=1,
        help='How many nodes are audited at a time by one conductor, beside '
             'max_workers. Keep both together well below '
             '[conductor]workers_pool_size.'),
    cfg.ListOpt(
        'audit_states', default=['manageable', 'available', 'active'],
        item_type=types.String(choices=_STATES),
        help='Provision states in which a node is audited: any of '
             + ', '.join(_STATES) + '.'),
    cfg.IntOpt(
        'audit_retry', default=300, min=1,
        help='Seconds until the next audit of a node that could not be '
             'audited just now: it was locked or worked on, or its BMC did '
             'not answer.'),
    cfg.IntOpt(
        'audit_unreachable_timeout', default=3600, min=0,
        help='Seconds for which the audit puts up with a BMC that does not '
             'answer, or with a box that gives no stable look. Until then '
             'nothing changes; then the proofs of the node are void, its IS, '
             'CAN and mode traits are withdrawn, and it is degraded until it '
             'can be seen again. 0: it is put up with for ever.'),
    cfg.StrOpt(
        'resource_class',
        help='Template of a resource class for nodes that have none, for '
             'example baremetal.accel.{product}.x{count}. It may name '
             '{kind}, {vendor}, {product} and {count} of the devices of a '
             'node\'s first kind of accelerator. What an operator has set is '
             'never overwritten. Without it no resource class is set.'),
    cfg.DictOpt(
        'port_categories', default={'dpu': 'dpu'},
        help='The category that the Ironic ports of a DPU or SmartNIC get '
             'while it is proved to be in a mode, by the mode\'s word: ports '
             'are matched by MAC address, and get the vendor too. '
             'Trait-based port scheduling reads both. Empty: ports are left '
             'alone.'),
    cfg.BoolOpt(
        'port_is_smartnic', default=False,
        help='Whether such a port is marked is_smartnic too. Only a port '
             'whose local_link_connection has port_id and hostname is: '
             'Ironic takes no other for a smart NIC\'s.'),
    cfg.ListOpt(
        'baseline_profiles', default=[],
        help='Site profiles of which the first whose groups match what a '
             'node has is its baseline, where '
             f'driver_info/{keys.BASELINE.name} '
             'names none and baseline_profile is not set either. The '
             'passthru accel_plan tells which one that is, and why.'),
]
