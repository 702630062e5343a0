"""`traitgraph plan SPEC`: what would run, what is there already, and what it takes."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from traitgraph.api.calls import colour_wanted
from traitgraph.specs.source.diagnostics import Diagnostic, has_errors, render_json, render_text

from .options import DEFAULT_STORE, add_json, add_select, add_spec, add_store, plan_of, same_call
from .output import UsageError, print_json, say, write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [-m] [--store DIR] [--select SELECTOR] [-o FILE] [--json]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    add_json(parser)
    save = "save the plan; `traitgraph run FILE` executes exactly it, or refuses"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=save)


def run(options: argparse.Namespace) -> int:
    """Print the plan; nothing is run. 0, or 2 when data that its jobs read cannot be used."""
    from traitgraph.api.preflight import (
        missing_packages,
        package_faults,
        small_data_faults,
        unversioned_tasks,
        without_runtime,
    )

    plan = plan_of(options, on_cluster=True)
    lacking, faults = without_runtime(plan), small_data_faults(plan)
    if options.json:
        told = render_json(faults)["diagnostics"]
        from traitgraph.compiler.views.print_plan import plan_json

        print_json({**plan_json(plan), "without_runtime": lacking, "data_faults": told})
    else:
        sys.stdout.write(f"{plan}\n")
    for text in unversioned_tasks(plan.spec):
        say(text)
    if lacking:
        say("warning: these parts of the study can be planned but not run yet:\n  " + "\n  ".join(lacking))
    for package in missing_packages(plan.job_table()) if package_faults(plan.draft.locations.values()) else ():
        say(f"warning: {package}")
    if faults:
        from traitgraph.api.data_check import stops_a_run

        if any(map(stops_a_run, faults)):
            return _with_faults(faults, options)
        sys.stderr.write(render_text(faults, colour_wanted()))
    if options.output:
        from traitgraph.compiler.views.saved import save_plan

        write_whole(options.output, save_plan(plan).model_dump_json())
        where = [] if options.store == DEFAULT_STORE else ["--store", str(options.store)]
        say(f"saved; next: {shlex.join(['traitgraph', 'run', str(options.output), *where])}")
    elif not options.json:
        rest = "    # the rest, by --select" if lacking else ""
        where_to = " --launcher slurm" if plan.spec.cluster and plan.counts.missing else ""
        say(f"next: {same_call('run' if plan.counts.missing else 'report', options)}{where_to}{rest}")
    return 0


def _with_faults(faults: Sequence[Diagnostic], options: argparse.Namespace) -> int:
    """Say what is wrong with the data instead of what comes next: `run` would refuse the plan as it is."""
    sys.stderr.write("\n" + render_text(faults, colour_wanted()))
    if options.output:
        raise UsageError("not saved: `run` would refuse the plan until its data are repaired")
    asked = argparse.Namespace(spec=options.spec, overrides=options.overrides, multirun=options.multirun)
    say(f"`run` would refuse this; next: repair the data, then {same_call('check', asked)}")
    return 2 if has_errors(faults) else 0
