"""`traitgraph doctor SPEC`: look at the SLURM site of a study and say what to repair."""

from __future__ import annotations

import argparse

from .options import add_spec, add_store, same_call, study_of
from .output import say
from .slurm import cluster_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR]."""
    add_spec(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Print every check as it is made; 1 when one of them is bad."""
    from traitgraph.launchers.slurm.doctor import examine
    from traitgraph.runtime.store import Store

    healthy = True
    cluster = cluster_of(study_of(options))
    for check in examine(Store(options.store), cluster):
        print(check, flush=True)
        healthy = healthy and check.ok
    if healthy:
        say(f"next: {same_call('run', options)} --launcher slurm")
    return 0 if healthy else 1
