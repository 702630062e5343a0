"""`traitgraph explain CODE` or `explain KEY|LABEL SPEC`: what a message means; what a job is and why it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_store, plan_of
from .output import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CODE | KEY|LABEL SPEC [key=value ...] [--store DIR]."""
    what = "the code of a message (TG101); or a job by the start of its key or its label ('train extraversion high')"
    parser.add_argument("what", metavar="CODE|KEY|LABEL", help=what)
    parser.add_argument("spec", nargs="?", type=Path, metavar="SPEC", help="for a job: the YAML file of its study")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that replace those of the file")
    parser.set_defaults(multirun=False)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation of a code or of a job."""
    if options.spec is not None:
        from traitgraph.api.planning import stored_rows
        from traitgraph.compiler.views.explain import explain_job, find_job

        plan = plan_of(options)
        row = find_job(plan, options.what)
        sys.stdout.write(explain_job(plan, row, stored_rows(plan.store, plan.draft.locate(row)[0].kind)))
        return 0
    from traitgraph.specs.source.codes import CODES, explain
    from traitgraph.specs.source.diagnostics import near_names

    text = explain(options.what)
    if text is None:
        near = ", ".join(near_names(options.what, CODES)) or "codes look like TG101"
        raise UsageError(
            f"no message has the code {options.what!r}; near: {near}\n"
            "for a job, by the start of its key or its label: traitgraph explain KEY SPEC"
        )
    sys.stdout.write(text)
    return 0
