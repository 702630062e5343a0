"""`traitgraph status SPEC`: how far a study is, and what failed."""

from __future__ import annotations

import argparse
import sys

from .options import add_json, add_select, add_spec, add_store, study_of
from .output import print_json, say
from .slurm import next_call


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
    else:
        sys.stdout.write(status_text(found, next_call(options, study, found.slurm)) + "\n")
    return 0 if found.ok else 1
