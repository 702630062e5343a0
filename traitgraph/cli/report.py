"""`traitgraph report SPEC`: render the report again from what the store holds."""

from __future__ import annotations

import argparse
import sys

from .options import add_spec, add_store, plan_of
from .output import UsageError, say
from .slurm import run_call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR]."""
    add_spec(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Write the report and print its path; mirror the study where the spec asks for it."""
    from traitgraph.api.planning import set_aside_damaged
    from traitgraph.api.reporting import write_study_report
    from traitgraph.api.tracking import mirror

    study, store, plan = plan_of(options)
    for damage in set_aside_damaged(plan.cells, store):
        say(damage)
    if not any(store.has("assess", cell.job) for cell in plan.cells):
        raise UsageError(
            f"no result of study {plan.study} is in {options.store}; next: {run_call(options, store, plan.study)}"
        )
    page = write_study_report(study, plan, store, overrides=options.overrides)
    sys.stdout.write(f"{page}\n")
    if told := mirror(study, plan, store, page):
        say(told)
    return 0
