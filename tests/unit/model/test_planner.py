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

"""The planner, case by case: what is staged, what is refused and why."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ironic_accel.model import catalog
from ironic_accel.model import plan as plan_mod
from ironic_accel.model import profile as profile_mod
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model import loader
from ironic_accel.model import matching
from ironic_accel.model.plan import Counts
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Limits
from ironic_accel.model.profile import Push
from ironic_accel.model.profile import PushNeeds
from ironic_accel.model.record import Staged
from ironic_accel.model import transport_document
from ironic_accel.redfish.backend import OnRequest
from tests.unit.converge.drive import Catalogue
from tests.unit.converge.drive import Facts

GPU = Component('gpu', 'FW_GPU', '96.00.01', None, True, True,
                Activation.AUX_CYCLE)
ECC = Mode('ecc', 'disabled', None, ('enabled', 'disabled'),
           Activation.WARM_REBOOT, True)


def gpu(number: int, **changes: Any) -> Device:
    """A GPU, with one firmware and ECC."""
    base = Device(f'gpu-{number}', 'gpu', 'nvidia', 'H100',
                  'nvidia-h100-sxm', serial=str(number), health='OK',
                  fit=Fit(board='HGX'), components=(GPU,), modes=(ECC,))
    return dataclasses.replace(base, **changes)


def box(*devices: Device) -> Inventory:
    """A complete look."""
    return Inventory('s', 'on', True, devices=devices)


def transport(inventory: Inventory, **burn: Any) -> Transport:
    """Redfish: everything in one lane, no device reset."""
    return Transport('redfish', {
        (d.id, c.name): UpdateTarget('bmc', **burn)
        for d in inventory.devices for c in d.components
        if c.updateable is not False},
        frozenset((d.id, m.name) for d in inventory.devices
                  for m in d.modes))


def profile(firmware: dict[str, Firmware] | None = None,
            modes: dict[str, Any] | None = None, *,
            fits: dict[str, tuple[str, ...]] | None = None,
            match: dict[str, tuple[str, ...]] | None = None,
            count: Count | None = None, health: str = 'ok',
            **more: Any) -> profile_mod.Profile:
    """A profile of one group of GPUs with one image."""
    image = profile_mod.Image('img', 'file:///i', 'a' * 64,
                              fits or {'board': ('HGX',)})
    return profile_mod.Profile('p', (Group(
        'gpus', match or {'kind': ('gpu',)}, count or Count(),
        firmware or {}, modes or {}, health),), {'img': image}, **more)


NEWER = {'gpu': Firmware('96.00.02', image='img')}


def plan(
    inventory: Inventory,
    wanted: profile_mod.Profile,
    staged: tuple[Staged, ...] = (),
    transports: tuple[Transport, ...] | None = None,
    facts: dict[str, Facts] | None = None,
) -> Plan:
    """Plan with what the box offers."""
    return make_plan(
        inventory,
        wanted,
        staged,
        (transport(inventory),) if transports is None else transports,
        Catalogue(**(facts or {})),
    )


def test_one_push_and_one_reset_for_eight() -> None:
    seen = box(*(gpu(n) for n in range(8)))
    made = plan(seen, profile(NEWER, {'ecc': 'enabled'}))
    assert [s.reset for s in made.stages] == [Activation.AUX_CYCLE]
    verbs = [a.verb for a in made.stages[0].actions]
    assert verbs == ['update', 'set']
    assert [len(a.items) for a in made.stages[0].actions] == [8, 8]
    assert not made.refused


def test_modes_are_planned_without_asking_what_firmware_needs() -> None:
    seen = box(gpu(0))
    whole = transport(seen)
    asked: list[str] = []

    def made(name: str, found: Any) -> Any:
        asked.append(name)
        return found

    later = dataclasses.replace(
        whole, updates=OnRequest(lambda: made('updates', whole.updates)),
        commits=OnRequest(lambda: made('commits', {})),
        resets=OnRequest(lambda: made('resets', {})))
    wanted = profile(modes={'ecc': 'enabled'})
    assert plan(seen, wanted, transports=(later,)) == plan(seen, wanted)
    assert not asked
    for _ in range(2):
        assert plan(seen, profile(NEWER), transports=(later,)) == plan(
            seen, profile(NEWER))
    assert asked == ['updates', 'commits']
    assert later.updates == whole.updates


def test_what_holds_is_satisfied_and_needs_nothing() -> None:
    done = dataclasses.replace(GPU, running='96.00.02')
    on = dataclasses.replace(ECC, current='enabled')
    made = plan(box(gpu(0, components=(done,), modes=(on,))),
                profile(NEWER, {'ecc': 'enabled'}))
    assert made.converged
    assert [p.persistent for p in made.satisfied] == [True, True]


def test_at_least_is_content_with_more() -> None:
    newer = dataclasses.replace(GPU, running='97.00.00')
    wanted = {'gpu': Firmware('96.00.02', at_least=True, image='img')}
    assert plan(box(gpu(0, components=(newer,))), profile(wanted)).converged


REFUSED = {
    'too few': (box(gpu(0)), profile(NEWER, count=Count(8, 8)),
                'number of devices', '8', 1),
    'unhealthy': (box(gpu(0, health='Critical')), profile(
        NEWER, count=Count(0)), 'unhealthy', 'OK', 'Critical'),
    'unusable': (box(gpu(0, state='UnavailableOffline')), profile(
        NEWER, count=Count(0)), 'not enabled', 'Enabled',
        'UnavailableOffline'),
    'unproved health': (box(gpu(0, health=None)), profile(
        NEWER, count=Count(0), health='proved'), 'health is not reported',
        'OK', None),
    'misfit': (box(gpu(0)), profile(NEWER, fits={'board': ('OTHER',)}),
               'does not match', 'OTHER', 'HGX'),
    'unseen fit': (box(gpu(0)), profile(NEWER, fits={'psid': ('MT_1',)}),
                   'not reported', 'MT_1', None),
    'downgrade': (box(gpu(0)), profile(
        {'gpu': Firmware('95.00.00', image='img')}),
        'downgrade', '95.00.00', '96.00.01'),
    'assertion': (box(gpu(0)), profile({'gpu': Firmware('96.00.02')}),
                  'no image', '96.00.02', '96.00.01'),
    'not updateable': (box(gpu(0, components=(dataclasses.replace(
        GPU, updateable=False),))), profile(NEWER),
        'reports it as not updateable', '96.00.02', '96.00.01'),
    'activation unknown': (box(gpu(0, components=(dataclasses.replace(
        GPU, activation=None),))), profile(NEWER),
        'activation: null', '96.00.02', '96.00.01'),
    'lowest': (box(gpu(0, components=(dataclasses.replace(
        GPU, lowest='96.00.05'),))), profile(NEWER),
        'lowest version', '96.00.05', '96.00.02'),
    'too strong': (box(gpu(0)), profile(
        NEWER, limits=Limits(reset=Activation.WARM_REBOOT)),
        'limits.reset', 'warm-reboot', 'aux-cycle'),
    'no such component': (box(gpu(0)), profile(
        {'inforom': Firmware('1', image='img')}),
        'running version is not reported', '1', None),
    'no such mode': (box(gpu(0)), profile(modes={'mig': 'enabled'}),
                     'the BMC does not report this mode; try in band',
                     'enabled', None),
    'mode reported as not supported': (box(gpu(0, absent=('mode:mig',))),
        profile(modes={'mig': 'enabled'}),
        'the device does not support this mode', 'enabled', None),
    'value not allowed': (box(gpu(0)), profile(modes={'ecc': 'maybe'}),
                          'does not support this value', 'enabled, disabled',
                          'maybe'),
    'mode unread': (box(gpu(0, modes=(dataclasses.replace(
        ECC, current=None),))), profile(modes={'ecc': 'enabled'}),
        'not reported', 'enabled', None),
    'mode activation unknown': (box(gpu(0, modes=(dataclasses.replace(
        ECC, activation=None),))), profile(modes={'ecc': 'enabled'}),
        'activation: null', 'enabled', 'disabled'),
    'lost at its own reset': (box(gpu(0, modes=(dataclasses.replace(
        ECC, activation=Activation.DEVICE_RESET, persistent=False),))),
        profile(modes={'ecc': 'enabled'}),
        'lost at the host reset', 'device-reset', 'warm-reboot'),
    'too many resets': (box(gpu(0)), profile(NEWER, limits=Limits(resets=0)),
                        'limits.resets', 0, 1),
    'another version waits': (box(gpu(0, components=(dataclasses.replace(
        GPU, running='96.00.02', pending='96.00.09'),))),
        profile({'gpu': Firmware('96.00.02')}),
        'no image', '96.00.02', '96.00.09'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refused_with_expected_and_seen(name: str) -> None:
    seen, wanted, reason, expected, was = REFUSED[name]
    refused = plan(seen, wanted).refused
    assert len(refused) == 1
    assert reason in refused[0].reason
    assert (refused[0].expected, refused[0].seen) == (expected, was)


@pytest.mark.parametrize(('names', 'reason'), [
    (('redfish',), 'the BMC does not report this mode; try in band '
                   '(apply_profile_in_band)'),
    (('agent',), 'the tools in the host do not report this mode; try out of '
                 'band (apply_profile)'),
    (('redfish', 'agent'), 'no transport reports this mode, of: redfish, '
                           'agent')])
def test_a_mode_that_is_not_reported_is_not_called_unsupported(
        names: tuple[str, ...], reason: str) -> None:
    refused = plan(
        box(gpu(0)), profile(modes={'mig': 'enabled'}),
        transports=tuple(Transport(name) for name in names)).refused
    assert [r.reason for r in refused] == [reason]


def test_transports_that_cannot_update_are_named() -> None:
    refused = plan(box(gpu(0)), profile(NEWER), transports=()).refused
    assert 'no transport can update it, of: none' in refused[0].reason


def test_component_that_one_transport_cannot_write_is_written_by_another(
        ) -> None:
    seen = box(gpu(0, components=(dataclasses.replace(
        GPU, updateable=False),)))
    tool = Transport('agent', {('gpu-0', 'gpu'): UpdateTarget('tool')})
    found = plan(seen, profile(NEWER), transports=(transport(seen), tool))
    assert found.refused == ()
    assert [a.transport for s in found.stages for a in s.actions] == ['agent']


def test_collateral_wants_leave() -> None:
    seen = box(gpu(0))
    wide = transport(seen, also_writes=(('cpu-0', 'cpu'),))
    assert 'collateral' in plan(
        seen, profile(NEWER), transports=(wide,)).refused[0].reason
    allowed = plan(seen, profile(NEWER, allow=frozenset(['collateral'])),
                   transports=(wide,))
    assert allowed.stages[0].actions[0].also_writes == (('cpu-0', 'cpu'),)


ALL, ODD = Push('multipart-all', ()), Push('odd')


@pytest.mark.parametrize(('push', 'pushes', 'reason'), [
    (None, {}, None),
    (Push('multipart-targets'), {Push('multipart-targets'): ()}, None),
    (ALL, {ALL: (('gpu-1', 'gpu'),)}, 'gpu-1/gpu'),
    (ALL, {}, 'gpu-1/gpu'),
    (ODD, {ODD: None}, 'does not support push style odd')])
@pytest.mark.parametrize('name', ['redfish', 'agent'])
def test_the_push_of_the_profile_is_planned_as_it_is_sent(
        push: Push | None, pushes: dict[Push, Any], reason: str | None,
        name: str) -> None:
    """What a push that the profile wants writes besides needs consent, and
    a way that was not asked about it may write all that it can."""
    seen = box(gpu(0, location='one'), gpu(1))
    wanted = profile(NEWER, match={'kind': ('gpu',), 'location': ('one',)})
    image = dataclasses.replace(wanted.images['img'], push=push)
    wanted = dataclasses.replace(wanted, images={'img': image})
    way = dataclasses.replace(transport(seen, pushes=pushes), name=name)
    transports = (way,)
    refused = plan(seen, wanted, transports=transports).refused
    if reason is None or name == 'agent':
        assert not refused
    else:
        assert reason in refused[0].reason
    asked = dataclasses.replace(wanted, allow=frozenset({'collateral'}))
    made = plan(seen, asked, transports=transports)
    if reason == 'gpu-1/gpu' and name != 'agent':
        assert made.stages[0].actions[0].also_writes == (('gpu-1', 'gpu'),)


def test_what_an_unknown_push_writes_besides_is_undecided() -> None:
    """A stored transport was asked about the pushes of site profiles."""
    wanted = profile(NEWER)
    wanted = dataclasses.replace(
        wanted, groups=(dataclasses.replace(
            wanted.groups[0], match={'location': ('one',)}),),
        images={'img': dataclasses.replace(wanted.images['img'], push=ALL)})
    seen = box(gpu(0, location='one'), gpu(1))
    made = plan(seen, wanted, transports=(transport(seen),))
    assert made.undecided
    known = plan(seen, wanted, transports=(
        transport(seen, pushes={ALL: (('gpu-1', 'gpu'),)}),))
    assert known.refused and not known.undecided


@pytest.mark.parametrize('needs, allow, reason', [
    (PushNeeds(('.exe', '.pm')), (), 'requires a suffix'),
    (PushNeeds(('.exe', '.fwpkg')), (), None),
    (PushNeeds(force=True), (), 'add force to allow of the profile'),
    (PushNeeds(force=True), ('force',), None)])
def test_what_a_push_requires_of_an_image_is_refused_in_the_plan(
        needs: PushNeeds, allow: tuple[str, ...], reason: str | None) -> None:
    seen = box(gpu(0))
    wanted = profile(NEWER, allow=frozenset(allow))
    image = dataclasses.replace(
        wanted.images['img'], url='https://x.example/fw/GPU.FWPKG')
    for push in (None, ALL):
        declared = dataclasses.replace(wanted, images={
            'img': dataclasses.replace(image, push=push)})
        can = transport(seen, needs=needs) if push is None else transport(
            seen, pushes={ALL: ()}, push_needs={ALL: needs})
        # What is stored of a transport says the same.
        for way in (can, transport_document.from_dict(json.loads(
                json.dumps(transport_document.to_dict(can))))):
            refused = plan(seen, declared, transports=(way,)).refused
            if reason is None:
                assert not refused
            else:
                assert reason in refused[0].reason


def test_two_groups_must_not_set_the_same() -> None:
    one = profile(NEWER)
    both = dataclasses.replace(one, groups=(
        one.groups[0], dataclasses.replace(one.groups[0], name='again')))
    assert 'more than one group' in plan(box(gpu(0)), both).refused[0].reason


def test_a_downgrade_that_is_allowed_is_planned() -> None:
    made = plan(box(gpu(0)), profile(
        {'gpu': Firmware('95.00.00', image='img')},
        allow=frozenset(['downgrade'])))
    assert not made.refused and made.stages


def test_pending_as_wanted_is_only_activated() -> None:
    waits = dataclasses.replace(GPU, pending='96.00.02')
    made = plan(box(gpu(0, components=(waits,))), profile(NEWER))
    assert made.stages[0].actions == ()
    assert made.stages[0].reset is Activation.AUX_CYCLE
    assert made.stages[0].staged[0].item.name == 'gpu'


def test_staged_item_that_is_not_visible_gets_the_next_stronger_reset(
        ) -> None:
    hidden = dataclasses.replace(GPU, shows_pending=False,
                                 activation=Activation.WARM_REBOOT)
    item = Item('gpu-0', 'gpu', 'firmware', '96.00.02')
    seen = box(gpu(0, components=(hidden,)))
    for tried, reset in ((None, Activation.WARM_REBOOT),
                         (Activation.WARM_REBOOT, Activation.POWER_CYCLE),
                         (Activation.POWER_CYCLE, Activation.AUX_CYCLE)):
        made = plan(seen, profile(NEWER), (Staged(
            item, Activation.WARM_REBOOT, 0, tried),))
        assert made.stages[0].actions == ()
        assert made.stages[0].reset is reset


def test_another_staged_version_is_activated_before_the_update() -> None:
    hidden = dataclasses.replace(GPU, shows_pending=False)
    other = Staged(Item('gpu-0', 'gpu', 'firmware', '96.00.09'),
                   Activation.AUX_CYCLE)
    made = plan(box(gpu(0, components=(hidden,))), profile(NEWER), (other,))
    assert [bool(s.actions) for s in made.stages] == [False, True]
    assert made.stages[0].staged[0].item.wanted == '96.00.09'


def test_what_must_not_share_a_cycle_does_not() -> None:
    shell = Component('shell', 's', 'a', None, False, True,
                      Activation.POWER_CYCLE)
    sc = Component('sc', 'c', '1.0', None, False, True, Activation.POWER_CYCLE)
    seen = box(gpu(0, components=(shell, sc)))
    wanted = profile({'shell': Firmware('b', image='img'),
                      'sc': Firmware('2.0', image='img')},
                     order=('sc', 'shell'))
    alone = {'shell': Facts(alone=True), 'sc': Facts(alone=True)}
    made = plan(seen, wanted, facts=alone)
    assert [[i.name for a in s.actions for i in a.items]
            for s in made.stages] == [['sc'], ['shell']]
    staged = Staged(Item('gpu-0', 'sc', 'firmware', '2.0'),
                    Activation.POWER_CYCLE)
    later = plan(seen, wanted, (staged,), facts=alone)
    assert later.stages[0].actions == ()
    assert [i.name for a in later.stages[1].actions
            for i in a.items] == ['shell']
    assert len(plan(seen, wanted).stages) == 1


def test_the_catalogue_orders_and_the_profile_overrides() -> None:
    parts = tuple(dataclasses.replace(GPU, name=n) for n in ('gpu', 'bmc'))
    seen = box(gpu(0, components=parts))
    lanes = Transport('redfish', {('gpu-0', 'gpu'): UpdateTarget('a'),
                            ('gpu-0', 'bmc'): UpdateTarget('b')})
    want = {n: Firmware('96.00.02', image='img') for n in ('gpu', 'bmc')}
    rank = {'bmc': Facts(order=1), 'gpu': Facts(order=30)}

    def names(made: plan_mod.Plan) -> list[str]:
        return [a.items[0].name for a in made.stages[0].actions]

    assert names(
        plan(seen, profile(want), transports=(lanes,), facts=rank)
    ) == ['bmc', 'gpu']
    assert names(plan(seen, profile(want, order=('gpu',)), transports=(lanes,),
                      facts=rank)) == ['gpu', 'bmc']


def test_what_a_reset_loses_stands_last_and_does_not_last() -> None:
    mig = Mode('mig', 'disabled', None, None, Activation.NONE, False)
    seen = box(gpu(0, modes=(mig, ECC)))
    made = plan(seen, profile(NEWER, {'mig': 'enabled', 'ecc': 'enabled'}))
    assert [i.name for a in made.stages[-1].actions
            for i in a.items] == ['mig']
    assert made.stages[-1].reset is Activation.NONE
    on = dataclasses.replace(mig, current='enabled')
    proof = plan(box(gpu(0, modes=(on,))),
                 profile(modes={'mig': 'enabled'})).satisfied[0]
    assert proof.persistent is False


def test_a_name_means_every_component_of_that_name() -> None:
    parts = tuple(dataclasses.replace(GPU, name=n)
                  for n in ('erot', 'erot-1', 'gpu'))
    made = plan(box(gpu(0, components=parts)), profile(
        {'erot': Firmware('96.00.02', image='img')}))
    assert [i.name for i in made.stages[0].actions[0].items] == [
        'erot', 'erot-1']


def test_device_reset_if_a_transport_has_it_else_warm_reboot() -> None:
    mig = Mode('mig', 'disabled', None, None, Activation.DEVICE_RESET, True)
    seen = box(gpu(0, modes=(mig,)))
    wanted = profile(modes={'mig': 'enabled'})
    assert plan(seen, wanted).stages[0].reset is Activation.WARM_REBOOT
    can = dataclasses.replace(transport(seen), resets={
        'gpu-0': Activation.DEVICE_RESET})
    assert plan(seen, wanted, transports=(can,)).stages[
        0].reset is Activation.DEVICE_RESET


def test_sets_compare_as_sets_where_the_order_does_not_count() -> None:
    services = Mode('services', ('asym', 'sym'), None, None,
                    Activation.DEVICE_RESET, False, unordered=True)
    seen = box(gpu(0, modes=(services,)))
    assert plan(seen, profile(modes={'services': ('sym', 'asym')})).converged
    ordered = dataclasses.replace(services, unordered=False)
    assert not plan(box(gpu(0, modes=(ordered,))), profile(
        modes={'services': ('sym', 'asym')})).converged


def test_each_device_that_is_reset_counts_once() -> None:
    modes = (Mode('mig', 'disabled', None, None, Activation.DEVICE_RESET,
                  True),
             Mode('cc', 'off', None, None, Activation.DRIVER_RELOAD, True),
             Mode('vfs', 0, None, None, Activation.NONE, False))
    seen = box(*(gpu(n, modes=modes) for n in range(4)))
    can = dataclasses.replace(transport(seen), resets={
        d.id: Activation.DEVICE_RESET for d in seen.devices})
    wanted = {'mig': 'enabled', 'cc': 'on'}
    assert plan(seen, profile(modes=wanted), transports=(
        can,)).counts == Counts(8 + 4, 4, 0)
    # A mode that no reset activates has none.
    assert plan(seen, profile(modes={'vfs': 8}), transports=(
        can,)).counts == Counts(4, 0, 0)
    # Where no transport resets a device, its host is.
    assert plan(seen, profile(modes=wanted)).counts == Counts(8, 0, 1)


def test_a_profile_without_a_matching_device_does_not_apply() -> None:
    optional = profile(NEWER, count=Count(0, None), match={'kind': ('fpga',)})
    made = plan(box(gpu(0)), optional)
    assert (made.applies, made.converged, made.refused) == (False, False, ())
    assert not make_plan(
        box(), optional, (), (), Catalogue()).applies
    # One that requires a device is refused.
    required = profile(NEWER, count=Count(1, None), match={'kind': ('fpga',)})
    assert plan(box(gpu(0)), required).refused
    # Whether there is one is not known before it was read.
    unsettled = dataclasses.replace(box(), complete=False)
    assert [r.unread for r in plan(unsettled, optional).refused] == [True]


def test_the_document_has_the_keys_that_programs_read() -> None:
    made = plan(box(gpu(0)), profile(NEWER)).to_dict()
    assert made['schema'] == 'plan/2'
    assert made['applies'] is True
    assert made['counts'] == {'writes': 1, 'device_resets': 0, 'resets': 1}
    assert made['stages'][0]['actions'][0] == {
        'verb': 'update', 'transport': 'redfish', 'activation': 'aux-cycle',
        'items': [{'device': 'gpu-0', 'name': 'gpu', 'from': '96.00.01',
                   'to': '96.00.02'}],
        'image': 'img', 'also_writes': []}


MEMORY = Mode('memory-partition', 'nps1', None, ('nps1', 'nps4'),
              Activation.DRIVER_RELOAD)


def _instinct(number: int, **changes: Any) -> Device:
    return dataclasses.replace(
        gpu(number), vendor='amd', product='amd-instinct-mi300x',
        modes=(MEMORY,), **changes)


@pytest.mark.parametrize(('match', 'refused'), [
    ({'kind': ('gpu',)}, []),
    ({'kind': ('gpu',), 'location': ('A',)}, ['gpu-0']),
])
def test_a_mode_of_all_is_asked_of_all_or_of_none(
        match: dict[str, tuple[str, ...]], refused: list[str]) -> None:
    """AMD's hive has one memory partition."""
    seen = box(_instinct(0, location='A'), _instinct(1), gpu(2))
    made = make_plan(
        box(*seen.devices[:2]), profile(
            modes={'memory-partition': 'nps4'}, match=match), (),
        (Transport('agent', sets=frozenset((d.id, 'memory-partition')
                                     for d in seen.devices),
             resets={d.id: Activation.DRIVER_RELOAD for d in seen.devices}),),
        catalog.load())
    assert [r.item.device for r in made.refused] == refused
    if refused:
        assert 'does not set it on gpu-1' in made.refused[0].reason
        assert (made.refused[0].expected, made.refused[0].seen) == (2, 1)


@pytest.mark.parametrize('what', ['firmware', 'mode'])
@pytest.mark.parametrize(('limit', 'resets', 'refused'), [
    (Activation.DEVICE_RESET, {}, True),
    (Activation.DEVICE_RESET, {'gpu-1': Activation.DEVICE_RESET}, False),
    (Activation.WARM_REBOOT, {}, False)])
def test_a_reset_beyond_the_limit_is_refused_before_a_write(
        what: str, limit: Activation, resets: dict[str, Activation],
        refused: bool) -> None:
    """Where no transport can reset the device alone, the host is rebooted."""
    card = gpu(1, components=(dataclasses.replace(
        GPU, activation=Activation.DEVICE_RESET),), modes=(
        dataclasses.replace(ECC, activation=Activation.DEVICE_RESET),))
    wanted = (profile(NEWER, limits=Limits(reset=limit))
              if what == 'firmware' else
              profile(modes={'ecc': 'enabled'}, limits=Limits(reset=limit)))
    can = dataclasses.replace(transport(box(card)), resets=resets)
    made = plan(box(card), wanted, transports=(can,))
    assert bool(made.refused) is refused
    assert bool(made.stages) is not refused
    for no in made.refused:
        assert no.reason == ('its activation needs a stronger reset than '
                             'limits.reset allows')
        assert (no.expected, no.seen) == (limit, Activation.WARM_REBOOT)


def _declared(**group: Any) -> profile_mod.Profile:
    """A profile of format 2 with one group, read by the catalogue."""
    return loader.load_data({'profile': 2, 'name': 'p', 'devices': {
        'all': {'match': {'kind': 'gpu'}, **group}}})


def _of(product: str | None, number: int = 1) -> Device:
    return gpu(number, product=product)


@pytest.mark.parametrize(('match', 'product', 'selected'), [
    ({'arch': 'hopper'}, 'nvidia-h100-sxm', True),
    ({'arch': 'hopper'}, 'nvidia-a30', False),
    ({'arch': 'hopper'}, None, False),
    ({'arch': ['ampere', 'hopper']}, 'nvidia-a30', True),
    ({'product': 'nvidia-h100-*'}, 'nvidia-h100-pcie', True),
    ({'product': 'nvidia-h100-*'}, 'nvidia-h200-sxm', False),
    # A catalogue with rows of a site has named it.
    ({'product': 'nvidia-h100-*'}, 'nvidia-h100-acme', True),
    ({'product': 'nvidia-h100-*'}, None, False),
    ({'product': 'nvidia-h100-*', 'arch': 'hopper'}, 'nvidia-h100-nvl', True),
    ({'product': '*-nvl', 'arch': 'hopper'}, 'nvidia-a30', False)])
def test_devices_are_selected_by_pattern_and_architecture(
        match: dict[str, Any], product: str | None, selected: bool) -> None:
    [group] = _declared(match={'kind': 'gpu', **match}).groups
    assert matching.matches(group, _of(product)) is selected
    hidden = dataclasses.replace(_of(product), unread=('identity',))
    assert matching.may_match(group, hidden) is (selected or product is None)


def test_each_product_has_its_version() -> None:
    wanted = _declared(firmware={'gpu': {
        'nvidia-h100-sxm': {'version': '96.00.01'},
        'nvidia-h100-*': {'version': '96.00.02'}}})
    made = plan(box(_of('nvidia-h100-sxm', 1), _of('nvidia-h100-pcie', 2)),
                wanted)
    assert [p.item.device for p in made.satisfied] == ['gpu-1']
    [no] = made.refused
    assert (no.item.device, no.expected, no.seen) == (
        'gpu-2', '96.00.02', '96.00.01')


@pytest.mark.parametrize(('product', 'reason'), [
    ('nvidia-a30', 'the profile has no version for product nvidia-a30'),
    (None, 'the profile has versions by product, and the product of the '
           'device is not known')])
def test_a_product_that_is_not_listed_is_refused_by_name(
        product: str | None, reason: str) -> None:
    wanted = _declared(firmware={'gpu': {
        'nvidia-h100-sxm': {'version': '96.00.01'},
        'nvidia-h100-pcie': {'version': '96.00.01'}}})
    made = plan(box(_of('nvidia-h100-sxm', 1), _of(product, 2)), wanted)
    [no] = made.refused
    assert (no.item.device, no.item.name) == ('gpu-2', 'gpu')
    assert (no.reason, no.seen) == (reason, product)
    assert no.expected == 'nvidia-h100-sxm or nvidia-h100-pcie'
    assert not made.stages
    other = _declared(firmware={'gpu': {
        'nvidia-h100-sxm': {'version': '96.00.01'},
        'any': {'version': '96.00.01', 'at_least': True}}})
    assert plan(box(_of('nvidia-h100-sxm', 1), _of(product, 2)),
                other).converged


def _nic(current: Any, pending: Any = None) -> Device:
    mode = Mode('link-type', current, pending, None,
                Activation.DEVICE_RESET, True)
    return Device('nic-1', 'nic', 'nvidia', product='nvidia-connectx-7',
                  health='OK', modes=(mode,))


@pytest.mark.parametrize(('current', 'state'), [
    (('eth', 'eth'), 'satisfied'), (('eth',), 'satisfied'),
    (('eth', 'ib'), 'changed'), (('ib',), 'changed'), (None, 'refused')])
def test_one_link_type_is_that_of_every_port(current: Any, state: str
                                             ) -> None:
    wanted = _declared(match={'kind': 'nic'}, modes={'link-type': 'eth'})
    made = plan(box(_nic(current)), wanted)
    assert made.converged is (state == 'satisfied')
    assert bool(made.stages) is (state == 'changed')
    assert bool(made.refused) is (state == 'refused')
    for stage in made.stages:
        # What is written has a value for each port, as in format 1.
        assert [i.wanted for a in stage.actions if a.verb == 'set'
                for i in a.items] == [('eth',) * len(current)]


@pytest.mark.parametrize('wanted', [['eth'], ['eth', 'eth', 'eth']])
def test_a_list_for_another_number_of_ports_is_refused_before_a_write(
        wanted: list[str]) -> None:
    made = plan(box(_nic(('ib', 'eth'))), _declared(
        match={'kind': 'nic'}, modes={'link-type': wanted}))
    [no] = made.refused
    assert no.reason == ('the profile does not have one value for each port '
                         'of the device')
    assert (no.expected, no.seen) == ('2 values', tuple(wanted))
    assert not made.stages


def test_a_staged_link_type_is_the_same_while_no_port_is_reported() -> None:
    wanted = _declared(match={'kind': 'nic'}, modes={'link-type': 'eth'})
    staged = Staged(Item('nic-1', 'link-type', 'mode', ('eth', 'eth')),
                    Activation.DEVICE_RESET)
    waiting = plan(box(_nic(None)), wanted, (staged,))
    assert not waiting.refused
    assert waiting.stages[0].staged
    other = _declared(match={'kind': 'nic'}, modes={'link-type': 'ib'})
    assert plan(box(_nic(None)), other, (staged,)).refused
    seen = plan(box(_nic(('ib', 'ib'), ('eth', 'eth'))), wanted)
    assert not seen.refused and seen.stages[0].staged
