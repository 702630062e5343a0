"""`traitgraph run SPEC`: run what is missing, then write the report."""

from __future__ import annotations

import argparse
import importlib.util

from .options import add_spec, add_store, study_of
from .output import UsageError, say

NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "lm_eval", "matplotlib")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--workers N]."""
    add_spec(parser)
    add_store(parser)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="worker processes side by side (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Run a study on this machine; 0 when every job is in the store, 1 when one failed or the run was stopped."""
    from traitgraph.launchers.local import run_locally
    from traitgraph.launchers.planning import plan_study, set_aside_damaged
    from traitgraph.launchers.progress import progress_view
    from traitgraph.launchers.reporting import write_study_report
    from traitgraph.runtime.store import Store

    study = study_of(options)
    store = Store(options.store)
    plan = plan_study(study, store)
    if damages := set_aside_damaged(plan, store):
        say("\n".join([*damages, "made again in this run"]))
        plan = plan_study(study, store)
    counts = plan.counts
    say(f"study {plan.study}: {counts.jobs:,} jobs, {counts.present:,} in {options.store}, {counts.missing:,} to run")
    again = " ".join(["traitgraph run", str(options.spec), *options.overrides])
    code = 0
    if counts.missing:
        _check_installed()
        table = plan.job_table()
        with progress_view(table, durations=store.durations(), workers=options.workers) as view:
            summary = run_locally(table, store, workers=options.workers, observer=view)
        say(summary.text(again))
        code = summary.exit_code
    report = write_study_report(study, plan, store, overrides=options.overrides)
    say(f"report: {report}")
    return code


def _check_installed() -> None:
    missing = [name for name in NEEDED if not _is_installed(name)]
    if missing:
        raise UsageError(f"not installed: {', '.join(missing)}; to run jobs here: pip install 'traitgraph[run]'")


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
