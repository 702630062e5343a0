"""Launch a job table on SLURM: check, lay out, record, submit, and come back in seconds.

Nothing is submitted that the site cannot run, and what one submission holds is never submitted again: a run of the same
jobs that still waits, runs or was interrupted is taken up instead.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from site import getsitepackages as site_packages
from site import getusersitepackages

import traitgraph
from traitgraph.launchers.slurm.layout.layout import TaskArray, lay_out
from traitgraph.launchers.slurm.layout.script import Site, job_name
from traitgraph.launchers.slurm.layout.task_resources import Shortage, request_tasks
from traitgraph.launchers.slurm.layout.training_processes import training_problems
from traitgraph.launchers.slurm.node.probe import read_findings, site_digest
from traitgraph.launchers.slurm.record.record import PROBE, SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import Limits, Problem, read_limits
from traitgraph.launchers.slurm.site.quotas import FEWEST
from traitgraph.launchers.slurm.site.scheduler import SchedulerError
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster, Resources

from .open_runs import (
    RUNS_READ,
    Coming,
    find_open_run,
    jobs_outside,
    jobs_to_come,
    lost_runs,
    part_of,
    slurm_runs,
    submitting_alone,
)
from .probe_state import explain, read_probe_state
from .problems import find_problems
from .submit import Progress, submit

PROBE_SECONDS = 4.0
"""A first submission waits so long for its probe; where the queue is longer, `status` tells what it found."""


class SubmissionRefusedError(Exception):
    """A run was not submitted, and nothing of it is in the queue: every reason, with its repair."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
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
    shortages: Mapping[str, Shortage] | None = None,
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
        raise SubmissionRefusedError((Problem("no sbatch on the PATH: this machine cannot submit to SLURM", hint),))
    with store, submitting_alone(store):
        if lost := lost_runs(store):
            what = f"run {lost[0]} is in the queue, and its record in {store.root / 'runs'} is gone or cannot be read"
            hint = (
                f"its jobs might be submitted twice; wait until it has ended, or take it out: {scancel_call(lost[0])}"
            )
            raise SubmissionRefusedError((Problem(what, hint),))
        if earlier := find_open_run(store, {row.key for row in table.rows}, besides=retry_of):
            progress = submit(store, earlier)
            return _launched(earlier, progress, started, resumed=True)
        coming = _coming(store, table)
        elsewhere = Counter(each.run for each in coming.values())
        table = part_of(table, {row.key for row in table.rows} - coming.keys())
        if not table.tasks:
            run = store.root / "runs" / next(iter(elsewhere))
            return Launch(run, 0, 0, 0, 0, 0, time.monotonic() - started, elsewhere=elsewhere)
        limits = _limits(table, cluster)
        outside = jobs_outside(table, coming)
        with store.writable():
            record = prepare(table, store, cluster, limits, shortages=shortages, retry_of=retry_of, outside=outside)
        with_probe = probe and _has_room_for_probe(record) and not _probed_before(store, record)
        try:
            progress = submit(store, record, is_new=True, with_probe=with_probe)
        except SchedulerError as error:
            raise SubmissionRefusedError((_taken_back(record, error),)) from error
        if with_probe and (problem := _probe_problem(record)):
            withdraw(record)
            raise SubmissionRefusedError((problem,))
        return _launched(record, progress, started, elsewhere=elsewhere)


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
            raise SubmissionRefusedError((Problem(what, "wait for it (`traitgraph wait`), or cancel it"),))
    return coming


def _limits(table: JobTable, cluster: Cluster) -> Limits:
    try:
        return read_limits(cluster, asked_resources(table, cluster))
    except SchedulerError as error:
        raise SubmissionRefusedError((Problem(str(error), "is the controller up? try: sinfo"),)) from error


def prepare(
    table: JobTable,
    store: Store,
    cluster: Cluster,
    limits: Limits,
    *,
    shortages: Mapping[str, Shortage] | None = None,
    retry_of: str | None = None,
    outside: Mapping[str, frozenset[str]] | None = None,
) -> SubmissionRecord:
    """Check and lay out a table and write its run record; `outside`: task -> jobs of other runs that it waits for.

    Raises SubmissionRefusedError with every reason.
    """
    arrays = plan_arrays(table, cluster, limits, shortages, outside)
    problems = problems_of(arrays, table, cluster, limits)
    if problems:
        raise SubmissionRefusedError(tuple(problems))
    run = RunRecord.create(store.root, table)
    site = Site(run.folder, cluster, cluster.python or sys.executable, source_folder())
    return SubmissionRecord.write(run, table, arrays, site, store.root, limits.submitted, retry_of)


def problems_of(arrays: Sequence[TaskArray], table: JobTable, cluster: Cluster, limits: Limits) -> list[Problem]:
    """Everything that keeps the arrays of a table from being submitted, or from running once they are."""
    return [*find_problems(arrays, cluster, limits, os.environ), *training_problems(arrays, table)]


def source_folder() -> str:
    """Where compute nodes find this package when it runs from a checkout; empty when it is installed."""
    folder = Path(traitgraph.__file__).resolve().parents[1]
    return "" if str(folder) in (*site_packages(), getusersitepackages()) else str(folder)


def asked_resources(table: JobTable, cluster: Cluster) -> set[Resources]:
    """What the tasks of a table ask of a cluster."""
    return {task.resources for task in request_tasks(table, cluster)}


def plan_arrays(
    table: JobTable,
    cluster: Cluster,
    limits: Limits,
    shortages: Mapping[str, Shortage] | None = None,
    outside: Mapping[str, frozenset[str]] | None = None,
) -> tuple[TaskArray, ...]:
    """The arrays of a table on a cluster, nothing checked and nothing written."""
    return lay_out(request_tasks(table, cluster, shortages, outside, limits), limits.array_size, limits.longest)


def _launched(
    record: SubmissionRecord,
    progress: Progress,
    started: float,
    *,
    resumed: bool = False,
    elsewhere: Mapping[str, int] | None = None,
) -> Launch:
    table = record.run.table()
    return Launch(
        run=record.run.folder,
        jobs=len(table.rows),
        tasks=len(table.tasks),
        arrays=len(record.text.arrays),
        calls=progress.calls,
        waiting=progress.waiting,
        seconds=time.monotonic() - started,
        resumed=resumed,
        elsewhere=elsewhere or {},
    )


# ---------------------------------------------------------------- the probe


def _has_room_for_probe(record: SubmissionRecord) -> bool:
    """False where a limit on jobs in the queue is so low that the probe would take the place of a task."""
    most = record.text.most_submitted
    return most is None or most >= FEWEST or most > len(record.run.table().tasks)


def _probed_before(store: Store, record: SubmissionRecord) -> bool:
    """Whether a probe of an earlier run spoke well of this site."""
    text = record.text
    wanted = site_digest(text.cluster, text.python)
    for earlier in islice(slurm_runs(store), RUNS_READ):
        findings = read_findings(earlier.run.folder)
        with suppress(OSError, ValueError):  # a record that another user, or another version, keeps to itself
            if findings and not findings.fatal and site_digest(earlier.text.cluster, earlier.text.python) == wanted:
                return True
    return False


def _probe_problem(record: SubmissionRecord) -> Problem | None:
    """What the probe found wrong; None when it found nothing, or is still waiting after a few seconds."""
    name = job_name(record.run.id, PROBE)
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        probe = read_probe_state(record, scheduler.queue([name]))
        if probe.state != "waiting":
            return explain(record, probe) if probe.state == "failed" else None
        time.sleep(0.25)
    return None


def _taken_back(record: SubmissionRecord, error: SchedulerError) -> Problem:
    """What became of a new run that SLURM did not take whole: of a call that failed, too, it may have taken the job."""
    try:
        withdraw(record)
    except SchedulerError:
        return Problem(str(error), "what is in the queue of it is held; `run` goes on with it, `cancel` takes it back")
    return Problem(str(error), "nothing was submitted")


def withdraw(record: SubmissionRecord) -> None:
    """Cancel whatever of a run is in the queue and remove its record: as if it had never been submitted."""
    scheduler.cancel({entry.job for entry in scheduler.queue(record.job_names)})
    shutil.rmtree(record.run.folder, ignore_errors=True)
