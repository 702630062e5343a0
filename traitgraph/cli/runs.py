"""Commands about the runs of a study, here or on SLURM: start one, look at it, wait for it, try again, end it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.api.calls import UsageError, say, tell_people
from traitgraph.specs.source.yaml_errors import is_saved_plan

from .options import add_select, add_store, same_call, study_of
from .output import print_json

if TYPE_CHECKING:
    from traitgraph import Store, Study
    from traitgraph.api.calls import Told
    from traitgraph.api.slurm import RunStatus, SubmissionRecord


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """[--workers N] [--launcher local|slurm] [--max-gpu-hours HOURS] [--dry-run] [--export DIR]."""
    workers = "worker processes side by side on this machine (default: %(default)s)"
    parser.add_argument("--workers", type=int, default=1, metavar="N", help=workers)
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="(default: %(default)s)")
    dearest = "refuse to start when the plan may take more GPU hours (without a GPU: CPU hours)"
    parser.add_argument("--max-gpu-hours", type=float, metavar="HOURS", help=dearest)
    parser.add_argument("--dry-run", action="store_true", help="slurm: print the batch scripts and submit nothing")
    export = "slurm: write the scripts and the job table here, for `sh submit.sh` on a login node"
    parser.add_argument("--export", type=Path, metavar="DIR", help=export)


def do_run(options: argparse.Namespace) -> int:
    """Run a study; 0 when every job is in the store (or submitted), 1 when one failed or the run was stopped."""
    from traitgraph.api.running import AS_IT_IS, RunSummary, check_call, run

    check_call(options.launcher, options.workers, options.max_gpu_hours, options.dry_run or bool(options.export))
    is_saved = is_saved_plan(options.spec)
    if is_saved and (options.overrides or options.multirun):
        raise UsageError(AS_IT_IS)

    def tell(what: Told) -> None:
        if isinstance(what, RunSummary):
            by_key = bool(options.overrides)  # `logs` takes none: its spec is the file as it stands
            plain = argparse.Namespace(spec=options.spec, overrides=[], multirun=False, store=options.store)
            say(what.text(same_call("run", options), "" if is_saved else same_call("logs", plain), by_key=by_key))
        else:
            tell_people(what)

    done = run(
        options.spec if is_saved else study_of(options),
        options.store,
        select=options.select,
        launcher=options.launcher,
        workers=options.workers,
        max_gpu_hours=options.max_gpu_hours,
        dry_run=options.dry_run,
        export=options.export,
        tell=tell,
    )
    sys.stdout.write(done.scripts)
    if done.export:
        say(f"next, on a login node: sh {shlex.quote(str(done.export))}")
    elif done.launch:
        say(f"next: {same_call('status', options)} --watch    # or wait; you may log out")
    elif options.select and done.ok and not done.scripts:
        say(f"next: {same_call('report', options)}    # of all that is in the store; a selection writes none")
    return 0 if done.ok else 1


def run_call(options: argparse.Namespace, study: Study) -> str:
    """The words that run what is missing of a study: where it went before, lest a login node trains."""
    from traitgraph import Store
    from traitgraph.api.slurm import newest_submission

    before = newest_submission(Store(options.store), study.study)
    return same_call("run", options) + (" --launcher slurm" if before else "")


def status_arguments(parser: argparse.ArgumentParser) -> None:
    """[--watch] [--every SECONDS]."""
    parser.add_argument("--watch", action="store_true", help="on SLURM: show it again and again until the run is over")
    every = "with --watch: ask SLURM this often (default: %(default)s)"
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help=every)


def do_status(options: argparse.Namespace) -> int:
    """Print what the store holds of a study and how its newest SLURM run stands.

    1 when a job has failed, or when the SLURM run is over and has left something out.
    """
    from traitgraph import Store
    from traitgraph.api.slurm import newest_submission, watch
    from traitgraph.api.slurm import status_text as slurm_text
    from traitgraph.api.status import status, status_json, status_text

    study = study_of(options)
    store = Store(options.store)
    if options.watch and (submission := newest_submission(store, study.study)):
        watch(store, submission, lambda found: say(slurm_text(found)), seconds=options.every)
    found = status(study, store, select=options.select)
    if options.json:
        print_json(status_json(found))
        return 0 if found.ok else 1
    if found.slurm is None or not (found.slurm.is_active or found.slurm.failures):
        again = run_call(options, study)
    else:
        whole = argparse.Namespace(**{**vars(options), "select": []})  # of a run, not of a selection
        again = same_call("wait" if found.slurm.is_active else "retry", whole)
    sys.stdout.write(status_text(found, again) + "\n")
    return 0 if found.ok else 1


def logs_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [JOB] [--select SELECTOR] [--store DIR] [-f] [--events]."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file of a study")
    which = "a job by the start of its key or a part of its label ('train extraversion'), or a task by its id"
    parser.add_argument("job", nargs="?", metavar="JOB", help=which)
    add_select(parser)
    add_store(parser)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on printing until the task ends; wait for its start"
    )
    parser.set_defaults(overrides=[], multirun=False)
    parser.add_argument("--events", action="store_true", help="print the lines for machines as well")


def do_logs(options: argparse.Namespace) -> int:
    """Print the newest log of each task that has the job."""
    from traitgraph import Store
    from traitgraph.api.study_runs import RunWatch, job_logs, lines_of, readable

    if bool(options.job) == bool(options.select):
        raise UsageError("name one job, or select some with --select: traitgraph logs SPEC 'train extraversion'")
    study = study_of(options)
    found = job_logs(study, options.store, options.job, options.select, starting=options.follow)
    watch = RunWatch(Store(options.store), found[0].run) if options.follow else None
    for log in found:
        say(f"--- {log.task}: {log.path}")
        for line in lines_of(log, watch):
            if options.events or readable(line):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    return 0


# ---------------------------------------------------------------- runs on SLURM


def _submission_of(options: argparse.Namespace) -> tuple[Study, Store, SubmissionRecord]:
    """The SLURM run that a command is about. Raises UsageError when there is none."""
    from traitgraph import Store
    from traitgraph.api.slurm import check_installed, find_submission

    check_installed()
    study = study_of(options)
    store = Store(options.store)
    return study, store, find_submission(store, study.study, options.run_id, options.store)


def wait_arguments(parser: argparse.ArgumentParser) -> None:
    """[--timeout SECONDS] [--every SECONDS]."""
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after this long (default: never)")
    every = "ask SLURM this often (default: %(default)s)"
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help=every)


def do_wait(options: argparse.Namespace) -> int:
    """Wait, and say on standard error why tasks wait whenever that changes; 0 when every job of the run is done."""
    from traitgraph.api.slurm import status_text, watch

    _, store, record = _submission_of(options)
    status = watch(store, record, _said_once(), seconds=options.every, timeout=options.timeout)
    sys.stdout.write(status_text(status) + "\n")
    if status.is_active:
        say("still running")
    say(f"next: {same_call('report' if status.ok else 'status' if status.is_active else 'retry', options)}")
    return 0 if status.ok else 1


def _said_once() -> Callable[[RunStatus], None]:
    """A view that says why tasks wait when the reasons are not those of the last look; how many wait is no reason."""
    last: list[str] = []

    def show(status: RunStatus) -> None:
        reasons = sorted(line.lstrip("0123456789,") for line in status.waits)
        if reasons and reasons != last:
            say("\n".join(status.waits))
        last[:] = reasons

    return show


def do_retry(options: argparse.Namespace) -> int:
    """Submit again what a run left missing, with more of what it ran out of."""
    from traitgraph.api.slurm import retry

    study, store, record = _submission_of(options)
    tried = retry(store, record, study)
    if tried.launch is None:
        waiting = f"; {tried.left_out} jobs are left to tasks that still wait or run" if tried.left_out else ""
        say(f"run {record.run.id}: nothing to try again{waiting}")
        return 0
    say(tried.launch.text())
    if tried.escalated:
        say(f"{tried.escalated} jobs ask for more memory or time than before")
    say(f"next: {same_call('status', options)} --watch")
    return 0


def do_cancel(options: argparse.Namespace) -> int:
    """Cancel what waits and runs of one run and of no other; what is in the store stays."""
    from traitgraph.api.slurm import cancel

    _, _, record = _submission_of(options)
    say(f"run {record.run.id}: {cancel(record)} tasks cancelled; next: {same_call('run', options)} --launcher slurm")
    return 0


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """[--timeout SECONDS]."""
    patience = "wait so long for a compute node; where queues are long, longer (default: %(default)g)"
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help=patience)


def do_doctor(options: argparse.Namespace) -> int:
    """Look at the SLURM site of a study: print every check as it is made, or all as JSON; 1 when one of them is bad."""
    from traitgraph.api.slurm import check_installed, examine_site

    check_installed()
    checks = []
    for check in examine_site(study_of(options), options.store, options.timeout):
        checks.append(check)
        if not options.json:
            print(check, flush=True)
    healthy = all(check.ok for check in checks)
    if options.json:
        print_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
    elif healthy:
        say(f"next: {same_call('run', options)} --launcher slurm")
    return 0 if healthy else 1
