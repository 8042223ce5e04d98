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

"""A card in another process that is powered by this system.

A DPU with its own BMC is a separate system, and in a lab a separate process.
A reset of its host is forwarded to it over the control interface, which is
not counted as BMC traffic.
"""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager, nullcontext

import requests

from ironic_accel_emulator.parts import Activation

_TIMEOUT = 30.0


class RemoteCard:
    """A system of another server, powered by this one.

    :param url: URL of that server.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip('/')

    @property
    def lock(self) -> AbstractContextManager[object]:
        """No lock: its own process locks it."""
        return nullcontext()

    def take_effect(self, host: str | None, activation: Activation) -> None:
        """Forward a reset, without waiting: this system is locked.

        :param host: host of the card; None for all of its hosts.
        """
        name = activation.name.lower().replace('_', '-')
        threading.Thread(
            target=self._tell,
            args=({'host': host, 'effect': name},),
            name=f'power of {self._url}',
            daemon=True,
        ).start()

    def _tell(self, body: dict[str, str | None]) -> None:
        try:
            answer = requests.post(
                f'{self._url}/_twin/effect', json=body, timeout=_TIMEOUT
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            # A missing card has no state to change; the message explains
            # why the reset had no effect.
            print(f'{self._url}: {error}', file=sys.stderr, flush=True)
