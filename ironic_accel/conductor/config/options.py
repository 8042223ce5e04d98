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

"""The options: ``[accelerator]`` and one group for each hardware type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ironic.conf import CONF
from oslo_config import cfg
from oslo_config import types

__all__ = ['CONF', 'list_opts', 'register']

GROUP = cfg.OptGroup('accelerator', title='Accelerator life cycle')

#: Provision states in which the audit may read a node: Ironic itself does
#: nothing with it in these.
_AUDIT_STATES = ['enroll', 'manageable', 'available', 'active']

_RUN = [
    cfg.BoolOpt(
        'allow_writes', default=True, mutable=True,
        help='Whether writes to devices, resets and power actions of ours '
             'may begin. Where false, new steps that write are refused, '
             'runs under way wait, and what is being written is watched to '
             'its end and guarded. It is read again at SIGHUP. One node is '
             'stopped by: baremetal accelerator hold.'),
    cfg.StrOpt(
        'profile_path',
        help='Folder of site profiles: every .yaml file in it is read, and '
             'read again when it has changed. A file that is not valid is '
             'named in the log and the others still work. Without it there '
             'are only inline profiles, which publish no trait.'),
    cfg.StrOpt(
        'catalogue_path',
        help='Folder of a site\'s own rows of the catalogue: every .yaml file '
             'in it is laid over what ships with the package, when the '
             'conductor starts. A file that is not valid keeps it from '
             'starting: what it says of effects and products decides what '
             'is reset and published. All conductors need the same.'),
    cfg.IntOpt(
        'max_workers', default=8, min=1,
        help='How many nodes are worked on at a time by one conductor. Keep '
             'it well below [conductor]workers_pool_size.'),
    cfg.IntOpt(
        'poll_interval', default=5, min=1,
        help='Seconds between two looks for nodes that are due.'),
    cfg.IntOpt(
        'stable_timeout', default=900, min=1,
        help='Seconds that a powered-on host gets until its accelerators '
             'have appeared and nothing is under way on it.'),
    cfg.IntOpt(
        'warm_up', default=30, min=5,
        help='Seconds after a reset of the host during which a look does not '
             'count as one at all of its accelerators. Where a BMC does not '
             'tell when the host was last reset, two looks that are so far '
             'apart have to show the same.'),
    cfg.IntOpt(
        'bmc_timeout', default=900, min=1,
        help='Seconds that a BMC gets to answer again after an auxiliary '
             'power cycle.'),
    cfg.IntOpt(
        'agent_timeout', default=900, min=1,
        help='Seconds that the agent of the ramdisk gets to call again after '
             'a reset of the host in the middle of a step, and for which it '
             'may be silent.'),
    cfg.IntOpt(
        'aux_settle', default=30, min=0,
        help='Seconds after an auxiliary power cycle was asked for during '
             'which an answer of the BMC does not count: it may be one from '
             'before the cycle.'),
    cfg.IntOpt(
        'soft_power_off_timeout', default=300, min=1,
        help='Seconds that an operating system gets to shut down by itself '
             'before a step resets its host: that of an instance, and '
             'whatever else ran when the step began. The ramdisk is not '
             'asked.'),
    cfg.IntOpt(
        'verify_timeout', default=30, min=1, max=30,
        help='Seconds that the verify step looks at a BMC at most.'),
    cfg.BoolOpt(
        'sensors', default=True,
        help='Whether the accelerators of a node with one of the management '
             'interfaces accel-redfish and accel-idrac are read when Ironic '
             'asks for its sensors ([sensor_data]): one request for each '
             'device where the BMC expands, up to four otherwise.'),
    cfg.BoolOpt(
        'first_boot_injection', default=False,
        help='Whether the deploy step deliver_first_boot may bring a unit '
             'into instances that sets modes which no reboot survives, where '
             'a profile allows first_boot: by the config drive, or as files '
             'in the root file system.'),
    cfg.IntOpt(
        'failures', default=10, min=1,
        help='How many looks in a row may fail because the BMC does not '
             'answer, before a run fails.'),
]

_IMAGES = [
    cfg.StrOpt(
        'image_cache_dir', default='/var/lib/ironic/accel/images',
        help='Folder in which firmware images are kept by their digest.'),
    cfg.ListOpt(
        'image_schemes', default=['https', 'http', 'file'],
        help='URL schemes that an image may come by. The digest of every '
             'image is checked whatever it came by.'),
    cfg.ListOpt(
        'image_hosts', default=[],
        help='Host names that an image may come from; ``*.example.org`` '
             'stands for every name below it, ``*`` for any host. Empty: '
             'none.'),
    cfg.ListOpt(
        'image_dirs', default=['/var/lib/ironic/accel/firmware'],
        help='Folders below which a file URL may point.'),
    cfg.IntOpt(
        'image_workers', default=2, min=1,
        help='How many images are fetched at a time.'),
    cfg.IntOpt(
        'image_max_mib', default=4096, min=1,
        help='The largest image, in MiB.'),
    cfg.IntOpt(
        'image_cache_mib', default=20480, min=1,
        help='The disk that the image cache may take, in MiB.'),
    cfg.StrOpt(
        'image_serve_dir', default='${deploy.http_root}',
        help='Folder from which a web server serves images to BMCs that can '
             'only fetch (SimpleUpdate).'),
    cfg.StrOpt(
        'image_serve_url', default='${deploy.http_url}',
        help='URL of image_serve_dir as BMCs reach it. Empty: no image is '
             'served, and such a BMC is refused.'),
    cfg.IntOpt(
        'push_timeout', default=600, min=1,
        help='Seconds that a BMC gets to answer once an image was sent to '
             'it whole, and for each piece of it to go out.'),
    cfg.StrOpt(
        'image_ca',
        help='Bundle of certificate authorities for image servers; without '
             'it those of the system.'),
]

_TRAITS = [
    cfg.ListOpt(
        'pci_traits', default=[],
        help='PCI ids (vendor:device, four hexadecimal digits each) of which '
             'a trait is published where such a device is present.'),
    cfg.IntOpt(
        'proof_max_age', default=0, min=0,
        help='Seconds after which a proof is void, and the traits that stand '
             'on it are withdrawn. 0: it does not age.'),
    cfg.IntOpt(
        'void_interval', default=30, min=1,
        help='Seconds between two looks for void proofs and for leftovers of '
             'runs that were killed.'),
    cfg.StrOpt(
        'claim_scope', default='all',
        choices=[('all', 'Any node.'),
                 ('bmc', 'Nodes behind the same BMC, where a fabric manager '
                         'or an enclosure has several Systems.'),
                 ('none', 'No node.')],
        help='Which nodes a device may have come from. What is new to a node '
             'and still claimed by another one is not published until that '
             'one was looked at.'),
    cfg.StrOpt(
        'baseline_profile',
        help='Site profile that the clean step apply_baseline brings nodes '
             'to; driver_info/accel_baseline of a node names '
             'another.'),
    cfg.IntOpt(
        'baseline_priority', default=0, min=0,
        help='Priority of apply_baseline in automated cleaning. 0: it does '
             'not run there.'),
    cfg.StrOpt(
        'baseline_on_failure', default='fail',
        choices=[('fail', 'Cleaning fails.'),
                 ('quarantine', 'Cleaning goes on, and the node is put into '
                                'maintenance with its traits withdrawn.')],
        help='What becomes of a node that could not be brought to its '
             'baseline.'),
]

_TIMEOUTS = [
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

_UPKEEP = [
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
        item_type=types.String(choices=_AUDIT_STATES),
        help='Provision states in which a node is audited: any of '
             + ', '.join(_AUDIT_STATES) + '.'),
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
             'driver_info/accel_baseline '
             'names none and baseline_profile is not set either. The '
             'passthru accel_plan tells which one that is, and why.'),
]

OPTIONS = [*_RUN, *_TIMEOUTS, *_IMAGES, *_TRAITS, *_UPKEEP]

#: Ironic reads ``CONF[node.driver].verify_ca``
#: (ironic/drivers/utils.py get_verify_ca): a hardware type without a group
#: of its own name breaks every Redfish call.
HARDWARE_OPTIONS = [
    cfg.StrOpt(
        'verify_ca', default='${redfish.verify_ca}',
        help='The default of redfish_verify_ca where a node of this hardware '
             'type has none in driver_info.'),
]
HARDWARE_TYPES = ('accel-redfish', 'accel-idrac', 'accel-ipmi')

IPMI_OPTIONS = [
    cfg.IntOpt(
        'timeout', default=60, min=1,
        help='Seconds that a BMC gets to tell its FRU inventory and '
             'firmware revision by IPMI.'),
]


def hardware_options(name: str) -> list[Any]:
    """The options in the group of a hardware type."""
    return HARDWARE_OPTIONS + (IPMI_OPTIONS if name == 'accel-ipmi' else [])


def register(conf: Any = CONF) -> None:
    """Register all options; doing it again changes nothing."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
    for name in HARDWARE_TYPES:
        conf.register_opts(hardware_options(name), group=cfg.OptGroup(name))


def list_opts() -> Sequence[tuple[str, Sequence[Any]]]:
    """What the generator of sample files asks for."""
    return [(GROUP.name, OPTIONS),
            *((name, hardware_options(name)) for name in HARDWARE_TYPES)]


register()
