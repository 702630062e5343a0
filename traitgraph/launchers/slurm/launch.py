"""Launch a job table on SLURM: check, lay out, record, submit, and come back in seconds.

Nothing is submitted that the site cannot run, and what one submission holds is never submitted again: a run of the same
jobs that still waits, runs or was interrupted is taken up instead.
"""

from __future__ import annotations

import getpass
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from site import getsitepackages as site_packages
from site import getusersitepackages

import traitgraph
from traitgraph.runtime.records import RunRecord
from traitgraph.runtime.store import Store
from traitgraph.specs.cluster import Cluster
from traitgraph.specs.jobs import JobTable

from . import scheduler
from .accounts import account_path, read_account
from .gate import explain, read_gate
from .layout import TaskArray, lay_out
from .limits import Limits, Problem, find_problems, read_limits
from .probe import read_findings, site_digest
from .record import PROBE, SubmissionRecord
from .scheduler import SchedulerError
from .script import Site, job_name
from .shapes import Shortage, shape_tasks
from .submit import Progress, submit, unsubmitted

PROBE_SECONDS = 4.0
"""A first submission waits so long for its probe; where the queue is longer, `status` tells what it found."""
RUNS_READ = 50


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

    def text(self) -> str:
        """One or two lines for people."""
        what = "taken up again" if self.resumed else "submitted"
        line = f"run {self.run.name} {what}: {self.jobs:,} jobs in {self.tasks:,} tasks, {self.arrays} arrays"
        calls = f"{self.calls} sbatch call{'s' * (self.calls != 1)} in {self.seconds:.1f} s"
        later = f"\n{self.waiting:,} tasks follow as the queue has room; nothing has to stay alive for that"
        return f"{line} ({calls})" + (later if self.waiting else "")


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

    On a site's first run a `probe` guards the whole graph.
    Raises SubmissionRefusedError with every reason; then nothing is left in the queue. Raises SchedulerError when SLURM
    stops answering in a run that was taken up: call again.
    """
    started = time.monotonic()
    if not scheduler.is_available():
        hint = "log in to a login node, load the cluster's module, or use --launcher local; --export DIR needs no SLURM"
        raise SubmissionRefusedError((Problem("no sbatch on the PATH: this machine cannot submit to SLURM", hint),))
    with store:
        if retry_of is None and (earlier := find_open_run(store, {row.key for row in table.rows})):
            progress = submit(store, earlier)
            return _launched(earlier, progress, started, resumed=True)
        record = prepare(table, store, cluster, _limits(cluster), shortages=shortages, retry_of=retry_of)
        with_probe = probe and not _probed_before(store, record)
        try:
            progress = submit(store, record, is_new=True, with_probe=with_probe)
        except SchedulerError as error:  # what was submitted has been cancelled
            shutil.rmtree(record.run.folder, ignore_errors=True)
            raise SubmissionRefusedError((Problem(str(error), "nothing was submitted"),)) from error
        if with_probe and (problem := _probe_problem(record)):
            withdraw(record)
            raise SubmissionRefusedError((problem,))
        return _launched(record, progress, started)


def _limits(cluster: Cluster) -> Limits:
    try:
        return read_limits(cluster)
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
) -> SubmissionRecord:
    """Check and lay out a table and write its run record. Raises SubmissionRefusedError with every reason."""
    arrays = plan_arrays(table, cluster, limits, shortages)
    problems = find_problems(arrays, cluster, limits, os.environ)
    if problems:
        raise SubmissionRefusedError(tuple(problems))
    run = RunRecord.create(store.root, table)
    site = Site(run.folder, cluster, cluster.python or sys.executable, source_folder())
    return SubmissionRecord.write(run, table, arrays, site, store.root, limits.submitted, retry_of)


def source_folder() -> str:
    """Where compute nodes find this package when it runs from a checkout; empty when it is installed."""
    folder = Path(traitgraph.__file__).resolve().parents[1]
    return "" if str(folder) in (*site_packages(), getusersitepackages()) else str(folder)


def plan_arrays(
    table: JobTable, cluster: Cluster, limits: Limits, shortages: Mapping[str, Shortage] | None = None
) -> tuple[TaskArray, ...]:
    """The arrays of a table on a cluster, nothing checked and nothing written."""
    return lay_out(shape_tasks(table, cluster, shortages, limits), limits.array_size)


def _launched(record: SubmissionRecord, progress: Progress, started: float, *, resumed: bool = False) -> Launch:
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
    )


# ---------------------------------------------------------------- runs that are there already


def slurm_runs(store: Store) -> Iterator[SubmissionRecord]:
    """Runs of this store that were laid out for SLURM, the newest first."""
    folder = store.root / "runs"
    runs = [SubmissionRecord(RunRecord(path)) for path in folder.iterdir()] if folder.is_dir() else []
    known = [record for record in runs if record.exists]
    yield from sorted(known, key=lambda record: record.folder.stat().st_mtime, reverse=True)


def find_open_run(store: Store, keys: set[str]) -> SubmissionRecord | None:
    """A run of this user that will still make all of these jobs: it waits, runs, or its submission was interrupted.

    A cancelled run is none: what is left of it goes into a run of its own, and its status stays true.
    """
    waiting = {name.rpartition(".")[0] for name in scheduler.active_names()}
    for record in islice(slurm_runs(store), RUNS_READ):
        try:
            if record.is_cancelled or record.text.user != getpass.getuser():
                continue
            if not (record.run.id in waiting or unsubmitted(record)):
                continue
            if keys <= {row.key for row in record.run.table().rows} and _will_make(record, keys):
                return record
        except (OSError, ValueError):
            continue
    return None


def _will_make(record: SubmissionRecord, keys: set[str]) -> bool:
    """Whether every task with one of these jobs waits, runs, or has yet to be submitted."""
    active = {(entry.name, entry.index) for entry in _active(record)}
    later = {task for task in unsubmitted(record) if not read_account(account_path(record.run.folder, task))}
    places = {task: (job_name(record.run.id, a.id), index) for a in record.arrays for index, task in a.tasks.items()}
    return all(
        task.id in later or places[task.id] in active
        for task in record.run.table().tasks
        if keys.intersection(task.jobs)
    )


def _active(record: SubmissionRecord) -> list[scheduler.QueueEntry]:
    return [entry for entry in scheduler.queue(record.job_names) if entry.is_active and not entry.is_dead]


# ---------------------------------------------------------------- the probe


def _probed_before(store: Store, record: SubmissionRecord) -> bool:
    """Whether a probe of an earlier run spoke well of this site."""
    text = record.text
    wanted = site_digest(text.cluster, text.python)
    for earlier in islice(slurm_runs(store), RUNS_READ):
        findings = read_findings(earlier.run.folder)
        if findings and not findings.fatal and site_digest(earlier.text.cluster, earlier.text.python) == wanted:
            return True
    return False


def _probe_problem(record: SubmissionRecord) -> Problem | None:
    """What the probe found wrong; None when it found nothing, or is still waiting after a few seconds."""
    name = job_name(record.run.id, PROBE)
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        gate = read_gate(record, scheduler.queue([name]))
        if gate.state != "waiting":
            return explain(record, gate) if gate.state == "failed" else None
        time.sleep(0.25)
    return None


def withdraw(record: SubmissionRecord) -> None:
    """Cancel whatever of a run is in the queue and remove its record: as if it had never been submitted."""
    scheduler.cancel({entry.job for entry in scheduler.queue(record.job_names)})
    shutil.rmtree(record.run.folder, ignore_errors=True)
