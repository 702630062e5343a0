"""`traitgraph doctor SPEC`: look at the SLURM site of a study and say what to repair."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from .options import add_json, add_spec, add_store, same_call, study_of
from .output import print_json, say
from .slurm import check_installed, cluster_of

if TYPE_CHECKING:
    from traitgraph.launchers.slurm.watch.node_check import Check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--timeout SECONDS] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_json(parser)
    patience = "wait so long for a compute node; where queues are long, longer (default: %(default)g)"
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help=patience)


def run(options: argparse.Namespace) -> int:
    """Print every check as it is made, or all of them as JSON; 1 when one of them is bad."""
    from traitgraph.api.planning import whole_table
    from traitgraph.launchers.slurm.watch.doctor import examine
    from traitgraph.runtime.store.store import Store

    check_installed()
    study = study_of(options)
    store, cluster = Store(options.store), cluster_of(study)
    checks: list[Check] = []
    table = whole_table(study, store, cluster=cluster)
    for check in examine(store, cluster, table, probe_seconds=options.timeout):
        checks.append(check)
        if not options.json:
            print(check, flush=True)
    healthy = all(check.ok for check in checks)
    if options.json:
        print_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
    elif healthy:
        say(f"next: {same_call('run', options)} --launcher slurm")
    return 0 if healthy else 1
