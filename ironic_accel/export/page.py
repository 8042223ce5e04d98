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

"""The report as one self-contained page.

Nothing is fetched by it and nothing is sent: what it shows is in it, and its
content security policy forbids the rest. It opens from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
import json
from typing import Any

_MARK = '/*REPORT*/'


def render(report: Mapping[str, Any]) -> str:
    """The page of a report.

    :param report: the document ``report/1``:

        * ``at``: when it was made, as text;
        * ``withheld``: what the caller may not see, in words;
        * ``nodes``: for each ``name``, ``uuid``, ``provision_state``,
          ``maintenance``, ``age`` (seconds since its devices were seen, or
          null), ``traits``, ``remarks`` (drift, doubt and what is under way,
          in words), ``profiles`` (``name`` and ``state``: is, can, void),
          ``evidence`` (``when``, ``what``) and ``devices``;
        * a device: ``id``, ``kind``, ``product``, ``model``, ``serial``,
          ``health``, ``location``, ``address``, ``state`` (ok, drift, busy,
          ill, unknown), ``firmware`` (``name``, ``running``, ``pending``,
          ``wanted``, ``as_wanted``) and ``modes`` (``name``, ``current``,
          ``wanted``, ``as_wanted``).

    :returns: HTML, to be written as UTF-8.
    """
    page = (resources.files('ironic_accel') / 'export'
            / 'report.html').read_text('utf-8')
    before, mark, after = page.partition(_MARK)
    if not mark:
        raise ValueError(f'report.html: {_MARK} is missing')
    # A closing tag within the data would end the script.
    data = json.dumps(report, separators=(',', ':')).replace('<', '\\u003c')
    return before + data + after
