"""`traitgraph logs SPEC JOB`: the log of a job, by its key, its label or its task, or of a selection of jobs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_select, add_store, study_of
from .output import UsageError, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [JOB] [--select SELECTOR] [--store DIR] [-f]."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file of a study")
    which = "a job by the start of its key or a part of its label ('train extraversion'), or a task by its id"
    parser.add_argument("job", nargs="?", metavar="JOB", help=which)
    add_select(parser)
    add_store(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing while the task runs")
    parser.set_defaults(overrides=[], multirun=False)
    parser.add_argument("--events", action="store_true", help="print the lines for machines as well")


def run(options: argparse.Namespace) -> int:
    """Print the newest log of each task that has the job."""
    from traitgraph.launchers.planning import whole_table
    from traitgraph.launchers.study_runs import find_logs
    from traitgraph.runtime.store import Store

    if bool(options.job) == bool(options.select):
        raise UsageError("name one job, or select some with --select: traitgraph logs SPEC 'train extraversion'")
    study = study_of(options)
    store = Store(options.store)
    wanted = options.job or {row.key for row in whole_table(study, store, select=options.select).rows}
    found = find_logs(store, study.study, wanted)
    if not found:
        what = options.job or " ".join(options.select)
        near = _near(options.job, [row.label for row in whole_table(study, store).rows]) if options.job else ""
        raise UsageError(f"no log of study {study.study} in {options.store} belongs to {what!r}{near}")
    for task, log in found:
        say(f"--- {task}: {log}")
        _print_log(log, options)
    return 0


def _near(job: str, labels: list[str]) -> str:
    """What the study calls jobs like this one, unless it has a job of this name: then that has not run."""
    from traitgraph.compiler.explain import near_labels

    if any(job.lower() in label.lower() for label in labels):
        return ": no run of this store has had it to do"
    return "".join(f"\n  near: {label}" for label in near_labels(job, labels))


def _print_log(log: Path, options: argparse.Namespace) -> None:
    from traitgraph.launchers.slurm.logs import follow, readable
    from traitgraph.launchers.study_runs import is_over

    for line in follow(log, lambda: not options.follow or is_over(log)):
        if options.events or readable(line):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
