"""`traitgraph status SPEC`: how far a study is, and what failed."""

from __future__ import annotations

import argparse
import sys

from .options import add_json, add_spec, add_store
from .output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print counts by kind, running jobs and standing failures; 1 when a job has failed."""
    from traitgraph.launchers.planning import plan_study
    from traitgraph.launchers.status import status_json, status_text, study_status
    from traitgraph.runtime.store import Store
    from traitgraph.specs.validate import load_study

    store = Store(options.store)
    status = study_status(plan_study(load_study(options.spec, options.overrides), store), store)
    if options.json:
        print_json(status_json(status))
    else:
        again = " ".join(["traitgraph run", str(options.spec), *options.overrides])
        sys.stdout.write(status_text(status, again) + "\n")
    return 1 if status.failures else 0
