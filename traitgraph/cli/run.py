"""`traitgraph run SPEC`: run what is missing, here or on SLURM; then write the report."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.api.calls import tell_people
from traitgraph.specs.source.yaml_errors import is_saved_plan

from .options import add_select, add_spec, add_store, same_call, study_of
from .output import UsageError, say

if TYPE_CHECKING:
    from traitgraph.api.calls import Told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC|PLAN [key=value ...] [--store DIR] [--select SELECTOR] [--launcher local|slurm] ..."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    workers = "worker processes side by side on this machine (default: %(default)s)"
    parser.add_argument("--workers", type=int, default=1, metavar="N", help=workers)
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="(default: %(default)s)")
    dearest = "refuse to start when the plan may take more GPU hours (without a GPU: CPU hours)"
    parser.add_argument("--max-gpu-hours", type=float, metavar="HOURS", help=dearest)
    parser.add_argument("--dry-run", action="store_true", help="slurm: print the batch scripts and submit nothing")
    export = "slurm: write the scripts and the job table here, for `sh submit.sh` on a login node"
    parser.add_argument("--export", type=Path, metavar="DIR", help=export)


def run(options: argparse.Namespace) -> int:
    """Run a study; 0 when every job is in the store (or submitted), 1 when one failed or the run was stopped."""
    from traitgraph.api.running import AS_IT_IS, RunSummary, check_call, run

    check_call(options.launcher, options.workers, options.max_gpu_hours, options.dry_run or bool(options.export))
    is_saved = is_saved_plan(options.spec)
    if is_saved and (options.overrides or options.multirun):
        raise UsageError(AS_IT_IS)

    def tell(what: Told) -> None:
        if isinstance(what, RunSummary):
            by_key = bool(options.overrides)  # `logs` takes none: its spec is the file as it stands
            say(what.text(same_call("run", options), "" if is_saved else _logs_call(options), by_key=by_key))
        else:
            tell_people(what)

    what = options.spec if is_saved else study_of(options)
    done = run(
        what,
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


def _logs_call(options: argparse.Namespace) -> str:
    """The command that prints the log of a job, but for its name."""
    asked = argparse.Namespace(spec=options.spec, overrides=[], multirun=False, store=options.store)
    return same_call("logs", asked)
