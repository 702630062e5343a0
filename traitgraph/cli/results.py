"""`traitgraph results SPEC`: the rows of the results table."""

from __future__ import annotations

import argparse
import sys

from .options import add_spec, add_store, study_of
from .output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--csv | --json]."""
    add_spec(parser)
    add_store(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values with a header (the default)")
    form.add_argument("--json", action="store_true", help="one JSON array of objects")


def run(options: argparse.Namespace) -> int:
    """Print every row whose assessment is in the store; say on standard error how many assessments are missing."""
    from traitgraph.launchers.planning import plan_study
    from traitgraph.runtime.results import result_rows, to_json, write_csv
    from traitgraph.runtime.store import Store

    store = Store(options.store)
    plan = plan_study(study_of(options), store)
    rows, missing = result_rows(plan.cells, store)
    if options.json:
        sys.stdout.write(to_json(rows))
    else:
        write_csv(rows, sys.stdout)
    if missing:
        say(f"{len(missing):,} of {len(plan.cells):,} assessments are not in {options.store}")
        say(f"next: traitgraph run {options.spec}")
    return 0
