"""`traitgraph wait SPEC`: return when a SLURM run is over."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from .options import add_spec, add_store, same_call
from .output import say
from .slurm import add_run, submission_of

if TYPE_CHECKING:
    from traitgraph.api.slurm import RunStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--run ID] [--timeout SECONDS] [--every SECONDS]."""
    add_spec(parser)
    add_store(parser)
    add_run(parser)
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after this long (default: never)")
    every = "ask SLURM this often (default: %(default)s)"
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help=every)


def run(options: argparse.Namespace) -> int:
    """Wait, and say on standard error why tasks wait whenever that changes; 0 when every job of the run is done."""
    from traitgraph.api.slurm import status_text, watch

    _, store, record = submission_of(options)
    status = watch(store, record, _said_once(), seconds=options.every, timeout=options.timeout)
    sys.stdout.write(status_text(status) + "\n")
    if status.is_active:
        say("still running")
    say(f"next: {same_call('report' if status.ok else 'status' if status.is_active else 'retry', options)}")
    return 0 if status.ok else 1


def _said_once() -> Callable[[RunStatus], None]:
    """A view that says why tasks wait when the reasons are not those of the last look; how many wait is no reason."""
    last: list[str] = []

    def show(status: RunStatus) -> None:
        lines = status.waits
        reasons = sorted(line.lstrip("0123456789,") for line in lines)
        if reasons != last and lines:
            say("\n".join(lines))
        last[:] = reasons

    return show
