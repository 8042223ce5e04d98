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

"""An adapter that limits a requests session to one origin.

Adapters carry everything that a session sends, redirects included. A session
with only this adapter sends nothing to another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from requests import adapters

from ironic_accel.redfish.client import origin


class ForeignOrigin(requests.exceptions.InvalidURL):
    """A request would have left the BMC's origin; nothing was sent.

    Sushy converts it into a ConnectionError, and does not retry.
    """


class PinnedAdapter(adapters.BaseAdapter):
    """Passes requests for one origin on, and refuses all others.

    :param inner: the adapters that carry them, by scheme.
    """

    def __init__(self, only: origin.Origin | None,
                 inner: Mapping[str, adapters.BaseAdapter]) -> None:
        super().__init__()
        self.only = only
        self.inner = dict(inner)

    def send(self, request: requests.PreparedRequest, *args: Any,
             **kwargs: Any) -> requests.Response:
        """Send a request; see requests.

        :raises: ForeignOrigin.
        """
        url = str(request.url)
        if self.only is None or origin.of(url) != self.only:
            raise ForeignOrigin(
                f'{origin.shown(url)}: this is not the scheme, host and port '
                'of the BMC: nothing was sent',
                request=request)
        return self.inner[self.only[0]].send(request, *args, **kwargs)

    def close(self) -> None:
        """Close what carries the requests."""
        for adapter in self.inner.values():
            adapter.close()
