"""Launch a job table on SLURM: check, lay out, record, submit, and come back in seconds.

Nothing is submitted that the site cannot run, and what one submission holds is never submitted again: a run of the same
jobs that still waits, runs or was interrupted is taken up instead.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from traitgraph.launchers.slurm.layout.layout import TaskArray, lay_out
from traitgraph.launchers.slurm.layout.task_resources import Shortage, request_tasks
from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import Limits, read_limits
from traitgraph.launchers.slurm.site.scheduler import SchedulerError
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster, Resources

from .open_runs import Coming, find_open_run, jobs_outside, jobs_to_come, lost_runs, part_of, submitting_alone
from .probe_state import wait_for_probe, wants_probe
from .problems import Problem, find_problems
from .submit import Progress, submit

PROBE_SECONDS = 4.0
"""A first submission waits so long for its probe; where the queue is longer, `status` tells what it found."""


class SubmissionRefusedError(Exception):
    """A run was not submitted, and nothing of it is in the queue: every reason, with its repair."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launch did."""

    run: Path
    """STORE/runs/<run id>."""
    jobs: int
    tasks: int
    arrays: int
    calls: int
    """Times sbatch was called."""
    waiting: int
    """Tasks that a continuation submits when there is room under the site's limit."""
    seconds: float
    resumed: bool = False
    """Whether this took up an earlier run of the same jobs."""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    """Runs that are in the queue already, with the number of jobs that are left to them."""

    @classmethod
    def of(
        cls,
        record: SubmissionRecord,
        progress: Progress,
        started: float,
        resumed: bool = False,
        elsewhere: Mapping[str, int] = {},
    ) -> Self:
        """What was done about a run since `started`."""
        table, seconds = record.run.table(), time.monotonic() - started
        counts = len(table.rows), len(table.tasks), len(record.arrays), progress.calls, progress.waiting
        return cls(record.run.folder, *counts, seconds, resumed, elsewhere)

    def text(self) -> str:
        """A few lines for people."""
        left = ", ".join(f"{count:,} by run {run}" for run, count in self.elsewhere.items())
        if not self.tasks:
            return f"nothing to submit: {sum(self.elsewhere.values()):,} jobs are made already, {left}"
        what = "taken up again" if self.resumed else "submitted"
        line = f"run {self.run.name} {what}: {self.jobs:,} jobs in {self.tasks:,} tasks, {self.arrays} arrays"
        calls = f"{self.calls} sbatch call{'s' * (self.calls != 1)} in {self.seconds:.1f} s"
        later = f"\n{self.waiting:,} tasks follow as the queue has room; nothing has to stay alive for that"
        others = f"\nleft out: {sum(self.elsewhere.values()):,} jobs that are made already, {left}"
        others += "; what needs them waits for them"
        return f"{line} ({calls})" + (later if self.waiting else "") + (others if self.elsewhere else "")


def launch(
    table: JobTable,
    store: Store,
    cluster: Cluster,
    *,
    shortages: Mapping[str, Shortage] = {},
    retry_of: str | None = None,
    probe: bool = True,
) -> Launch:
    """Submit every task of a table, or take up the run that has these jobs already.

    Jobs that other runs of this user in the queue will make are left to them, and what needs those waits for them.
    On a site's first run a `probe` guards the whole graph.
    Raises SubmissionRefusedError with every reason; then nothing is left in the queue. Raises SchedulerError when SLURM
    stops answering in a run that was taken up, and BusyError while another call submits: call again.
    """
    started = time.monotonic()
    if not scheduler.is_available():
        hint = "log in to a login node, load the cluster's module, or use --launcher local; --export DIR needs no SLURM"
        raise SubmissionRefusedError(Problem("no sbatch on the PATH: this machine cannot submit to SLURM", hint))
    with store, submitting_alone(store):
        if lost := lost_runs(store):
            what = f"run {lost[0]} is in the queue, and its record in {store.root / 'runs'} is gone or cannot be read"
            hint = "its jobs might be submitted twice; wait until it has ended, or take it out:"
            raise SubmissionRefusedError(Problem(what, f"{hint} {scancel_call(lost[0])}"))
        if earlier := find_open_run(store, {row.key for row in table.rows}, besides=retry_of):
            return Launch.of(earlier, submit(store, earlier), started, resumed=True)
        coming = _coming(store, table)
        elsewhere = Counter(each.run for each in coming.values())
        table = part_of(table, {row.key for row in table.rows} - coming.keys())
        if not table.tasks:
            run = store.root / "runs" / next(iter(elsewhere))
            return Launch(run, 0, 0, 0, 0, 0, time.monotonic() - started, elsewhere=elsewhere)
        try:
            limits = read_limits(cluster, asked_resources(table, cluster))
        except SchedulerError as error:
            raise SubmissionRefusedError(Problem(str(error), "is the controller up? try: sinfo")) from error
        arrays = plan_arrays(table, cluster, limits, shortages, jobs_outside(table, coming))
        if problems := find_problems(arrays, table, cluster, limits, os.environ):
            raise SubmissionRefusedError(*problems)
        with store.writable():
            run_record = RunRecord.create(store.root, table)
            record = SubmissionRecord.write(run_record, table, arrays, cluster, store.root, limits.submitted, retry_of)
        progress = _submit_new(store, record, probe and wants_probe(store, record))
        return Launch.of(record, progress, started, elsewhere=elsewhere)


def scancel_call(run: str) -> str:
    """What takes a run out of the queue that only the queue knows."""
    return f"squeue -u $USER -h -o '%F %j' | awk '$2 ~ /^{run}[.]/ {{print $1}}' | sort -u | xargs -r scancel"


def _coming(store: Store, table: JobTable) -> dict[str, Coming]:
    """Which jobs of a table other runs will make."""
    keys = {row.key for row in table.rows}
    coming = {key: each for key, each in jobs_to_come(store).items() if key in keys}
    for each in coming.values():
        if not each.job:
            what = f"run {each.run} has the same jobs, and not all of it is in the queue yet"
            raise SubmissionRefusedError(Problem(what, "wait for it (`traitgraph wait`), or cancel it"))
    return coming


def _submit_new(store: Store, record: SubmissionRecord, with_probe: bool) -> Progress:
    """Submit a run of which nothing is in the queue, whole or not at all."""
    try:
        progress = submit(store, record, is_new=True, with_probe=with_probe)
    except SchedulerError as error:
        hint = "nothing was submitted"
        try:  # of a call that failed, too, SLURM may have taken the job
            withdraw(record)
        except SchedulerError:
            hint = "what is in the queue of it is held; `run` goes on with it, `cancel` takes it back"
        raise SubmissionRefusedError(Problem(str(error), hint)) from error
    if with_probe and (problem := wait_for_probe(record, PROBE_SECONDS)):
        withdraw(record)
        raise SubmissionRefusedError(problem)
    return progress


def withdraw(record: SubmissionRecord) -> None:
    """Cancel whatever of a run is in the queue and remove its record: as if it had never been submitted."""
    scheduler.cancel({entry.job for entry in scheduler.queue(record.job_names)})
    shutil.rmtree(record.run.folder, ignore_errors=True)


def asked_resources(table: JobTable, cluster: Cluster) -> set[Resources]:
    """What the tasks of a table ask of a cluster."""
    return {task.resources for task in request_tasks(table, cluster)}


def plan_arrays(
    table: JobTable,
    cluster: Cluster,
    limits: Limits,
    shortages: Mapping[str, Shortage] = {},
    outside: Mapping[str, frozenset[str]] = {},
) -> tuple[TaskArray, ...]:
    """The arrays of a table on a cluster, nothing checked and nothing written."""
    return lay_out(request_tasks(table, cluster, shortages, outside, limits), limits.array_size, limits.longest)
