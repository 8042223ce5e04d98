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

"""``baremetal accelerator template create`` and ``runbook create``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import profile as profile_module
from ironic_accel.faces.osc.errors import Missing
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report.fleet_profiles import FleetProfiles
from ironic_accel.faces import view
from ironic_accel.model import step_templates

Document = Mapping[str, Any]
Changes = list[dict[str, Any]]

#: What happens, by whether it is done: ``--dry-run`` does not.
CREATED = ('would be created', 'created')
REPLACED = ('would be replaced', 'replaced')
UNCHANGED, DIFFERS = 'unchanged', 'differs'
#: The fields of the object of the API that are compared.
_FIELDS = ('steps', 'disable_ramdisk', 'traits')


class _Create(base.ShowOne):
    """Create an object of Ironic that applies a site profile."""

    #: What the object is called.
    what = ''
    #: The fields that are replaced.
    fields: tuple[str, ...] = ('steps',)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        parser.add_argument('profile', metavar='<profile>',
                            help='Name of a site profile.')
        parser.add_argument(
            '--via', choices=step_templates.TRANSPORTS,
            help='Transport: redfish for an out-of-band step before the '
                 'ramdisk boots, agent for a step that uses both the ramdisk '
                 'and the BMC (default: agent if the profile has firmware or '
                 'modes that no BMC can write).')
        parser.add_argument(
            '--interface', choices=step_templates.INTERFACES,
            help='Type of the interface of the nodes that has the steps '
                 '(default: that of one node of each conductor that has the '
                 'profile).')
        parser.add_argument(
            '--replace', action='store_true',
            help=f'Change a {self.what} of this name that differs. Without '
                 'it the differences are shown and nothing is changed.')
        parser.add_argument(
            '--dry-run', action='store_true',
            help='Show what would be sent, and change nothing.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Compare with what there is, and create or replace it."""
        ironic = self.ironic
        wanted = self.body(ironic, _document(ironic, parsed_args))
        name = str(wanted['name'])
        there = self._there(ironic, name)
        differs = [] if there is None else differences(there, wanted)
        done = not parsed_args.dry_run
        if there is None:
            outcome = CREATED[done]
            there = self.create(ironic, wanted) if done else {}
        elif not differs:
            outcome = UNCHANGED
        elif parsed_args.replace:
            outcome = REPLACED[done]
            changes = self._changes(ironic, there, wanted)
            if done:
                self.replace(ironic, there, wanted, changes)
        else:
            outcome = DIFFERS
            self.status = base.REFUSED
            self.say(f'{self.what} {name} differs, nothing was changed; next: '
                     'check the differences and use --replace')
        return _shown({
            'name': name, 'profile': parsed_args.profile, 'outcome': outcome,
            'uuid': there.get('uuid')}, differs, wanted)

    def _there(self, ironic: api.Ironic, name: str) -> Document | None:
        try:
            return self.read(ironic, name)
        except Missing:
            return None

    def body(self, ironic: api.Ironic, doc: Document) -> dict[str, Any]:
        """The object as it has to be, with its ``traits`` if it has such.

        :param doc: of the profile, see ``step_templates.document``.
        :raises: CommandError if there is none for the profile.
        """
        raise NotImplementedError

    def read(self, ironic: api.Ironic, name: str) -> dict[str, Any]:
        """The object as it is.

        :raises: Missing if there is none.
        """
        raise NotImplementedError

    def create(self, ironic: api.Ironic, wanted: Document) -> Document:
        """Create the object."""
        raise NotImplementedError

    def _changes(self, ironic: api.Ironic, there: Document,
                 wanted: Document) -> Changes:
        """The JSON patch of the fields that differ.

        Ironic 32 and 35 let no patch of a runbook change disable_ramdisk.

        :raises: CommandError if one cannot be changed.
        """
        found = changes_of(there, wanted, self.fields)
        if not ironic.has_runbook_traits and any(
                one['path'] == '/disable_ramdisk' for one in found):
            raise CommandError(
                f"runbook {wanted['name']}: disable_ramdisk cannot be changed "
                'before API 1.112; next: baremetal runbook delete '
                f"{wanted['name']}, and repeat the command")
        return found

    def replace(self, ironic: api.Ironic, there: Document, wanted: Document,
                changes: Changes) -> None:
        """Change the fields that differ, and no others."""
        raise NotImplementedError


class TemplateCreate(_Create):
    """Create the deploy template that applies a site profile.

    Its name is the CAN trait of the profile: if the flavor of a server
    requires that trait, the profile is applied while the server is deployed.
    A template that is there already is left as it is. The exit code is 3 if
    it differs and --replace is not given.
    """

    what = 'deploy template'

    def body(self, ironic: api.Ironic, doc: Document) -> dict[str, Any]:
        """The deploy template."""
        if doc['deploy_template'] is None:
            raise CommandError(
                f"profile {doc['name']} is not offered: no node gets its CAN "
                'trait, which has to be the name of the deploy template; '
                "next: add 'offered: true' to the profile on all conductors")
        return dict(doc['deploy_template'])

    def read(self, ironic: api.Ironic, name: str) -> dict[str, Any]:
        """The deploy template of that name."""
        return ironic.deploy_template(name)

    def create(self, ironic: api.Ironic, wanted: Document) -> Document:
        """Create the deploy template."""
        return ironic.create_deploy_template(wanted)

    def replace(self, ironic: api.Ironic, there: Document, wanted: Document,
                changes: Changes) -> None:
        """Replace its steps."""
        ironic.update_deploy_template(str(wanted['name']), changes)


class RunbookCreate(_Create):
    """Create the runbook that applies a site profile by cleaning.

    It can be used for manual cleaning, servicing and automated cleaning of
    nodes that have the trait of its name: the CAN trait of the profile if it
    is offered, else CUSTOM_RUNBOOK_<profile>. Traits that were added to the
    runbook (API 1.112) are kept. A runbook that is there already is left as
    it is. The exit code is 3 if it differs and --replace is not given.
    """

    what = 'runbook'
    fields = ('steps', 'disable_ramdisk')

    def body(self, ironic: api.Ironic, doc: Document) -> dict[str, Any]:
        """The runbook, with its traits where runbooks have such."""
        found = dict(doc['runbook'])
        if ironic.has_runbook_traits:
            found['traits'] = doc['runbook_traits']
        if doc['deploy_template'] is None:
            self.say(f"profile {doc['name']} is not offered: the runbook is "
                     f"for nodes with the trait {found['name']}; next: "
                     f"baremetal node add trait NODE {found['name']}")
        return found

    def read(self, ironic: api.Ironic, name: str) -> dict[str, Any]:
        """The runbook of that name."""
        return ironic.runbook(name)

    def create(self, ironic: api.Ironic, wanted: Document) -> Document:
        """Create the runbook, then add its traits."""
        made = ironic.create_runbook(
            {k: v for k, v in wanted.items() if k != 'traits'})
        self._add_traits(ironic, {'traits': []}, wanted)
        return made

    def replace(self, ironic: api.Ironic, there: Document, wanted: Document,
                changes: Changes) -> None:
        """Replace its steps, and add the traits that are missing."""
        if changes:
            ironic.update_runbook(str(wanted['name']), changes)
        self._add_traits(ironic, there, wanted)

    def _add_traits(self, ironic: api.Ironic, there: Document,
                    wanted: Document) -> None:
        for trait in wanted.get('traits') or ():
            if trait not in (there.get('traits') or ()):
                ironic.add_runbook_trait(str(wanted['name']), trait)


def _shown(fields: Document, differs: list[str], wanted: Document,
           ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The outcome with the differences, and what is sent to the API."""
    found = {
        **fields, 'differences': formatters.Cell(
            differs, '\n'.join(differs) or 'none'),
        **{k: wanted[k] for k in _FIELDS if k in wanted},
        'steps': formatters.Cell(
            wanted['steps'], '\n'.join(map(step_text, wanted['steps'])))}
    return tuple(found), formatters.row(*found.values())


def _document(ironic: api.Ironic, args: argparse.Namespace) -> Document:
    """The objects of the site profile, as the conductors have it.

    :raises: CommandError for a file, and for a profile that conductors do
        not have or have differently.
    """
    name = args.profile
    if profile_module.is_file(name):
        raise CommandError(
            f'<profile>: {name}: expected the name of a site profile, which '
            'the steps name; next: ironic-accel templates --profile '
            f'{name} prints the bodies for a file')
    found = profile_module.site_profiles(ironic)
    profile, hosts = found.single(name, '<profile>')
    wants = found.steps.get((profile.name, profile.digest))
    if wants is None:
        raise CommandError(
            f'profile {name}: its conductors are of an earlier release, which '
            'does not report what its steps depend on; next: ironic-accel '
            'templates --profile FILE prints the bodies')
    return step_templates.document(
        profile, wants, args.via, args.interface or _interface(found, hosts))


def _interface(found: FleetProfiles, hosts: Iterable[str]) -> str:
    """The interface that has the steps on all of some conductors.

    :raises: CommandError if they differ.
    """
    kinds = {host: found.interfaces.get(host, step_templates.INTERFACES[0])
             for host in hosts}
    if len(set(kinds.values())) > 1:
        raise CommandError(
            'the interface that has the steps differs between conductors: '
            + ', '.join(f'{kind} on {host}'
                        for host, kind in sorted(kinds.items()))
            + '; next: --interface, with that of the nodes that it is for')
    return kinds.popitem()[1]


def differences(there: Document, wanted: Document) -> list[str]:
    """What differs from what there is, a sentence each.

    What an operator added (traits, fields that are not compared) does not.
    """
    found = []
    have, want = _steps(there), _steps(wanted)
    if have != want:
        found.append(f"steps: {'; '.join(map(step_text, have)) or 'none'}, "
                     f"expected {'; '.join(map(step_text, want))}")
    if 'disable_ramdisk' in wanted and bool(there.get(
            'disable_ramdisk')) != wanted['disable_ramdisk']:
        found.append(
            f"disable_ramdisk: {view.value(there.get('disable_ramdisk'))}, "
            f"expected {view.value(wanted['disable_ramdisk'])}")
    missing = [t for t in wanted.get('traits') or ()
               if t not in (there.get('traits') or ())]
    if missing:
        found.append(f"traits: {view.value(there.get('traits'))}, expected "
                     f"also {view.value(missing)}")
    return found


def changes_of(there: Document, wanted: Document,
               names: tuple[str, ...]) -> Changes:
    """The JSON patch of the fields that differ."""
    return [{'op': 'replace', 'path': f'/{name}', 'value': wanted[name]}
            for name in names
            if (_steps(there) != _steps(wanted) if name == 'steps'
                else bool(there.get(name)) != wanted[name])]


def _steps(doc: Document) -> list[dict[str, Any]]:
    """The steps of an object in one form and order.

    The API takes priorities as texts too, and does not keep the order.
    """
    found = []
    for step in doc.get('steps') or ():
        one = {'interface': step.get('interface'), 'step': step.get('step'),
               'args': dict(step.get('args') or {})}
        for name in ('priority', 'order'):
            if name in step:
                one[name] = int(step[name])
        found.append(one)
    return sorted(found, key=lambda s: (
        -s.get('priority', 0), s.get('order', 0), str(s['step'])))


def step_text(step: Document) -> str:
    """A step in words: ``vendor.apply_profile ecc-on, priority 150``."""
    args = ', '.join(f'{k} {view.value(v)}'
                     for k, v in (step.get('args') or {}).items())
    place = ', '.join(f'{name} {step[name]}' for name in ('priority', 'order')
                      if name in step)
    return f"{step['interface']}.{step['step']} {args}, {place}"
