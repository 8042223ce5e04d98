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

"""What the supported series of Ironic differ in.

Each difference is a capability: whether this Ironic has it, and what is done
where it has not. Nothing else asks which Ironic is installed. Capabilities are
read off Ironic's own functions and fields, not off its version, because
changes are backported to the stable branches.

Compared: ironic 32.1.0 (2025.2), 35.1.0 (2026.1) and 39.0.0 (2026.2).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import dis
import functools
import importlib
import inspect
import json
import types
from typing import Any
from typing import TypeVar

from ironic.common import driver_factory
from ironic.common import image_publisher
from ironic.common import states
from ironic.conductor import periodics
from ironic.conductor import servicing
from ironic.conductor import steps as conductor_steps
from ironic.conductor import task_manager
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers.modules import deploy_utils
from ironic.drivers.modules import inspect_utils
from ironic.objects import firmware
from ironic.objects import node_history
from ironic.objects import runbook

Class = TypeVar('Class', bound=type)
Method = TypeVar('Method', bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Capability:
    """Something that not every supported series of Ironic has.

    :ivar name: of the constant below.
    :ivar since: the first supported series of which a release was seen that
        has it, as the major version of ironic.
    :ivar present: whether the installed Ironic has it.
    :ivar without: what happens where it is missing.
    """

    name: str
    since: int
    present: bool
    without: str


def _takes(function: Callable[..., Any], name: str) -> bool:
    return name in inspect.signature(function).parameters


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of those in it."""
    yield code
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            yield from _codes(value)


def _matches_exact_type() -> bool:
    """Whether a node periodic takes only nodes with exactly its interface.

    Otherwise it asks ``isinstance(impl, self.__class__)``
    (ironic/conductor/periodics.py, node_periodic).
    """
    return not any('__class__' in code.co_names for code in
                   _codes(periodics.node_periodic.__code__))


def _notes_service_without_ramdisk() -> bool:
    """Whether Ironic sets ``service_disable_ramdisk`` where it boots none.

    Otherwise it only sets it as requested
    (ironic/conductor/servicing.py, do_node_service).
    """
    code = dis.get_instructions(inspect.unwrap(servicing.do_node_service))
    return [found.argval for found in code
            ].count('service_disable_ramdisk') > 1


def _parses_inspection_data() -> bool:
    """Whether Ironic decodes inspection data that it reads from Swift."""
    code: types.CodeType = (
        inspect_utils._get_inspection_data_from_swift.__code__)
    return 'json' in code.co_names


#: ``spacing`` and ``enabled`` of a periodic may be functions.
CALLABLE_SPACING = Capability(
    'CALLABLE_SPACING', 39,
    hasattr(periodics, 'refresh_periodic_attributes'),
    'intervals are read when the conductor loads its interfaces')
#: An entry of the history of a node has the project of the user.
HISTORY_PROJECT = Capability(
    'HISTORY_PROJECT', 39,
    _takes(manager_utils.node_history_record, 'project'),
    'the history of a node shows the user without the project')
#: A firmware component has vendor, model and serial number.
FIRMWARE_ROW_VENDOR = Capability(
    'FIRMWARE_ROW_VENDOR', 39,
    {'vendor', 'model', 'serial_number'}
    <= set(firmware.FirmwareComponent.fields),
    'firmware components have component and version only; the inventory has '
    'the rest')
#: A node periodic takes only nodes with exactly its interface.
EXACT_NODE_PERIODICS = Capability(
    'EXACT_NODE_PERIODICS', 35, _matches_exact_type(),
    'what our management interfaces inherit does not run beside the same '
    "periodic of Ironic's own interface, if that is enabled too")
#: A deploy step states whether it can be aborted.
ABORTABLE_DEPLOY_STEP = Capability(
    'ABORTABLE_DEPLOY_STEP', 35, _takes(base.deploy_step, 'abortable'),
    'Ironic aborts no deploy step')
#: Ironic says whether the current clean or service runs without a ramdisk.
RAMDISK_DISABLED_QUERY = Capability(
    'RAMDISK_DISABLED_QUERY', 35,
    hasattr(deploy_utils, 'is_ramdisk_disabled'),
    "it is read from the node's driver_internal_info")
#: Ironic notes that a service has booted no ramdisk.
SERVICE_RAMDISK_NOTED = Capability(
    'SERVICE_RAMDISK_NOTED', 35, _notes_service_without_ramdisk(),
    'the first step of ours notes it; otherwise Ironic would power the host '
    'off and on at the end of each service')
#: Ironic decodes the inspection data that it keeps in Swift.
PARSED_INSPECTION_DATA = Capability(
    'PARSED_INSPECTION_DATA', 35, _parses_inspection_data(),
    'they are decoded here')
#: How long Ironic waits for a response of a BMC is an option.
READ_TIMEOUT_OPTION = Capability(
    'READ_TIMEOUT_OPTION', 39, 'read_timeout' in CONF.redfish,
    'Ironic waits for 60 seconds')
#: Policies may name a step.
STEP_POLICY = Capability(
    'STEP_POLICY', 39,
    hasattr(conductor_steps, 'validate_user_steps_policy'),
    'policies are per node, not per step')
#: Ports are chosen by their category and vendor.
TRAIT_NETWORKING = Capability(
    'TRAIT_NETWORKING', 35, hasattr(task_manager.TaskManager, 'tbn_traits'),
    'category and vendor of ports are stored, and Ironic does not use them')
#: Ironic keeps the health of a node, by its power sync.
NODE_HEALTH = Capability(
    'NODE_HEALTH', 35, hasattr(base.ManagementInterface, 'get_node_health'),
    'a node has no field for it; sensors and traits tell it')
#: An entry of the history of a node has the provision state.
HISTORY_STATE = Capability(
    'HISTORY_STATE', 39, 'state' in node_history.NodeHistory.fields,
    'the copy of the power lock has no provision state')
#: A boot interface says how its images are published.
IMAGES_BY_BOOT_INTERFACE = Capability(
    'IMAGES_BY_BOOT_INTERFACE', 39,
    hasattr(base.BootInterface, 'image_publisher_settings'),
    'Ironic knows it of its own hardware types only; it is told which of them '
    'ours stand on')
#: Ironic sees by the steps of a manual clean whether it needs the ramdisk.
CLEAN_RAMDISK_BY_STEPS = Capability(
    'CLEAN_RAMDISK_BY_STEPS', 35,
    hasattr(conductor_steps, 'all_steps_disable_ramdisk'),
    'each clean boots the ramdisk that is not requested with '
    '``--disable-ramdisk``, as ``baremetal accelerator apply`` does')
#: An image that is published already may be published again.
REPUBLISHED_IMAGES = Capability(
    'REPUBLISHED_IMAGES', 39,
    'SameFileError' in
    image_publisher.LocalPublisher.publish.__code__.co_names,
    'the image of the ramdisk is withdrawn before it is published again for '
    'a reboot within a step')
#: The API answers an agent that looks up its node in ``service wait``.
SERVICE_LOOKUP = Capability(
    'SERVICE_LOOKUP', 35,
    states.SERVICEWAIT in states.LOOKUP_ALLOWED_STATES,
    'a service step in the ramdisk is refused, unless '
    '``[api]restrict_lookup`` is false')
#: A runbook has traits. The commands read it off the version of the API.
RUNBOOK_TRAITS = Capability(
    'RUNBOOK_TRAITS', 39, 'traits' in runbook.Runbook.fields,
    'a runbook is for the nodes with the trait that is its name')

CAPABILITIES = tuple(found for found in list(globals().values())
                     if isinstance(found, Capability))


def _machine() -> Any:
    """The state machine of provision states; it moved after 32."""
    try:
        return importlib.import_module('ironic.common.state_machine').machine
    except ModuleNotFoundError:
        return states.machine


#: The names of all provision states.
PROVISION_STATES = frozenset(str(state) for state in _machine().states)


def periodic(spacing: Callable[[], float],
             enabled: Callable[[], bool] = lambda: True
             ) -> Callable[[Method], Method]:
    """Ironic's decorator of a periodic, with configured values.

    A class that uses it calls ``read_spacings`` when it is instantiated.

    :param spacing: the seconds between two runs; zero switches it off.
    :param enabled: whether it runs.
    """
    if CALLABLE_SPACING.present:
        found: Callable[[Method], Method] = periodics.periodic(
            spacing=spacing, enabled=enabled)
        return found

    def decorate(method: Method) -> Method:
        decorated: Any = periodics.periodic(spacing=1, enabled=False)(method)
        decorated._periodic_configured = spacing, enabled
        return decorated  # type: ignore[no-any-return]

    return decorate


def read_spacings(interface: Any) -> None:
    """Give the periodics of an interface their configured values.

    Ironic makes its interfaces after it has read its configuration, and before
    it collects their periodics (BaseConductorManager.init_host).
    """
    method: Any
    for _name, method in inspect.getmembers(type(interface)):
        configured = getattr(method, '_periodic_configured', None)
        if configured is not None:
            spacing, enabled = configured
            method._periodic_spacing = spacing()
            method._is_periodic = enabled() and spacing() > 0


def inherited_periodics_once(interface: Class) -> Class:
    """Decorate an interface that inherits node periodics of Ironic's.

    If a node periodic of an enabled base class takes the nodes of this class
    too, that of this class does not run: both would lock and continue each
    node.
    """
    if EXACT_NODE_PERIODICS.present:
        return interface
    for name, method in inspect.getmembers(interface):
        if hasattr(method, '_periodic_spacing'):
            setattr(interface, name, _unless_inherited(name, method))
    return interface


def _unless_inherited(name: str, method: Callable[..., Any]
                      ) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: Any, *args: Any) -> Any:
        enabled = driver_factory.interfaces(self.interface_type).values()
        if any(type(other) in type(self).__mro__[1:] and hasattr(other, name)
               for other in enabled):
            return None
        return method(self, *args)

    return run


def deploy_step(priority: int, argsinfo: Mapping[str, Any] | None = None
                ) -> Callable[[Method], Method]:
    """Ironic's decorator of a deploy step that cannot be aborted."""
    options = {'abortable': False} if ABORTABLE_DEPLOY_STEP.present else {}
    found: Callable[[Method], Method] = base.deploy_step(
        priority=priority, argsinfo=argsinfo, **options)
    return found


def _record_without_project(node: Any, project: str | None = None,
                            **values: Any) -> None:
    manager_utils.node_history_record(node, **values)


#: Add an entry to the history of a node, as Ironic's function does.
node_history_record: Callable[..., None] = (
    manager_utils.node_history_record if HISTORY_PROJECT.present
    else _record_without_project)


def read_timeout() -> float:
    """The seconds for which Ironic waits for a response of a BMC."""
    # sushy/connector.py, default_request_timeout
    return CONF.redfish.read_timeout if READ_TIMEOUT_OPTION.present else 60.0


def firmware_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that Ironic stores with a firmware component."""
    return {key: value for key, value in values.items()
            if key in firmware.FirmwareComponent.fields}


def inspection_data(node: Any, context: Any) -> dict[str, Any]:
    """The stored inspection data of a node: inventory and plugin_data.

    :raises: NodeInventoryNotFound, and ValueError if Swift has other than
        JSON.
    """
    found: dict[str, Any] = inspect_utils.get_inspection_data(node, context)
    if PARSED_INSPECTION_DATA.present:
        return found
    return {key: json.loads(value) if isinstance(value, str | bytes)
            else value for key, value in found.items()}


def _is_flag_set(node: Any) -> bool:
    key = {states.CLEANING: 'cleaning_disable_ramdisk',
           states.CLEANWAIT: 'cleaning_disable_ramdisk',
           states.SERVICING: 'service_disable_ramdisk',
           states.SERVICEWAIT: 'service_disable_ramdisk',
           }.get(node.provision_state)
    return bool(key and node.driver_internal_info.get(key))


#: The base class of an interface of the type accelerator. No release has it;
#: one that ``contrib/upstream`` was applied to does.
ACCELERATOR_INTERFACE: Any = getattr(
    base, 'AcceleratorInterface', base.BaseInterface)


def has_interface_type(name: str) -> bool:
    """Whether a node of this Ironic has an interface of a type."""
    return name in base.ALL_INTERFACES


#: Whether the current clean or service of a node runs without a ramdisk.
is_ramdisk_disabled: Callable[[Any], bool] = (
    deploy_utils.is_ramdisk_disabled if RAMDISK_DISABLED_QUERY.present
    else _is_flag_set)


def note_service_without_ramdisk(task: Any) -> None:
    """Note that the service of a node has booted no ramdisk.

    Only where that is certain: each step is one that an interface of the
    conductor declares, and nothing is known of an agent. The caller saves the
    node.
    """
    node = task.node
    info = node.driver_internal_info
    if (SERVICE_RAMDISK_NOTED.present
            or node.provision_state != states.SERVICING
            or info.get('agent_url') or info.get('agent_cached_service_steps')
            or not all(_needs_no_ramdisk(task, step)
                       for step in info.get('service_steps') or (None,))):
        return
    node.set_driver_internal_info('service_disable_ramdisk', True)


def _needs_no_ramdisk(task: Any, step: Mapping[str, Any] | None) -> bool:
    """Whether Ironic runs a service step without booting the ramdisk.

    Its own criterion in set_node_service_steps: an unknown step may be one of
    the agent's.
    """
    if step is None or step.get('requires_ramdisk'):
        return False
    interface = getattr(task.driver, str(step.get('interface')), None)
    return bool(step.get('execute_on_child_nodes')) or any(
        known['step'] == step.get('step')
        for known in getattr(interface, 'service_steps', ()))
