"""`traitgraph report SPEC`: render the report again from what the store holds."""

from __future__ import annotations

import argparse
import sys

from .options import add_spec, add_store, study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR]."""
    add_spec(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Write the report and print its path."""
    from traitgraph.launchers.planning import plan_study
    from traitgraph.launchers.reporting import write_study_report
    from traitgraph.runtime.store import Store

    study = study_of(options)
    store = Store(options.store)
    report = write_study_report(study, plan_study(study, store), store, overrides=options.overrides)
    sys.stdout.write(f"{report}\n")
    return 0
