"""`traitgraph compile SPEC --after PASS`: the intermediate form of a study, for whoever looks into the compiler."""

from __future__ import annotations

import argparse
import sys

from .options import add_spec, study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--after PASS]."""
    add_spec(parser)
    after = "print the form after this pass, led by what the pass does (default: the last one)"
    parser.add_argument("--after", metavar="PASS", help=after)


def run(options: argparse.Namespace) -> int:
    """Print the tables as they stand after a pass; the store is not looked at."""
    from traitgraph.compiler.ir.context import Context
    from traitgraph.compiler.pipeline import PASSES, draft_after

    name = options.after or PASSES[-1].__name__
    sys.stdout.write(draft_after(study_of(options), Context(), name).rstrip("\n") + "\n")
    return 0
