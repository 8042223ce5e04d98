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

"""The cards of the simulated NVML, its faults and its errors.

Numbers and texts of the errors as in nvidia-ml-py 13 (``nvml.h`` of the
driver). ``nvml`` describes the facts of a card and the faults.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ironic_accel_emulator.inside.tools.state import Document, State

NVML_SUCCESS = 0
NVML_ERROR_INVALID_ARGUMENT = 2
NVML_ERROR_NOT_SUPPORTED = 3
NVML_ERROR_NOT_FOUND = 6
NVML_ERROR_DRIVER_NOT_LOADED = 9
NVML_ERROR_FUNCTION_NOT_FOUND = 13
NVML_ERROR_CORRUPTED_INFOROM = 14
NVML_ERROR_GPU_IS_LOST = 15
NVML_ERROR_RESET_REQUIRED = 16
NVML_ERROR_IN_USE = 19
NVML_ERROR_UNKNOWN = 999
NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
NVML_VOLATILE_ECC = 0
NVML_FI_DEV_GET_GPU_RECOVERY_ACTION = 230

_TEXTS = {
    NVML_ERROR_INVALID_ARGUMENT: 'Invalid Argument',
    NVML_ERROR_NOT_SUPPORTED: 'Not Supported',
    NVML_ERROR_NOT_FOUND: 'Not Found',
    NVML_ERROR_CORRUPTED_INFOROM: 'Corrupted infoROM',
    NVML_ERROR_DRIVER_NOT_LOADED: 'Driver Not Loaded',
    NVML_ERROR_FUNCTION_NOT_FOUND: 'Function Not Found',
    NVML_ERROR_GPU_IS_LOST: 'GPU is lost',
    NVML_ERROR_RESET_REQUIRED: 'GPU requires restart',
    NVML_ERROR_IN_USE: 'In use by another client',
    NVML_ERROR_UNKNOWN: 'Unknown Error',
}


class NVMLError(Exception):
    """An error with NVML's number in ``value``."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        """NVML's text of the error."""
        return _TEXTS.get(self.value, f'NVML Error with code {self.value}')


def tool_state() -> State:
    """The state of the cards, which all tools share."""
    return State(Path(os.environ['TWIN_INSIDE_STATE']))


def meets(*words: str) -> str | None:
    """The fault for a query; hangs or raises for some faults."""
    fault = tool_state().called('nvml', words)
    if fault == 'hang':
        tool_state().hang()
    if fault == 'garble':
        sys.stdout.write('\x00\x07{"%% Segmentation :: fault [[[\n')
        sys.stdout.flush()
        os._exit(139)
    if fault == 'lost':
        raise NVMLError(NVML_ERROR_GPU_IS_LOST)
    if fault is not None and fault.startswith('error-'):
        raise NVMLError(int(fault.removeprefix('error-')))
    return fault


def card_of(handle: str) -> Document:
    """The card of a handle.

    :raises: NVMLError if there is none.
    """
    found = tool_state().card(handle)
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_FOUND)
    return found


def fact(handle: str, name: str) -> str:
    """A fact of a card.

    :raises: NVMLError if the card does not support it.
    """
    found = card_of(handle)['facts'].get(name)
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return str(found)


def running(handle: str, name: str) -> str:
    """The version of a part of a card.

    :raises: NVMLError if the card does not have it.
    """
    found = card_of(handle)['parts'].get(name)
    if found is None:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return str(found['running'])
