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

OPTS = [
    cfg.StrOpt('root', default='/',
               help='Prefix of /sys, /proc, /dev and /usr/share: another '
                    'one than / only where a simulated machine is tried.'),
    cfg.StrOpt('tool_path',
               help='PATH on which vendor tools are looked for; without it '
                    'the usual folders of a Linux system.'),
    cfg.StrOpt('run_dir', default='/run/ironic-accel',
               help='Where writes under way are kept, so that a restarted '
                    'agent knows of them. It must not outlive a reboot.'),
    cfg.StrOpt('image_cache_dir', default='/run/ironic-accel/images',
               help='Where firmware images are kept while they are needed.'),
    cfg.IntOpt('image_cache_mib', default=4096, min=1,
               help='Disk or memory that the images may take, in MiB.'),
    cfg.ListOpt('image_dirs', default=[],
                help='Folders of the ramdisk from which "file" URLs may be '
                     'read. Without any, images come over the network.'),
    cfg.StrOpt('instance_root',
               help='A folder that stands for the root file system of the '
                    'instance: only where a simulated machine is tried. '
                    'Without it, that of the disk that the image was '
                    'written to.'),
    cfg.StrOpt('nvml', default='pynvml',
               help='The Python module that talks to NVIDIA GPUs.'),
]


def register(conf: Any = CONF) -> Any:
    """The group ``accelerator`` of a configuration, registered."""
    conf.register_opts(OPTS, group='accelerator')
    return conf.accelerator


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo.config's sample generator."""
    return [('accelerator', OPTS)]
