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

"""Chapters 1 to 3: services and machines, what they have, what is planned."""

from __future__ import annotations

import pathlib

from tests.functional.harness import Lab
from tests.functional.harness.demo import cast as cast_mod
from tests.functional.harness.demo import profiles
from tests.functional.harness.demo import watch
from tests.functional.harness.demo.cast import Cast
from tests.functional.harness.demo.show import Show

#: Traits that each machine has once it was looked at, and no others of ours.
EXPECTED = {
    cast_mod.HGX: {
        'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X8',
        'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM', 'CUSTOM_ACCEL_CAN_HGX_SECURE',
        'CUSTOM_ACCEL_CAN_HGX_RAW', 'CUSTOM_ACCEL_CAN_HGX_MIG'},
    cast_mod.PCIE: {
        'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X4',
        'CUSTOM_ACCEL_GPU_NVIDIA_A100_PCIE_80GB', 'CUSTOM_ACCEL_FPGA',
        'CUSTOM_ACCEL_FPGA_X1', 'CUSTOM_ACCEL_FPGA_AMD_ALVEO_U55C',
        'CUSTOM_ACCEL_DPU', 'CUSTOM_ACCEL_DPU_X1',
        'CUSTOM_ACCEL_DPU_NVIDIA_BLUEFIELD_3',
        'CUSTOM_ACCEL_GPU_ECC', 'CUSTOM_ACCEL_CAN_A100_MIG'},
    cast_mod.PLAIN: set(),
}


def one_services(show: Show, lab: Lab, captures: pathlib.Path) -> Cast:
    """Services are up; machines start, powered off."""
    show.chapter(1, 'Placement, Ironic, and machines that are powered off')
    crew = cast_mod.gather(lab, captures)
    root = lab.placement.api.get('/')['versions'][0]
    show.rows('Services', ('Service', 'Address', 'Says'), (
        ('Ironic', lab.ironic.url,
         f"drivers {', '.join(sorted(lab.ironic.api.drivers()))}"),
        ('Placement', lab.placement.url, f"up to {root['max_version']}")))
    states = {name: crew[name].twin.state() for name in crew.machines}
    show.rows('Machines', ('Machine', 'BMC', 'Power', 'Accelerators in it'), (
        (name, crew[name].twin.url, ', '.join(state['hosts'].values()),
         len(state['devices'])) for name, state in states.items()))
    if cast_mod.CAPTURED not in crew.machines:
        show.line(f'There is no {cast_mod.CAPTURE_FILE} in {captures}: '
                  'three machines instead of four.')
    show.expect('accel-redfish' in lab.ironic.api.drivers(),
                'Ironic serves the hardware type accel-redfish')
    show.expect(all(power == 'Off' for state in states.values()
                    for power in state['hosts'].values()),
                'every machine is powered off', states)
    return crew


def two_inventory(show: Show, crew: Cast) -> None:
    """Nodes are enrolled and looked at; traits and firmware appear."""
    show.chapter(2, 'Nodes are enrolled and looked at')
    api = crew.lab.ironic.api
    for machine in crew.machines.values():
        api.set_provision(machine.uuid, 'manage')
    for machine in crew.machines.values():
        node = api.wait_state(machine.uuid, 'manageable')
        show.moment(f"{node['name']}: driver {node['driver']}, vendor "
                    f"interface {node['vendor_interface']}, "
                    f"{node['provision_state']}")
    watch.refresh(show, list(crew.machines.values()))
    for name, machine in crew.machines.items():
        told = api.passthru(machine.uuid, 'accel_inventory')
        show.line(f"{name}: "
                  + show.faces.inventory_headline(told['inventory']))
        if told['inventory']['devices']:
            show.table(show.faces.inventory_table(told['inventory'], name))
    _firmware(show, crew)
    traits = crew.all_traits()
    show.traits(traits, 'Traits of the nodes')
    for name, expected in EXPECTED.items():
        show.expect(traits[name] == expected,
                    f'{name} has these {len(expected)} traits and no others',
                    sorted(traits[name] ^ expected))
    if cast_mod.CAPTURED in traits:
        show.expect({'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X4',
                     'CUSTOM_ACCEL_GPU_NVIDIA_GB300'}
                    <= traits[cast_mod.CAPTURED],
                    'the captured machine has four GB300',
                    sorted(traits[cast_mod.CAPTURED]))
    _powered_off_again(show, crew)


def _firmware(show: Show, crew: Cast) -> None:
    """What ``baremetal node firmware list`` shows."""
    rows = {name: crew.lab.ironic.api.firmware(machine.uuid)
            for name, machine in crew.machines.items()}
    show.rows(
        'baremetal node firmware list (first rows)',
        ('Node', 'Component', 'Version', 'Vendor', 'Model', 'Serial'),
        ((name, row['component'], row['current_version'], row.get('vendor'),
          row.get('model'), row.get('serial_number'))
         for name, listed in rows.items() for row in listed[:4]))
    for name, machine in crew.machines.items():
        told = crew.lab.ironic.api.passthru(machine.uuid, 'accel_inventory')
        wanted = sum(len(device['components'])
                     for device in told['inventory']['devices'])
        show.expect(len(rows[name]) == wanted,
                    f'{name}: one row for each of {wanted} components',
                    len(rows[name]))


def _powered_off_again(show: Show, crew: Cast) -> None:
    powers = {name: power for name, machine in crew.machines.items()
              for power in machine.twin.state()['hosts'].values()}
    show.expect(set(powers.values()) == {'Off'},
                'every machine is powered off again', powers)


def three_plan(show: Show, crew: Cast) -> None:
    """A dry run prints the plan of a profile."""
    show.chapter(3, f'A dry run of {profiles.SECURE} on {cast_mod.HGX}')
    machine = crew[cast_mod.HGX]
    watch.forget(machine)
    told = crew.lab.ironic.api.passthru(
        machine.uuid, 'accel_plan', 'POST', {'profile': profiles.SECURE})
    plan = told['plan']
    show.plan(plan)
    writes = [a for s in plan['stages'] for a in s['actions']]
    updates = [a for a in writes if a['verb'] == 'update']
    resets = [s['reset'] for s in plan['stages'] if s['reset'] != 'none']
    show.expect(len(updates) == 1 and len(updates[0]['items']) == 9,
                'one push carries the firmware of eight GPUs and the FPGA',
                updates)
    show.expect(resets == ['aux-cycle'],
                'one auxiliary cycle activates firmware and ECC', resets)
    refused = crew.lab.ironic.api.passthru(
        machine.uuid, 'accel_plan', 'POST',
        {'profile': profiles.downgrade(crew.lab)})['plan']
    show.plan(refused)
    show.expect(len(refused['refused']) == 8 and not refused['stages'],
                'a downgrade is refused on all eight GPUs, and says why',
                refused)
    # Ironic's power sync goes on asking for the System itself.
    asked = [r['path'] for r in watch.ledger(machine)['last_requests']
             if any(part in r['path'] for part in (
                 'UpdateService', 'Chassis', 'Processors', 'Settings'))]
    show.expect(asked == [], 'neither plan asked the BMC about a device',
                asked)
