"""`traitgraph diff OLD NEW`: which jobs of two specs differ, and which field is the cause."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_json, add_store
from .output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """OLD NEW [--store DIR] [--json] [--exit-code]."""
    parser.add_argument("old", type=Path, metavar="OLD", help="a spec")
    parser.add_argument("new", type=Path, metavar="NEW", help="another spec")
    add_store(parser)
    add_json(parser)
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 when results would differ")


def run(options: argparse.Namespace) -> int:
    """Print what would run again; names, comments and resources are no difference."""
    from traitgraph import Store
    from traitgraph.api.planning import plan_study
    from traitgraph.compiler.views.diff import diff_json, diff_plans, diff_text
    from traitgraph.specs.checks.validate import load_study

    store = Store(options.store)
    old, new = (plan_study(load_study(path), store) for path in (options.old, options.new))
    difference = diff_plans(old, new)
    if options.json:
        print_json(diff_json(difference))
    else:
        sys.stdout.write(diff_text(difference).rstrip("\n") + "\n")
    return 1 if options.exit_code and difference.changes_results else 0
