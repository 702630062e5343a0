"""`traitgraph plan SPEC`: what would run, what is there already, and why."""

from __future__ import annotations

import argparse
import sys

from .options import add_json, add_spec, add_store, study_of
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan; nothing is run or written."""
    from traitgraph.compiler.print_plan import plan_json, plan_text
    from traitgraph.launchers.planning import plan_study
    from traitgraph.runtime.store import Store

    plan = plan_study(study_of(options), Store(options.store))
    if options.json:
        print_json(plan_json(plan))
        return 0
    sys.stdout.write(plan_text(plan))
    say(f"next: traitgraph run {options.spec}" if plan.counts.missing else f"next: traitgraph report {options.spec}")
    return 0
