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

"""The steps of the accelerator interfaces, each declared once.

A step is a method of such an interface with the decorator ``step``, which
applies Ironic's decorators. It is the only declaration: admission, cleanup and
the end of a step read from it which steps are ours, which arguments they take
and whether they write.

A step that only the agent declares has no method on the conductor; ``declare``
is called for it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any
from typing import TypeVar

from ironic.drivers import base

from ironic_accel.conductor.config import ironic_series

Arguments = Mapping[str, Mapping[str, Any]]
#: Takes the task, the kind of operation and the arguments of a request, and
#: raises InvalidParameterValue or InvalidState. What it returns is to be
#: planned from the stored inventory: a profile and its strongest reset.
Check = Callable[[Any, str, Mapping[str, Any]], Any]
Method = TypeVar('Method', bound=Callable[..., Any])

#: The types of interface that ours are of: Ironic's vendor interface, and the
#: type of an Ironic that has one for accelerators (``contrib/upstream``). Of
#: a node that has ours in both, the first one has the steps.
TYPES = ('accelerator', 'vendor')

#: Ironic's decorators, by kind of operation, and what only some of them take.
_DECORATORS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    'clean': (base.clean_step,
              {'abortable': False, 'requires_ramdisk': False}),
    'deploy': (ironic_series.deploy_step, {}),
    'service': (base.service_step,
                {'abortable': False, 'requires_ramdisk': False})}


@dataclasses.dataclass(frozen=True, slots=True)
class DeclaredStep:
    """One step, as declared.

    :ivar name: as in a request.
    :ivar arguments: Ironic's ``argsinfo``: a description of each argument,
        and ``required``.
    :ivar writes: whether it writes, resets or powers on. One that does not
        is accepted while writes are held.
    :ivar check: checks a request before Ironic accepts it.
    """

    name: str
    arguments: Arguments
    writes: bool
    check: Check | None

    def misfit(self, given: Mapping[str, Any]) -> str | None:
        """Why arguments do not fit the declaration, or None."""
        unknown = sorted(set(given) - set(self.arguments))
        if unknown:
            known = ', '.join(sorted(self.arguments)) or 'none'
            return (f"{self.name}: {', '.join(unknown)}: unknown argument; "
                    f'supported arguments: {known}')
        for name, info in self.arguments.items():
            if info.get('required') and name not in given:
                return (f'{self.name}: {name}: required argument missing: '
                        f"{info['description']}")
        return None


_declared: dict[str, DeclaredStep] = {}


def declare(name: str, arguments: Arguments, writes: bool = True,
            check: Check | None = None) -> DeclaredStep:
    """Declare a step.

    :raises: ValueError where there is one of that name already.
    """
    if name in _declared:
        raise ValueError(f'step {name} is declared twice')
    found = DeclaredStep(name, arguments, writes, check)
    _declared[name] = found
    return found


def step(*kinds: str, priority: int = 0, arguments: Arguments | None = None,
         writes: bool = True, check: Check | None = None
         ) -> Callable[[Method], Method]:
    """Declare a method as a step, with all of Ironic's decorators.

    No step can be aborted, and none needs the ramdisk.

    :param kinds: of ``clean``, ``deploy`` and ``service``.
    """
    def decorate(method: Method) -> Method:
        declare(method.__name__, arguments or {}, writes, check)
        for kind in kinds:
            decorator, more = _DECORATORS[kind]
            decorator(priority=priority,
                      argsinfo=dict(arguments) if arguments else None,
                      **more)(method)
        return method

    return decorate


def get(requested: Mapping[str, Any] | None) -> DeclaredStep | None:
    """The declaration of a step of a request or of a node.

    :returns: None where there is no step, or it is not one of ours.
    """
    if not requested or requested.get('interface') not in TYPES:
        return None
    return _declared.get(str(requested.get('step')))


def interface_type(driver: Any, of: type) -> str | None:
    """The type of the interface of a node that has the steps.

    :param driver: of a task.
    :param of: base class of the interfaces that are meant.
    :returns: one of ``TYPES``; None where the node has no such interface.
    """
    return next((name for name in TYPES
                 if isinstance(getattr(driver, name, None), of)), None)


def names() -> frozenset[str]:
    """The names of all steps that are ours."""
    return frozenset(_declared)
