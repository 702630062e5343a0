"""`traitgraph report SPEC`: render the report again from what the store holds."""

from __future__ import annotations

import argparse
import sys

from .options import add_spec, add_store, plan_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR]."""
    add_spec(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Write the report and print its path."""
    from traitgraph.launchers.reporting import write_study_report

    study, store, plan = plan_of(options)
    sys.stdout.write(f"{write_study_report(study, plan, store, overrides=options.overrides)}\n")
    return 0
