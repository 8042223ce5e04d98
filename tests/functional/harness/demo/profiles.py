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

"""What the profiles of the story say."""

from __future__ import annotations

from typing import Any

from tests.functional.harness import Lab
from tests.functional.harness.demo import cast

#: What a bundle brings (versions made up, of the shape that they have).
NEW = {'gpu': '96.00.A6.00.01', 'fpga': '3.11'}
#: What the HGX box starts with is newer than this.
OLD = {'gpu': '96.00.30.00.01'}

SECURE, RAW, HGX_MIG, A100_MIG = (
    'hgx-secure', 'hgx-raw', 'hgx-mig', 'a100-mig')

_HGX_GPUS = {'match': {'kind': 'gpu', 'product': 'nvidia-h100-sxm'},
             'count': 8}
_BOARD = 'HGX H100 8-GPU'


def write(lab: Lab) -> None:
    """Build the images of the site profiles, and make the profiles."""
    bundle = cast.bundle(lab, 'hgx-bundle', NEW)
    images = {'hgx-bundle': {**bundle, 'fits': {'board': _BOARD}}}
    for profile in (
            {'name': SECURE, 'offered': True, 'images': images,
             'summary': 'current firmware, ECC on',
             'allow': ['burn_at_deploy'],
             'devices': _current('enabled'),
             'limits': {'reset': 'aux-cycle', 'minutes': 90}},
            {'name': RAW, 'offered': True, 'images': images,
             'summary': 'current firmware, ECC off',
             'allow': ['burn_at_deploy'],
             'devices': _current('disabled')},
            {'name': HGX_MIG, 'offered': True, 'summary': 'MIG on Hopper',
             'devices': {'gpus': {**_HGX_GPUS,
                                  'modes': {'mig': 'enabled'}}}},
            {'name': A100_MIG, 'offered': True, 'summary': 'MIG on Ampere',
             'devices': {'gpus': {
                 'match': {'kind': 'gpu', 'product': 'nvidia-a100-pcie-80gb'},
                 'count': 4, 'modes': {'mig': 'enabled'}}}}):
        cast.write_profile(lab, profile)


def _current(ecc: str) -> dict[str, Any]:
    """The devices of an HGX H100 with what the bundle brings."""
    return {
        'gpus': {**_HGX_GPUS, 'firmware': {'gpu': _from_bundle('gpu')},
                 'modes': {'ecc': ecc}},
        'tray': {'match': {'kind': 'baseboard'}, 'count': 1,
                 'firmware': {'fpga': _from_bundle('fpga')}}}


def _from_bundle(component: str) -> dict[str, str]:
    return {'version': NEW[component], 'image': 'hgx-bundle'}


def misfit(lab: Lab) -> dict[str, Any]:
    """A profile whose image is for another baseboard."""
    image = cast.bundle(lab, 'other-board', {'gpu': '97.00.10.00.01'},
                        board='hgx-h200')
    return _burn('misfit', '97.00.10.00.01',
                 {**image, 'fits': {'board': 'HGX H200 8-GPU'}})


def wrong_digest(lab: Lab) -> dict[str, Any]:
    """A profile whose digest is not that of what its URL gives."""
    image = cast.bundle(lab, 'changed', {'gpu': '97.00.10.00.01'})
    return _burn('wrong-digest', '97.00.10.00.01', {
        **image, 'sha256': '0' * 64, 'fits': {'board': _BOARD}})


def downgrade(lab: Lab) -> dict[str, Any]:
    """A profile whose version is older than what runs."""
    image = cast.bundle(lab, 'older', OLD)
    return _burn('downgrade', OLD['gpu'], {**image,
                                           'fits': {'board': _BOARD}})


def _burn(name: str, version: str, image: dict[str, Any]) -> dict[str, Any]:
    return {'profile': 1, 'name': name, 'images': {'fw': image}, 'devices': {
        'gpus': {**_HGX_GPUS, 'firmware': {
            'gpu': {'version': version, 'image': 'fw'}}}}}
