"""`traitgraph cancel SPEC`: take a SLURM run out of the queue."""

from __future__ import annotations

import argparse

from .options import add_spec, add_store, same_call
from .output import say
from .slurm import add_run, submission_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--run ID]."""
    add_spec(parser)
    add_store(parser)
    add_run(parser)


def run(options: argparse.Namespace) -> int:
    """Cancel what waits and runs of one run and of no other; what is in the store stays."""
    from traitgraph.api.slurm import cancel

    _, _, record = submission_of(options)
    count = cancel(record)
    say(f"run {record.run.id}: {count} tasks cancelled; next: {same_call('run', options)} --launcher slurm")
    return 0
