"""`traitgraph logs SPEC JOB`: the log of a job, by its key, its label or its task, or of a selection of jobs."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_select, add_store, study_of
from .output import UsageError, say

if TYPE_CHECKING:
    from traitgraph import Store, Study
    from traitgraph.api.study_runs import RunWatch, TaskLog


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [JOB] [--select SELECTOR] [--store DIR] [-f]."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file of a study")
    which = "a job by the start of its key or a part of its label ('train extraversion'), or a task by its id"
    parser.add_argument("job", nargs="?", metavar="JOB", help=which)
    add_select(parser)
    add_store(parser)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on printing until the task ends; wait for its start"
    )
    parser.set_defaults(overrides=[], multirun=False)
    parser.add_argument("--events", action="store_true", help="print the lines for machines as well")


def run(options: argparse.Namespace) -> int:
    """Print the newest log of each task that has the job."""
    from traitgraph import Store
    from traitgraph.api.planning import whole_table
    from traitgraph.api.study_runs import RunWatch, find_logs

    if bool(options.job) == bool(options.select):
        raise UsageError("name one job, or select some with --select: traitgraph logs SPEC 'train extraversion'")
    study = study_of(options)
    store = Store(options.store)
    wanted = options.job or {row.key for row in whole_table(study, store, select=options.select).rows}
    if options.follow:
        found = _once_started(store, study.study, wanted)
    elif options.job:
        found = _of_the_spec_first(store, study, options.job)
    else:
        found = find_logs(store, study.study, wanted)
    if not found:
        what = options.job or " ".join(options.select)
        near = _near(options.job, [row.label for row in whole_table(study, store).rows]) if options.job else ""
        raise UsageError(f"no log of study {study.study} in {options.store} belongs to {what!r}{near}")
    watch = RunWatch(store, found[0].run)
    for log in found:
        say(f"--- {log.task}: {log.path}")
        _print_log(log, watch, options)
    return 0


def _of_the_spec_first(store: Store, study: Study, job: str) -> list[TaskLog]:
    """Logs of the spec's own jobs of this name; where none has run, of those that other values gave, with a note."""
    from traitgraph.api.planning import whole_table
    from traitgraph.api.study_runs import find_logs, keys_of

    own = keys_of(whole_table(study, store), job)
    if own and (found := find_logs(store, study.study, own)):
        return found
    found = find_logs(store, study.study, job)
    if own and found:
        say("note: the study ran with other values then; as its spec stands, it has not had this to do")
    return found


def _near(job: str, labels: list[str]) -> str:
    """What the study calls jobs like this one, unless it has a job of this name: then that has not run."""
    from traitgraph.compiler.views.explain import near_labels

    if any(job.lower() in label.lower() for label in labels):
        return ": no run of this store has had it to do"
    return "".join(f"\n  near: {label}" for label in near_labels(job, labels))


def _once_started(store: Store, study: str, wanted: str | set[str]) -> list[TaskLog]:
    """Logs in the newest run that has the job, as soon as there is one; none when it ended without."""
    from traitgraph.api.study_runs import RunWatch, logs_in, newest_run_with

    newest = newest_run_with(store, study, wanted)
    if newest is None:
        return []
    run, tasks = newest
    watch, is_told = RunWatch(store, run), False
    while True:
        are_over = all(map(watch.is_over, tasks))  # asked before looking: a task may start and end in between
        if (found := logs_in(run, wanted)) or are_over:
            return found
        if not is_told:
            say(f"{tasks[0]} of run {run.id} has not started; its log follows as soon as it does")
            is_told = True
        time.sleep(1)


def _print_log(log: TaskLog, watch: RunWatch, options: argparse.Namespace) -> None:
    from traitgraph.api.study_runs import follow, readable

    for line in follow(log.path, lambda: not options.follow or watch.is_over(log.task)):
        if options.events or readable(line):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
