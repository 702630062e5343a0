"""`traitgraph doctor SPEC`: look at the SLURM site of a study and say what to repair."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from .options import add_json, add_spec, add_store, same_call, study_of
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [--timeout SECONDS] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_json(parser)
    patience = "wait so long for a compute node; where queues are long, longer (default: %(default)g)"
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help=patience)


def run(options: argparse.Namespace) -> int:
    """Print every check as it is made, or all of them as JSON; 1 when one of them is bad."""
    from traitgraph.api.slurm import check_installed, examine_site

    check_installed()
    study = study_of(options)
    checks = []
    for check in examine_site(study, options.store, options.timeout):
        checks.append(check)
        if not options.json:
            print(check, flush=True)
    healthy = all(check.ok for check in checks)
    if options.json:
        print_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
    elif healthy:
        say(f"next: {same_call('run', options)} --launcher slurm")
    return 0 if healthy else 1
