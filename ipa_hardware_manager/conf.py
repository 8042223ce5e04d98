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


"""Options of the agent's plug-in, in the agent's own configuration file."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

CONF = cfg.CONF

#: Where the ramdisk has the rows of a site, if it has any.
CATALOGUE = '/etc/ironic-accel/catalogue'

OPTS = [
    cfg.StrOpt('root', default='/',
               help='Directory that contains /sys, /proc, /dev and '
                    '/usr/share. Change it only to test with a simulated '
                    'machine.'),
    cfg.StrOpt('tool_path',
               help='Search path for vendor tools. If unset, the standard '
                    'directories of a Linux system.'),
    cfg.StrOpt('run_dir', default='/run/ironic-accel',
               help='Directory with the state of updates in progress, from '
                    'which a restarted agent continues. Its content must not '
                    'survive a reboot.'),
    cfg.StrOpt('image_cache_dir', default='/run/ironic-accel/images',
               help='Directory in which firmware images are stored while they '
                    'are in use.'),
    cfg.IntOpt('image_cache_mib', default=4096, min=1,
               help='Maximum size of the stored images in MiB.'),
    cfg.ListOpt('image_dirs', default=[],
                help='Directories of the ramdisk from which file URLs may be '
                     'read. Empty: images are downloaded only.'),
    cfg.StrOpt('instance_root',
               help='Directory that replaces the root file system of the '
                    'instance. Set it only to test with a simulated machine. '
                    'If unset, the file system of the deployed disk is '
                    'mounted.'),
    cfg.StrOpt('catalogue_path', default=CATALOGUE,
               help='Directory of additional catalogue files of this site, '
                    'the same as on the conductors. Another directory than '
                    'the default must exist.'),
    cfg.StrOpt('nvml', default='pynvml',
               help='Python module that provides NVML for NVIDIA GPUs.')]


def register(conf: Any = CONF) -> Any:
    """The group ``accelerator`` of a configuration, registered."""
    conf.register_opts(OPTS, group='accelerator')
    return conf.accelerator


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo.config's sample generator."""
    return [('accelerator', OPTS)]
