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

"""``ironic-accel show``: all fields of one accelerator of a system."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import inventory
from ironic_accel.faces.cli import profile_options

SCHEMA = 'device/1'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument('device', metavar='DEVICE',
                        help='id, serial number or location of the device')
    bmc_options.add_arguments(parser, several=False)
    profile_options.add_catalogue(parser)
    # One reading is enough to show a device that is there.
    parser.set_defaults(once=True)


def run(args: argparse.Namespace) -> int:
    """Take an inventory and print one of its devices.

    :returns: 0.
    :raises: BadInput if there is no such device.
    """
    from ironic_accel.faces import device_detail
    from ironic_accel.faces import view
    doc = inventory.read(args)
    device = device_detail.find(doc, args.device)
    inventory.warn(_about(doc, device), every=args.json)
    if args.json:
        print(json.dumps({
            'schema': SCHEMA, 'system': doc['system'], 'host': doc['host'],
            'seen_via': doc['seen_via'], 'device': device}))
    else:
        view.write(device_detail.table(doc, device), sys.stdout)
    return 0


def _about(doc: dict[str, Any], device: Any) -> dict[str, Any]:
    """The document with the warnings that are about a device alone."""
    own = {device['uri'], *(c['uri'] for c in device['components']),
           *(m.get('uri') for m in device['modes'].values())}
    return {'unread': [u for u in doc.get('unread') or ()
                       if u.get('about') == device['id']
                       or u.get('uri') in own],
            'warnings': [w for w in doc['warnings'] if w['uri'] in own]}
