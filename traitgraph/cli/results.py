"""`traitgraph results SPEC`: the rows of the results table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_select, add_spec, add_store, study_of
from .output import UsageError, say
from .slurm import run_call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--select SELECTOR] [--csv | --json | -o FILE]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values with a header (the default)")
    form.add_argument("--json", action="store_true", help="one JSON array of objects, with typed values")
    where = "write them to a file instead, as its suffix says: .csv, .json or .parquet"
    form.add_argument("-o", "--output", type=Path, metavar="FILE", help=where)


def run(options: argparse.Namespace) -> int:
    """Print or write every row whose assessment is in the store; say on standard error how many are missing."""
    from traitgraph.api.reading import results, to_json, write_csv

    study = study_of(options)
    found = results(study, options.store, select=options.select)
    if not found:
        raise UsageError(f"no result of {study.study} is in {options.store}; next: {run_call(options, study)}")
    if options.output:
        found.write(options.output)
    elif options.json:
        sys.stdout.write(to_json(found))
    else:
        write_csv(found, sys.stdout)
    if found.missing:
        say(f"{found.absent:,} of {found.asked:,} assessments are not in {options.store}")
        say(f"next: {run_call(options, study)}")
    return 0
