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

"""What boots of the ramdisk need in each series of Ironic."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import functools
from typing import Any

from ironic.common import exception
from ironic.common import utils
from ironic.conf import CONF
from ironic.drivers.modules import image_utils

from ironic_accel.conductor.config import ironic_series


def publish_images_as(names: Mapping[str, str]) -> None:
    """Let Ironic publish the images of hardware types that it does not know.

    Without it no ramdisk and no instance boots from virtual media.

    :param names: the hardware type of Ironic's by each of ours.
    """
    if ironic_series.IMAGES_BY_BOOT_INTERFACE.present:
        return
    configure = image_utils.ImageHandler.update_driver_config

    @functools.wraps(configure)
    def by_base(handler: Any, driver: str) -> None:
        configure(handler, names.get(driver, driver))

    image_utils.ImageHandler.update_driver_config = by_base


def withdraw_image(task: Any) -> None:
    """Withdraw what was published for a node's boot from virtual media.

    Ironic would link the same file to the same place, and fail to copy it
    onto itself (ironic/common/image_publisher.py, LocalPublisher).
    """
    if ironic_series.REPUBLISHED_IMAGES.present:
        return
    # A hardware type without virtual media.
    with contextlib.suppress(exception.UnsupportedDriverExtension):
        image_utils.cleanup_iso_image(task)


def can_look_up(node: Any, kind: str) -> bool:
    """Whether an agent that boots in an operation of a node finds it."""
    return (kind != 'service' or ironic_series.SERVICE_LOOKUP.present
            or utils.fast_track_enabled(node)
            or not CONF.api.restrict_lookup)
