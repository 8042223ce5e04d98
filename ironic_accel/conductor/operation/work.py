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


"""What one tick of an operation does, by the name of its work.

An operation names its work (``Operation.work``), because it outlives the
process that began it. The function of that name is registered with
``register`` where it is defined, by the module that the step imports.

Such a function is called once per tick, with the node locked exclusively. It
starts at most one action on the devices, saves the node before it does, and
returns None to be called again, or the ending. It may raise any AccelError,
which ends the operation, and Unreachable, which has the tick repeated a
limited number of times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation.context import Context
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass

Work = TypeVar('Work', bound=Callable[[Context], Ending | None])

_registered: dict[str, Callable[[Context], Ending | None]] = {}


def register(name: str) -> Callable[[Work], Work]:
    """Register the function that does the work of a name.

    :raises: ValueError where that name has a function already.
    """
    def decorate(function: Work) -> Work:
        if name in _registered:
            raise ValueError(f'work {name} is registered twice')
        _registered[name] = function
        return function

    return decorate


def run(ctx: Context) -> Ending | None:
    """Do the work of the operation at hand once.

    :raises: AccelError, also where this conductor does not know the work: a
        later version began it.
    """
    name = ctx.operation.work
    if name not in _registered:
        raise AccelError(
            f'step {ctx.operation.step} needs work {name!r}, which this '
            'conductor does not support',
            error_class=ErrorClass.NEEDS_OPERATOR,
            expected=', '.join(sorted(_registered)), seen=name,
            todo='upgrade this conductor, or run the step again')
    return _registered[name](ctx)
