"""`traitgraph graph SPEC`: the job graph for other programs."""

from __future__ import annotations

import argparse
import sys

from .options import add_select, add_spec, add_store, plan_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--format mermaid|dot|json] [--full]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    parser.add_argument(
        "--format", choices=("mermaid", "dot", "json"), default="mermaid", help="(default: %(default)s)"
    )
    parser.add_argument("--full", action="store_true", help="every job, not one box per kind and benchmark")


def run(options: argparse.Namespace) -> int:
    """Print the graph."""
    from traitgraph.compiler.views.graph import graph_text

    plan = plan_of(options)
    sys.stdout.write(graph_text(plan.draft, options.format, full=options.full).rstrip("\n") + "\n")
    return 0
