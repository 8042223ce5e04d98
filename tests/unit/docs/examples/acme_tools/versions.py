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

"""Versions of Acme firmware: ``A1-r10`` (release notes of 2.0)."""

import re

_RELEASE = re.compile(r'([A-Z]\d)-r(\d+)', re.ASCII)


def release(text: str) -> tuple[str, tuple[int, ...]] | None:
    """Board and release: releases of one board are ordered."""
    match = _RELEASE.fullmatch(text)
    return (match[1], (int(match[2]),)) if match else None
