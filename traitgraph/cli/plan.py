"""`traitgraph plan SPEC`: what would run, what is there already, and what it takes."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from .options import DEFAULT_STORE, add_json, add_select, add_spec, add_store, plan_of, same_call
from .output import print_json, say, write_whole
from .slurm import cluster_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [-m] [--store DIR] [--select SELECTOR] [-o FILE] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    add_json(parser)
    save = "save the plan; `traitgraph run FILE` executes exactly it, or refuses"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=save)


def run(options: argparse.Namespace) -> int:
    """Print the plan; nothing is run."""
    from traitgraph.compiler.print_plan import plan_json, plan_text
    from traitgraph.launchers.runnable import without_runtime

    study, _, plan = plan_of(options, on_cluster=True)
    lacking = without_runtime(plan)
    if options.json:
        print_json({**plan_json(plan), "without_runtime": lacking})
    else:
        sys.stdout.write(plan_text(plan))
        if study.cluster and plan.counts.missing:
            from traitgraph.launchers.slurm.arrays_text import arrays_text

            sys.stdout.write("\n" + arrays_text(plan.job_table(), cluster_of(study)))
    if lacking:
        say("warning: these parts of the study can be planned but not run yet:\n  " + "\n  ".join(lacking))
    if options.output:
        from traitgraph.compiler.saved import save_plan

        write_whole(options.output, save_plan(plan).model_dump_json())
        where = [] if options.store == DEFAULT_STORE else ["--store", str(options.store)]
        say(f"saved; next: {shlex.join(['traitgraph', 'run', str(options.output), *where])}")
    elif not options.json:
        say(f"next: {same_call('run' if plan.counts.missing else 'report', options)}")
    return 0
