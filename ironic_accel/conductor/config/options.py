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
        help='Allow writes to devices, host resets and power actions. If '
             'false, new steps that write are refused, running operations '
             'wait, and a firmware update in progress is monitored until '
             'it ends. Reloaded on SIGHUP. To stop a single node, use: '
             'baremetal accelerator hold.'),
    cfg.StrOpt(
        'profile_path',
        help='Directory of site profiles. Every .yaml file is read, and '
             'read again when it changes. An invalid file is logged and '
             'skipped. If unset, only inline profiles are available, and '
             'those publish no traits.'),
    cfg.StrOpt(
        'catalogue_path',
        help='Directory of additional catalogue files of this site. Every '
             '.yaml file extends or overrides the shipped catalogue when '
             'the conductor starts. An invalid file prevents the conductor '
             'from starting. All conductors must use the same files.'),
    cfg.IntOpt(
        'max_workers', default=48, min=1,
        help='Maximum number of nodes on which one conductor runs '
             'accelerator operations concurrently. As many nodes with a slow '
             'BMC (longer than 10 s) run in addition. Keep it well below '
             'half of [conductor]workers_pool_size.'),
    cfg.IntOpt(
        'poll_interval', default=5, min=1,
        help='Interval in seconds between checks for pending accelerator '
             'operations. A firmware update or a refresh that takes long is '
             'polled each twentieth of the time that it has taken, but not '
             'less often than every 30 s.'),
    cfg.IntOpt(
        'stable_timeout', default=900, min=1,
        help='Time in seconds to wait, after a host is powered on, until '
             'its accelerators are listed and no task runs on its BMC.'),
    cfg.IntOpt(
        'warm_up', default=30, min=5,
        help='Time in seconds after a host reset during which an inventory '
             'is not considered complete. If the BMC does not report the '
             'time of the last reset, two inventories this far apart must '
             'be identical.'),
    cfg.IntOpt(
        'bmc_timeout', default=900, min=1,
        help='Time in seconds to wait for the BMC to respond after an '
             'auxiliary power cycle.'),
    cfg.IntOpt(
        'agent_timeout', default=900, min=1,
        help='Time in seconds to wait for a heartbeat of the agent after a '
             'host reset within a step, and the longest time for which the '
             'agent may not respond.'),
    cfg.IntOpt(
        'aux_settle', default=30, min=0,
        help='Time in seconds after an auxiliary power cycle request '
             'during which responses of the BMC are ignored: they may be '
             'from before the power cycle.'),
    cfg.IntOpt(
        'soft_power_off_timeout', default=300, min=1,
        help='Time in seconds to wait for an operating system to shut down '
             'before a step resets its host. Applies to the instance and '
             'to any other system that ran when the step began. The '
             'ramdisk is reset without a shutdown request.'),
    cfg.IntOpt(
        'verify_timeout', default=30, min=1, max=30,
        help='Maximum time in seconds that the verify step reads from a '
             'BMC.'),
    cfg.IntOpt(
        'verify_workers', default=16, min=1,
        help='Maximum number of BMCs that one conductor reads concurrently '
             'for verify steps and inspections. A read waits in a queue for '
             'at most verify_timeout. A node that is not read in time is '
             'inventoried after it becomes manageable.'),
    cfg.BoolOpt(
        'sensors', default=True,
        help='Collect sensor data of accelerators when Ironic collects '
             'sensor data ([sensor_data]) of a node with the management '
             'interface accel-redfish or accel-idrac. Costs one request '
             'for each device if the BMC supports $expand, up to four '
             'otherwise.'),
    cfg.BoolOpt(
        'first_boot_injection', default=False,
        help='Allow the deploy step deliver_first_boot to add a systemd '
             'unit to instances that sets modes which do not survive a '
             'reboot. The profile must allow first_boot too. The unit is '
             'delivered in the config drive or as files in the root file '
             'system.'),
    cfg.IntOpt(
        'max_failures', deprecated_name='failures',
        default=10, min=1,
        help='Maximum number of consecutive inventories that may fail '
             'because the BMC does not respond before an operation fails.'),
]

_IMAGES = [
    cfg.StrOpt(
        'image_cache_dir', default='/var/lib/ironic/accel/images',
        help='Directory in which firmware images are cached by digest.'),
    cfg.ListOpt(
        'image_schemes', default=['https', 'http', 'file'],
        help='URL schemes from which firmware images may be downloaded. '
             'The digest of every image is checked, whatever the scheme.'),
    cfg.ListOpt(
        'image_hosts', default=[],
        help='Host names from which firmware images may be downloaded. '
             '``*.example.org`` matches all names of a domain, ``*`` any '
             'host. Empty: no host is allowed.'),
    cfg.ListOpt(
        'image_dirs', default=['/var/lib/ironic/accel/firmware'],
        help='Directories from which file URLs may be read.'),
    cfg.IntOpt(
        'image_workers', default=2, min=1,
        help='Maximum number of concurrent image downloads.'),
    cfg.IntOpt(
        'image_max_mib', default=4096, min=1,
        help='Maximum size of an image in MiB.'),
    cfg.IntOpt(
        'image_cache_mib', default=20480, min=1,
        help='Maximum size of the image cache in MiB.'),
    cfg.StrOpt(
        'image_serve_dir', default='${deploy.http_root}',
        help='Directory from which a web server serves images to BMCs that '
             'download them (SimpleUpdate).'),
    cfg.StrOpt(
        'image_serve_url', default='${deploy.http_url}',
        help='URL of image_serve_dir as seen by BMCs. Empty: no images are '
             'served, and updates of BMCs that have to download them are '
             'refused.'),
    cfg.IntOpt(
        'push_timeout', default=600, min=1,
        help='Time in seconds to wait for the response of a BMC after an '
             'image was sent, and for each block of the image to be sent.'),
    cfg.StrOpt(
        'image_ca',
        help='CA bundle used to verify image servers. If unset, the CA '
             'bundle of the system is used.'),
]

_TRAITS = [
    cfg.ListOpt(
        'pci_traits', default=[],
        help='PCI IDs (vendor:device, four hexadecimal digits each) for '
             'which a trait is published on nodes that have such a device.'),
    cfg.IntOpt(
        'verification_max_age', deprecated_name='proof_max_age',
        default=0, min=0,
        help='Time in seconds after which a verification expires and the '
             'traits that depend on it are withdrawn. 0: verifications do '
             'not expire.'),
    cfg.IntOpt(
        'cleanup_interval', deprecated_name='void_interval',
        default=30, min=1,
        help='Interval in seconds between checks for expired verifications '
             'and for leftovers of aborted operations.'),
    cfg.StrOpt(
        'ownership_scope', deprecated_name='claim_scope',
        default='all',
        choices=[('all', 'Any node.'),
                 ('bmc', 'Nodes behind the same BMC, where a fabric manager '
                         'or an enclosure has several Systems.'),
                 ('none', 'No node.')],
        help='Nodes from which a device may have been moved. A device that '
             'is new on a node and still recorded on another node is not '
             'published until that node has been inventoried again.'),
    cfg.StrOpt(
        'baseline_profile',
        help='Site profile that the clean step apply_baseline applies. '
             'Overridden for a node by driver_info/accel_baseline.'),
    cfg.IntOpt(
        'baseline_priority', default=0, min=0,
        help='Priority of apply_baseline in automated cleaning. 0: '
             'disabled.'),
    cfg.StrOpt(
        'baseline_on_failure', default='fail',
        choices=[('fail', 'Cleaning fails.'),
                 ('quarantine', 'Cleaning goes on, and the node is put into '
                                'maintenance with its traits withdrawn.')],
        help='Action if the baseline cannot be applied to a node.'),
]

_TIMEOUTS = [
    cfg.IntOpt(
        'lost_task_timeout', deprecated_name='lost_timeout',
        default=300, min=1,
        help='Time in seconds to check for the result of a write whose '
             'task the BMC no longer reports, before the write counts as '
             'failed. The task may still be running.'),
    cfg.IntOpt(
        'lost_update_timeout', deprecated_name='forgotten_burn_timeout',
        default=2700, min=1,
        help='Time in seconds to wait for the new firmware version after '
             'the BMC accepted an image and lost the task, for example '
             'because it restarted. During this time no image is sent and '
             'no host is reset. Applies to firmware without a documented '
             'update time. Firmware that takes longer has its own limit '
             '(DPU boot stream: 80 to 130 minutes).'),
    cfg.IntOpt(
        'write_timeout', default=5400, min=1,
        help='Time in seconds after which a step fails if its write is '
             'still running. The write is not aborted, and the power of '
             'the node stays locked until it ends. A firmware bundle of a '
             'baseboard takes about 20 minutes.'),
    cfg.IntOpt(
        'busy_timeout', default=5400, min=1,
        help='Time in seconds to wait for tasks on the BMC that another '
             'client started, or for a background copy.'),
    cfg.IntOpt(
        'reset_timeout', default=1800, min=1,
        help='Time in seconds to wait for a host reset to complete, '
             'including the shutdown of the operating system and an '
             'auxiliary power cycle.'),
    cfg.IntOpt(
        'appear_timeout', default=600, min=1,
        help='Time in seconds to wait after a host reset for a missing '
             'device if the BMC reports its inventory as complete.'),
]

_UPKEEP = [
    cfg.IntOpt(
        'audit_interval', default=3600, min=0,
        help='Interval in seconds between audits of a node. An audit reads '
             'the BMC, changes nothing on it, and updates the traits of '
             'the node. 0: no audits. Set verification_max_age to a longer '
             'time.'),
    cfg.IntOpt(
        'audit_workers', default=4, min=1,
        help='Maximum number of nodes that one conductor audits '
             'concurrently, in addition to max_workers. Keep the sum well '
             'below half of [conductor]workers_pool_size.'),
    cfg.ListOpt(
        'audit_states', default=['manageable', 'available', 'active'],
        item_type=types.String(choices=_AUDIT_STATES),
        help='Provision states in which a node is audited: any of '
             + ', '.join(_AUDIT_STATES) + '.'),
    cfg.IntOpt(
        'audit_retry', default=300, min=1,
        help='Time in seconds until the next audit of a node that could '
             'not be audited because it was locked or in use, or because '
             'its BMC did not respond.'),
    cfg.IntOpt(
        'audit_unreachable_timeout', default=3600, min=0,
        help='Time in seconds after which the verifications of a node are '
             'voided if its BMC does not respond or its inventory does not '
             'become complete. The IS, CAN and mode traits are withdrawn '
             'then, and the node is reported as degraded until an audit '
             'succeeds. 0: never.'),
    cfg.IntOpt(
        'health_max_age', default=7200, min=0,
        help='Time in seconds after which the last inventory of a host that '
             'is on no longer tells that its accelerators are healthy: the '
             'field health of the node is empty until the next inventory. '
             'Choose more than audit_interval. 0: no limit.'),
    cfg.StrOpt(
        'resource_class',
        help='Template of the resource class of nodes that have none, for '
             'example baremetal.accel.{product}.x{count}. Available '
             'fields: {kind}, {vendor}, {product} and {count} of the first '
             'kind of accelerator of the node. A resource class set by an '
             'operator is not changed. If unset, no resource class is set.'),
    cfg.DictOpt(
        'port_categories', default={'dpu': 'dpu'},
        help='Port category to set on the Ironic ports of a DPU or '
             'SmartNIC while its mode is verified, by mode. Ports are '
             'matched by MAC address; the vendor is set too. Used by '
             'trait-based port scheduling. Empty: ports are not changed.'),
    cfg.BoolOpt(
        'port_is_smartnic', default=False,
        help='Set is_smartnic on these ports too. Only applied to ports '
             'with port_id and hostname in local_link_connection, which '
             'Ironic requires of SmartNIC ports.'),
    cfg.ListOpt(
        'baseline_profiles', default=[],
        help='Site profiles to select the baseline from: the first profile '
             'whose groups match the devices of the node is applied. Not '
             'used if driver_info/accel_baseline or baseline_profile is '
             'set. The passthru method accel_plan shows the selected '
             'profile and the reason.'),
]

OPTIONS = [*_RUN, *_TIMEOUTS, *_IMAGES, *_TRAITS, *_UPKEEP]

#: Ironic reads ``CONF[node.driver].verify_ca``
#: (ironic/drivers/utils.py get_verify_ca): a hardware type without a group
#: of its own name breaks every Redfish call.
HARDWARE_OPTIONS = [
    cfg.StrOpt(
        'verify_ca', default='${redfish.verify_ca}',
        help='Default of driver_info/redfish_verify_ca for nodes of this '
             'hardware type.'),
]
HARDWARE_TYPES = ('accel-redfish', 'accel-idrac', 'accel-ipmi')

IPMI_OPTIONS = [
    cfg.IntOpt(
        'timeout', default=60, min=1,
        help='Time in seconds to wait for a BMC to return its FRU '
             'inventory and firmware revision over IPMI.'),
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
