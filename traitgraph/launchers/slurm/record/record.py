"""What a run remembers of its submission: frozen arrays, written before the first sbatch, and a line after each one.

    STORE/runs/RUN/slurm/submission.json     cluster, arrays and edges; never changed
    STORE/runs/RUN/slurm/submitted.jsonl     one line per sbatch: array, indices, job id
    STORE/runs/RUN/slurm/cancelled           there once its user cancelled the run
    STORE/runs/RUN/slurm/scripts/            the batch scripts
    STORE/runs/RUN/slurm/output/             what SLURM printed before an array task took over

A process that dies between sbatch and its line leaves a job whose name tells run and array: it is found in the queue.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, TypeAdapter

from traitgraph.launchers.slurm.layout.layout import Place, TaskArray
from traitgraph.launchers.slurm.layout.script import Site, array_script, continuation_script, job_name, probe_script
from traitgraph.launchers.slurm.layout.task_resources import processes_on_node
from traitgraph.launchers.slurm.site.scheduler import QueueEntry
from traitgraph.launchers.worker_process import source_folder
from traitgraph.runtime.store.durable import make_folder, write_json
from traitgraph.runtime.store.records import RunRecord, now
from traitgraph.runtime.store.store import Store
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.cluster import Cluster

from .attempts import ArrayRecord, array_path, slurm_folder, write_record

CONTINUE, PROBE = "continue", "probe"
"""Names of the two helpers beside the arrays."""
RUNS_READ = 50
"""So many of the newest runs are looked through for what this user has in the queue, and for a probe."""


class SubmissionText(Spec):
    """Everything that a later process needs to go on with a submission."""

    run: str
    user: str = Field(description="Who submitted: everybody asks about this user's jobs, who alone can cancel them.")
    host: str
    at: str = Field(description="UTC, ISO 8601.")
    cluster: Cluster
    python: str = Field(description="Interpreter on the compute nodes.")
    source: str = Field("", description="Where compute nodes import traitgraph from, if it is not installed.")
    store: str = Field(description="The store, as the compute nodes see it.")
    most_submitted: int | None = Field(description="Jobs in the queue at once, array tasks counted; read again later.")
    retry_of: str | None = Field(None, description="The run whose missing jobs these are.")
    arrays: tuple[TaskArray, ...]


@dataclass(frozen=True, slots=True)
class Submitted:
    """One successful sbatch: the tasks of these indices of this array are that job."""

    array: str
    indices: tuple[int, ...]
    job: str


_SUBMITTED = TypeAdapter(Submitted)


def site_of(run: Path, cluster: Cluster) -> Site:
    """What the scripts of a run share that is submitted from here."""
    return Site(run, cluster, cluster.python or sys.executable, source_folder())


class SubmissionRecord:
    """The submission of one run, on disk."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run
        self.folder = slurm_folder(run.folder)
        self._path, self._cancelled = self.folder / "submission.json", self.folder / "cancelled"

    @property
    def exists(self) -> bool:
        """Whether this run was laid out for SLURM at all."""
        return self._path.is_file()

    @cached_property
    def text(self) -> SubmissionText:
        """The frozen part. Raises OSError or ValueError when it cannot be read."""
        return SubmissionText.model_validate_json(self._path.read_bytes())

    @property
    def arrays(self) -> tuple[TaskArray, ...]:
        """The arrays in the order in which they are submitted."""
        return self.text.arrays

    @property
    def places(self) -> dict[str, Place]:
        """Task -> its array and its index there."""
        return {task: (array.id, index) for array in self.arrays for index, task in array.tasks.items()}

    @property
    def job_names(self) -> list[str]:
        """Names of every job that this run may have in the queue."""
        return [job_name(self.run.id, name) for name in (*(a.id for a in self.text.arrays), CONTINUE, PROBE)]

    def by_place(self, entries: Iterable[QueueEntry]) -> dict[Place, QueueEntry]:
        """Those jobs of this run that are array tasks, by their place."""
        prefix = len(self.run.id) + 1
        return {(entry.name[prefix:], entry.index): entry for entry in entries if entry.index is not None}

    def script(self, array: str) -> Path:
        """The batch script of an array or helper."""
        return self.folder / "scripts" / f"{array}.sh"

    def submitted(self) -> list[Submitted]:
        """Every sbatch that was noted, in order; a last line that a crash cut short is left out."""
        try:
            lines = (self.folder / "submitted.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(ValueError):
                found.append(_SUBMITTED.validate_json(line))
        return found

    def jobs(self) -> dict[Place, str]:
        """Place of a task -> its job id, of everything that was noted."""
        return {(each.array, index): each.job for each in self.submitted() for index in each.indices}

    def unsubmitted(self) -> list[str]:
        """Tasks that have not been submitted yet."""
        known = self.jobs()
        return [task for task, place in self.places.items() if place not in known]

    @property
    def probe_job(self) -> str:
        """Job id of the newest probe that was noted; empty when there is none."""
        return next((each.job for each in reversed(self.submitted()) if each.array == PROBE), "")

    @property
    def is_cancelled(self) -> bool:
        """Whether its user cancelled this run."""
        return self._cancelled.exists()

    def mark_cancelled(self) -> None:
        """Remember that its user cancelled this run; it is never taken up again."""
        write_json(self._cancelled, {"at": now()})

    @property
    def claim(self) -> str:
        """The claim in the store of whoever submits this run right now."""
        return digest("submission", self.run.id)

    def note(self, submitted: Submitted) -> None:
        """Add a line; it is on the disk when this returns."""
        line = json.dumps(asdict(submitted))
        handle = os.open(self.folder / "submitted.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, f"{line}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    @classmethod
    def write(
        cls,
        run: RunRecord,
        table: JobTable,
        arrays: Sequence[TaskArray],
        cluster: Cluster,
        root: Path,
        most_submitted: int | None,
        retry_of: str | None = None,
    ) -> Self:
        """Put everything on the disk that submission needs, the frozen record last; `root` is the store."""
        record, site = cls(run), site_of(run.folder, cluster)
        for name in ("arrays", "accounts", "output", "scripts"):
            make_folder(record.folder / name, run.folder)
        kinds = {row.key: row.kind for row in table.rows}
        kinds_of = {task.id: {kinds[key] for key in task.jobs} for task in table.tasks}
        for array in arrays:
            of_array = set[str]().union(*(kinds_of[task] for task in array.tasks.values()))
            write_record(array_path(run.folder, array.id), _array_record(array, cluster, root, sorted(of_array)))
            record.script(array.id).write_text(array_script(array, site), encoding="utf-8")
        record.script(CONTINUE).write_text(continuation_script(site), encoding="utf-8")
        if arrays:
            record.script(PROBE).write_text(probe_script(site, root, arrays[0].resources), encoding="utf-8")
        run.keep_copy()
        text = SubmissionText(
            run=run.id,
            user=getpass.getuser(),
            host=socket.gethostname(),
            at=now(),
            cluster=cluster,
            python=site.python,
            source=site.source,
            store=str(root),
            most_submitted=most_submitted,
            retry_of=retry_of,
            arrays=tuple(arrays),
        )
        write_json(record._path, text.model_dump(mode="json"))
        return record


def _array_record(array: TaskArray, cluster: Cluster, root: Path, kinds: Sequence[str]) -> ArrayRecord:
    """What the tasks of an array need to know; only training shares its work among processes."""
    asked = array.resources
    return ArrayRecord(
        id=array.id,
        tasks=array.tasks,
        store=str(root),
        minutes=asked.minutes or 60,
        signal_seconds=cluster.signal_seconds,
        continuations=cluster.continuations,
        nodes=asked.nodes or 1,
        processes=processes_on_node(asked, kinds),
        cores=asked.cpus or 1,
        scratch=cluster.scratch or "",
        kinds=tuple(kinds),
    )


def slurm_runs(store: Store) -> Iterator[SubmissionRecord]:
    """Runs of this store that were laid out for SLURM, the newest first."""
    folder = store.root / "runs"
    runs = [SubmissionRecord(RunRecord(path)) for path in folder.iterdir()] if folder.is_dir() else []
    known = [record for record in runs if record.exists]
    yield from sorted(known, key=lambda record: record.folder.stat().st_mtime, reverse=True)
