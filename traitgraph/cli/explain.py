"""`traitgraph explain CODE` or `traitgraph explain KEY SPEC`: what a message means; what a job is and why it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_store, plan_of
from .output import UsageError

if TYPE_CHECKING:
    from traitgraph.runtime.store import Store
    from traitgraph.specs.jobs import JobRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CODE | KEY SPEC [key=value ...] [--store DIR]."""
    parser.add_argument("what", metavar="CODE|KEY", help="the code of a message (TG101), or the start of a job's key")
    parser.add_argument("spec", nargs="?", type=Path, metavar="SPEC", help="with a key: the YAML file of its study")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that replace those of the file")
    parser.set_defaults(multirun=False)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation of a code or of a job."""
    if options.spec is not None:
        from traitgraph.compiler.explain import explain_job, find_job

        _, store, plan = plan_of(options)
        kind = plan.job_row(find_job(plan, options.what)).kind
        sys.stdout.write(explain_job(plan, options.what, _stored(store, kind)))
        return 0
    from traitgraph.specs.codes import CODES, explain

    text = explain(options.what)
    if text is None:
        known = ", ".join(sorted(CODES))
        raise UsageError(f"no message has the code {options.what!r}; there are: {known}\nfor a job: explain KEY SPEC")
    sys.stdout.write(text)
    return 0


def _stored(store: Store, kind: str) -> Iterator[JobRow]:
    """Rows of the artifacts of a kind."""
    from traitgraph.runtime.artifacts import BadArtifactError, read_manifest

    for key in store.keys(kind):
        try:
            yield read_manifest(store.path(kind, key)).row
        except (BadArtifactError, OSError):
            continue
