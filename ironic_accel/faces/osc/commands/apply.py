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

"""``baremetal accelerator apply``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys
import time
from typing import Any

from ironic_accel.faces import command_line
from ironic_accel.faces import options
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import plan as plan_module
from ironic_accel.faces.osc.commands import profile as profile_module
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import apply_job
from ironic_accel.faces.osc.jobs.apply_job import ApplyJob
from ironic_accel.faces.osc.jobs.apply_job import STEPS
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs import refresh_job
from ironic_accel.faces.osc.jobs.refresh_job import RefreshJob
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc import selection
from ironic_accel.faces.osc import waiting
from ironic_accel.faces import plan_view
from ironic_accel.faces import ranges
from ironic_accel.faces import view
from ironic_accel.model.errors import comparison

COLUMNS = ('Node', 'Operation', 'Outcome', 'Seconds', 'Writes', 'Resets',
           'Verified', 'Note')


class Apply(base.Lister):
    """Apply a profile to nodes by manual cleaning or a service step.

    Manageable nodes are cleaned, active nodes are serviced. With --wait an
    available node is managed, cleaned and provided again. All nodes are
    checked before any of them is changed, and their plans are shown; on a
    terminal the command then asks. If the profile is being applied
    to a node already, the command waits for that operation. The exit code
    is 3 if the profile was refused, and 4 if a node failed.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        selection.add_yes(parser)
        profile_module.add_profile(parser)
        plan_module.add_step_options(parser)
        _add_waiting(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Check all nodes, then apply the profile."""
        profile = profile_module.profile(parsed_args)
        limit = waiting.limit(parsed_args)
        self._plans: list[tuple[str, api.Document]] = []
        jobs: list[ApplyJob] = selection.all_checked(
            selection.nodes(self, parsed_args),
            lambda ref: self._job(ref, profile, parsed_args))
        if _stays(parsed_args):
            began = time.monotonic()
            jobs = self._refreshed(jobs, profile, parsed_args, limit)
            if limit is not None:
                limit = max(limit - round(time.monotonic() - began), 1)
        refused = [j for j in jobs if j.refused is not None]
        if refused:
            self.status = base.REFUSED
            return COLUMNS, [
                row_refused(j, self._plan_command(j.ref, parsed_args))
                if j in refused else row(parallel.NodeRun(j)) for j in jobs]
        self._show_plans()
        if not self._agreed(parsed_args, [job.ref for job in jobs]):
            self.say('declined; nothing was started')
            self.status = base.REFUSED
            return COLUMNS, [row(parallel.NodeRun(j)) for j in jobs]
        if _stays(parsed_args):
            runs = parallel.run(jobs, progress_display.of(self.app),
                                parsed_args.max_in_flight,
                                parsed_args.keep_going, parsed_args.interval,
                                limit=limit)
        else:
            runs = parallel.begin_all(jobs)
        self.status = status(runs)
        return COLUMNS, [row(r) for r in runs]

    def _job(self, ref: str, profile: Any,
             args: argparse.Namespace) -> ApplyJob:
        node = self.ironic.managed(ref)
        stays = _stays(args)
        running = apply_job.in_progress(node, profile)
        if running is not None and stays:
            self.say(f'node {ref}: profile {args.profile} is being applied '
                     'already; waiting for that operation')
            return ApplyJob(self.ironic, ref, running[0], {},
                       attached=running[1])
        refresh_job.check_writable(node, ref)
        via = args.via or apply_job.default_transport(node)
        job = ApplyJob(self.ironic, ref,
                  apply_job.operation(node, ref, args.kind, stays), {
                      'interface': 'vendor', 'step': STEPS[via],
                      'args': _args(profile, args)},
                  node['provision_state'] == 'available')
        try:
            answer = plan_module.ask(
                self.ironic, ref, profile, **{
                    **plan_module.step_options(args), 'via': via,
                    'kind': job.kind})
        except Denied as error:
            # A caller who may clean may not be allowed to call passthru.
            self.say(f'{error.reason}; the conductor makes the plan when '
                     'the step runs')
            return job
        plan = answer['plan']
        job.planned(plan, via, bool(answer.get('outdated')),
                    answer.get('interface'))
        for line in (plan_view.headline(plan), *plan_view.notes(plan)):
            self.say(f'node {ref}: {line}')
        self._plans.append((ref, plan))
        return job

    def _refreshed(self, jobs: list[ApplyJob], profile: Any,
                   args: argparse.Namespace, limit: float | None
                   ) -> list[ApplyJob]:
        """The jobs, after new inventories of the nodes that need one.

        These are the nodes whose plan is refused because of an inventory from
        before their last operation, which failed. A refresh only reads: it
        does not change the power of a host here.
        """
        old = [job.ref for job in jobs if job.outdated]
        if not old:
            return jobs
        self.say(f'{view.count(len(old), "node")} ({ranges.words(old)}): the '
                 'last operation failed after the inventory was taken; taking '
                 'a new one before the plan')
        runs = parallel.run(
            [RefreshJob(self.ironic, ref, power_on=False) for ref in old],
            progress_display.of(self.app), args.max_in_flight or 10,
            keep_going=True, limit=limit)
        for run in runs:
            if run.outcome not in run_status.GOOD:
                why = run.status.error if run.status else None
                self.say(f'node {run.job.ref}: no new inventory: '
                         f'{why or run.outcome}')
        self._plans = [(ref, plan) for ref, plan in self._plans
                       if ref not in old]
        again = {job.ref: job for job in selection.all_checked(
            [run.job.ref for run in runs if run.outcome in run_status.GOOD],
            lambda ref: self._job(ref, profile, args))}
        return [again.get(job.ref, job) for job in jobs]

    def _plan_command(self, ref: str, args: argparse.Namespace) -> str:
        """The command that shows what is refused on a node."""
        # Without the options of the output.
        parser = argparse.ArgumentParser()
        profile_module.add_profile(parser)
        plan_module.add_step_options(parser)
        return command_line.shown('baremetal accelerator plan', parser, args,
                                  ref)

    def _show_plans(self) -> None:
        """Print the plans; nodes with the same one share a table."""
        alike: dict[str, list[str]] = {}
        for ref, plan in self._plans:
            if plan['stages']:
                alike.setdefault(view.plain(plan_view.table(plan)),
                                 []).append(ref)
        for table, refs in alike.items():
            self.say(f'{view.count(len(refs), "node")} '
                     f'({ranges.words(refs)}):\n{table}')

    def _agreed(self, args: argparse.Namespace,
                refs: Sequence[str]) -> bool:
        """Ask on a terminal whether to start; without one, go on.

        :raises: CommandError without a terminal and ``--yes``, for several
            nodes that filters selected.
        """
        writes = sum(p['counts']['writes'] for _, p in self._plans)
        resets = sum(p['counts']['resets'] for _, p in self._plans)
        stream = self.app.stderr
        if args.yes or not (writes or resets) or not (
                sys.stdin.isatty() and stream.isatty()):
            selection.confirm(self, args,
                              f'apply profile {args.profile} to', refs)
            return True
        print(f'{view.count(len(self._plans), "node")}: '
              f'{view.count(writes, "write")}, '
              f'{view.count(resets, "host reset")}. Continue? [y/N] ',
              end='', file=stream, flush=True)
        return sys.stdin.readline().strip().lower() in ('y', 'yes')


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    waiting.add_wait(
        parser, 'Wait until the operations have ended, and show progress.')
    parser.add_argument(
        '--max-in-flight', type=options.positive, default=0, metavar='<n>',
        help='Maximum number of nodes to change concurrently. Implies '
             '--wait. After a node has failed no further node is started.')
    parser.add_argument(
        '--keep-going', action='store_true',
        help='With --max-in-flight: start further nodes after a failure '
             'too.')
    parser.add_argument(
        '--interval', type=float, default=parallel.INTERVAL,
        metavar='<seconds>', help='Seconds between two reads of the status '
                                  'of a node (default: 2).')


def _stays(args: argparse.Namespace) -> bool:
    """Whether the command waits for the operations."""
    return waiting.is_asked(args) or bool(args.max_in_flight)


def _args(profile: Any, args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {'profile': profile}
    if args.max_activation is not None:
        found['max_activation'] = args.max_activation
    if args.allow_disruption:
        found['allow_disruption'] = True
    return found


def status(runs: Sequence[parallel.NodeRun]) -> int:
    """The exit code: that of the worst outcome."""
    bad = {r.outcome for r in runs} - run_status.GOOD - {'running'}
    if not bad:
        return 0
    return (base.REFUSED if bad - {'not started'} == {'refused'}
            else base.FAILED)


def row(run: parallel.NodeRun) -> tuple[Any, ...]:
    """The row of a node whose operation was started."""
    job: Any = run.job
    found = (run.status.result if run.status else None) or {}
    note = (run.status.error if run.status else None) or found.get(
        'no_is') or found.get('withheld')
    if run.outcome == parallel.TIMED_OUT and job.provides:
        note = (f'{note} --wait; when it has converged: baremetal node '
                f'provide {job.ref}')
    outcome = 'started' if run.outcome == 'running' else run.outcome
    return formatters.row(
        job.ref, job.kind, outcome, found.get('seconds'),
        found.get('writes'), found.get('resets'), found.get('proved'), note)


def row_refused(job: ApplyJob, command: str) -> tuple[Any, ...]:
    """The row of a node for which the plan is refused.

    :param command: the one that shows all that is refused.
    """
    first, *more = job.refused or ()
    text = f"{first['device']} {first['name']}: {first['reason']}"
    if first['expected'] is not None or first['seen'] is not None:
        text += comparison(view.value(first['expected']),
                           view.value(first['seen']))
    if more:
        text += f'; {len(more)} more, see: {command}'
    if job.outdated:
        text += ('; the last operation failed after the inventory was taken; '
                 f'next: baremetal accelerator refresh {job.ref}, then apply '
                 'again')
    return formatters.row(job.ref, job.kind, 'refused', None, 0, 0, None, text)
