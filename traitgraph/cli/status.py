"""`traitgraph status SPEC`: how far a study is, and what failed."""

from __future__ import annotations

import argparse
import sys

from .options import add_json, add_select, add_spec, add_store, plan_of
from .output import print_json
from .slurm import newest_submission, next_call, slurm_status, watch_until_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--select SELECTOR] [--watch] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    add_json(parser)
    parser.add_argument("--watch", action="store_true", help="on SLURM: show it again and again until the run is over")
    every = "with --watch: ask SLURM this often (default: %(default)s)"
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help=every)


def run(options: argparse.Namespace) -> int:
    """Print what the store holds of a study and how its newest SLURM run stands.

    1 when a job has failed, or when the SLURM run is over and has left something out.
    """
    _, store, plan = plan_of(options)
    submission = newest_submission(store, plan.study)
    if options.watch and submission is not None:
        watch_until_over(store, submission, options.every)
        _, store, plan = plan_of(options)
    from traitgraph.api.status import status_json, status_text, study_status

    status = study_status(plan, store)
    slurm = slurm_status(store, submission) if submission is not None and status.missing else None
    code = 1 if status.failures or (slurm is not None and slurm.exit_code) else 0
    if options.json:
        from traitgraph.launchers.slurm.watch.run_status import status_json as slurm_json

        print_json(status_json(status) | ({"slurm": slurm_json(slurm)} if slurm else {}))
        return code
    if slurm is not None:
        from traitgraph.launchers.slurm.watch.run_status import status_text as slurm_text

        sys.stdout.write(slurm_text(slurm) + "\n\n")
    sys.stdout.write(status_text(status, next_call(options, store, plan.study, slurm)) + "\n")
    return code
