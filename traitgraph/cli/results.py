"""`traitgraph results SPEC`: the rows of the results table."""

from __future__ import annotations

import argparse
import sys

from .options import add_select, add_spec, add_store, plan_of
from .output import UsageError, say
from .slurm import run_call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--select SELECTOR] [--csv | --json]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values with a header (the default)")
    form.add_argument("--json", action="store_true", help="one JSON array of objects")


def run(options: argparse.Namespace) -> int:
    """Print every row whose assessment is in the store; say on standard error how many assessments are missing."""
    from traitgraph.api.planning import set_aside_damaged
    from traitgraph.runtime.report.results import result_rows, to_json, write_csv

    _, store, plan = plan_of(options)
    for damage in set_aside_damaged(plan.cells, store):
        say(damage)
    rows, missing = result_rows(plan.cells, store)
    if not rows:
        raise UsageError(
            f"no result of {plan.study} is in {options.store}; next: {run_call(options, store, plan.study)}"
        )
    if options.json:
        sys.stdout.write(to_json(rows))
    else:
        write_csv(rows, sys.stdout)
    if missing:
        absent, asked = len({cell.job for cell in missing}), len({cell.job for cell in plan.cells})
        say(f"{absent:,} of {asked:,} assessments are not in {options.store}")
        say(f"next: {run_call(options, store, plan.study)}")
    return 0
