"""`traitgraph explain CODE`: what a message means and what to do."""

from __future__ import annotations

import argparse
import sys

from .output import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CODE."""
    parser.add_argument("code", metavar="CODE", help="the code of a message, such as TG101")


def run(options: argparse.Namespace) -> int:
    """Print the explanation of a code."""
    from traitgraph.specs.codes import CODES, explain

    text = explain(options.code)
    if text is None:
        raise UsageError(f"no message has the code {options.code!r}; there are: {', '.join(sorted(CODES))}")
    sys.stdout.write(text)
    return 0
