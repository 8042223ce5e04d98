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

"""Hardware types, and what their interfaces keep of upstream's."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import functools
import pathlib
import types
from typing import Any

from ironic.common import exception
from ironic.common import image_publisher
from ironic.conf import CONF
from ironic.drivers import drac
from ironic.drivers.modules.drac import power as drac_power
from ironic.drivers.modules.drac import vendor_passthru as drac_vendor
from ironic.drivers.modules import image_utils
from ironic.drivers.modules.redfish import power as redfish_power
from ironic.drivers.modules.redfish import vendor as redfish_vendor
from ironic.drivers import redfish
from ironic.drivers import utils as driver_utils
import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config import options as options_module
from ironic_accel.conductor.config import ramdisk_support
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import hardware
from ironic_accel.conductor.drivers import management
from ironic_accel.conductor.drivers import power
from ironic_accel.conductor.drivers import vendor

PAIRS = [
    (hardware.AccelRedfishHardware, redfish.RedfishHardware,
     power.AccelRedfishPower, redfish_power.RedfishPower,
     vendor.RedfishAccelerator, redfish_vendor.RedfishVendorPassthru),
    (hardware.AccelIdracHardware, drac.IDRACHardware,
     power.AccelIdracPower, drac_power.DracRedfishPower,
     vendor.IdracAccelerator, drac_vendor.DracRedfishVendorPassthru)]


@pytest.mark.parametrize(
    ('ours', 'theirs', 'guarded', 'bare', 'vendor_ours', 'vendor_theirs'),
    PAIRS, ids=['redfish', 'idrac'])
def test_hardware_types_extend_the_upstream_ones(
        ours: Any, theirs: Any, guarded: Any, bare: Any, vendor_ours: Any,
        vendor_theirs: Any) -> None:
    mine, plain = ours(), theirs()
    assert mine.supported_power_interfaces == [guarded]
    assert issubclass(guarded, bare)
    assert mine.supported_vendor_interfaces == [
        vendor_ours, *plain.supported_vendor_interfaces]
    first, *rest = mine.supported_management_interfaces
    assert first.__module__ == management.__name__
    assert rest == plain.supported_management_interfaces
    for kind in ('bios', 'boot', 'deploy', 'firmware', 'inspect', 'raid',
                 'network', 'storage'):
        name = f'supported_{kind}_interfaces'
        assert getattr(mine, name) == getattr(plain, name)
    routes = vendor_ours().vendor_routes
    assert set(routes) == set(vendor_theirs().vendor_routes) | {
        'accel_disable', 'accel_hold', 'accel_inventory', 'accel_plan',
        'accel_profiles', 'accel_progress', 'accel_refresh',
        'accel_release', 'accel_unhold', 'accel_unlock'}


def test_every_hardware_type_has_a_group_of_its_name() -> None:
    # ironic/drivers/utils.py get_verify_ca reads CONF[node.driver].
    for name in options_module.HARDWARE_TYPES:
        assert not CONF.get(name, {}).get('verify_ca')
        CONF.set_override('verify_ca', '/etc/ca', group='redfish')
        try:
            assert CONF[name].verify_ca == '/etc/ca'
        finally:
            CONF.clear_override('verify_ca', group='redfish')


def test_the_certificate_check_of_a_node_is_found(
        make_node: Callable[..., Any]) -> None:
    assert driver_utils.get_verify_ca(make_node(), True) is True
    CONF.set_override('verify_ca', '/etc/own', group='accel-redfish')
    try:
        assert driver_utils.get_verify_ca(make_node(), True) == '/etc/own'
    finally:
        CONF.clear_override('verify_ca', group='accel-redfish')


def test_the_sample_file_lists_all_groups() -> None:
    groups = dict(options_module.list_opts())
    assert set(groups) == {'accelerator', *options_module.HARDWARE_TYPES}
    names = [o.name for o in groups['accelerator']]
    assert len(names) == len(set(names))
    assert all(o.help for options in groups.values() for o in options)


@pytest.mark.parametrize(('driver', 'ours'), [
    ('accel-redfish', hardware.AccelRedfishHardware),
    ('accel-idrac', hardware.AccelIdracHardware)])
def test_images_for_virtual_media_are_published(
        driver: str, ours: Any, tmp_path: pathlib.Path) -> None:
    """Of hardware types that it does not know, Ironic refuses to."""
    CONF.set_override('http_root', str(tmp_path), group='deploy')
    CONF.set_override('http_url', 'http://127.0.0.1', group='deploy')
    boot = next(one for one in ours().supported_boot_interfaces
                if 'VirtualMedia' in one.__name__)
    known = ironic_series.IMAGES_BY_BOOT_INTERFACE
    # As its functions make it of a task (ironic/drivers/modules/
    # image_utils.py).
    handler = image_utils.ImageHandler(
        driver, *([boot()] if known.present else []))
    image = tmp_path / 'image'
    image.write_text('an image')
    assert '/redfish/' in handler.publish_image(str(image), 'of-a-node')


def test_images_of_other_hardware_types_are_no_business_of_ours() -> None:
    with pytest.raises(exception.UnsupportedDriverExtension):
        image_utils.ImageHandler('another')


def test_the_image_of_a_ramdisk_is_published_again(
        tmp_path: pathlib.Path) -> None:
    """As for a reboot within a step, out of the cache of images."""
    CONF.set_override('http_root', str(tmp_path), group='deploy')
    CONF.set_override('http_url', 'http://127.0.0.1', group='deploy')
    image = tmp_path / 'cached.iso'
    image.write_text('an image')
    node = types.SimpleNamespace(driver='accel-redfish', uuid='of-a-node',
                                 driver_internal_info={})
    publisher = image_publisher.LocalPublisher('redfish')
    for _boot in range(2):
        ramdisk_support.withdraw_image(types.SimpleNamespace(node=node))
        publisher.publish(str(image), 'boot-of-a-node.iso')
    assert (tmp_path / 'redfish' / 'boot-of-a-node.iso').samefile(image)


def test_a_hardware_type_without_virtual_media_has_nothing_to_withdraw(
        ) -> None:
    node = types.SimpleNamespace(driver='accel-ipmi', uuid='of-a-node',
                                 driver_internal_info={})
    ramdisk_support.withdraw_image(types.SimpleNamespace(node=node))


@pytest.fixture
def restricted(monkeypatch: pytest.MonkeyPatch
               ) -> Iterator[Callable[[bool], None]]:
    """Sets ``[api]restrict_lookup``, where the series lacks the lookup."""
    monkeypatch.setattr(ironic_series, 'SERVICE_LOOKUP', dataclasses.replace(
        ironic_series.SERVICE_LOOKUP, present=False))
    yield functools.partial(CONF.set_override, 'restrict_lookup', group='api')
    CONF.clear_override('restrict_lookup', group='api')


@pytest.mark.parametrize(('kind', 'restrict', 'found'), [
    ('service', True, False), ('service', False, True),
    ('clean', True, True)])
def test_an_agent_that_is_not_answered_in_service_wait(
        kind: str, restrict: bool, found: bool,
        restricted: Callable[[bool], None]) -> None:
    restricted(restrict)
    node = types.SimpleNamespace(provision_state='servicing', driver_info={},
                                 driver_internal_info={})
    assert ramdisk_support.can_look_up(node, kind) is found
    if found:
        agent_steps.check_ramdisk(node, kind)
    else:
        with pytest.raises(exception.InvalidParameterValue,
                           match='restrict_lookup = false'):
            agent_steps.check_ramdisk(node, kind)
