"""`traitgraph retry SPEC`: submit again what a SLURM run left missing, with more of what it ran out of."""

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
    """Submit a new run of the missing jobs."""
    from traitgraph.api.slurm import retry

    study, store, record = submission_of(options)
    tried = retry(store, record, study)
    if tried.launch is None:
        waiting = f"; {tried.left_out} jobs are left to tasks that still wait or run" if tried.left_out else ""
        say(f"run {record.run.id}: nothing to try again{waiting}")
        return 0
    say(tried.launch.text())
    if tried.escalated:
        say(f"{tried.escalated} jobs ask for more memory or time than before")
    say(f"next: {same_call('status', options)} --watch")
    return 0
