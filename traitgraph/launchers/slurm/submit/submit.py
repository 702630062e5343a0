"""Bring the arrays of a run into the queue: each task once, wherever an earlier call stopped, and whole or not at all.

Arrays without parents are held until everything is submitted. So no parent can end before its children are known to
SLURM, and what a refusal by sbatch leaves in the queue can be withdrawn before any of it has run. On a site's first run
every array waits for the probe as well: an edge `afterany` holds when SLURM drops the parent. What does not fit under
the site's limit is left to a continuation, so that no controller has to live: a small job that does this again when the
first part of the work has ended.

    python -m traitgraph.launchers.slurm.submit.submit RUN_FOLDER
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from traitgraph.launchers.slurm.layout.layout import Place, TaskArray
from traitgraph.launchers.slurm.layout.script import array_option, job_name
from traitgraph.launchers.slurm.node.probe import clear_probe
from traitgraph.launchers.slurm.record.attempts import Attempt, attempt_path, read_attempt, write_record
from traitgraph.launchers.slurm.record.record import CONTINUE, PROBE, SubmissionRecord, Submitted
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import FEWEST, read_quota
from traitgraph.launchers.slurm.site.scheduler import QueueEntry, SchedulerError
from traitgraph.runtime.store.errors import BLOCKED
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store

from .probe_state import read_probe_state

WAIT_FOR_ROOM = "now+5minutes"

ATTEMPTS, PAUSE_SECONDS = 5, 20.0
"""How often a continuation tries, and how long it waits in between: nobody is there to start it again."""


class BusyError(Exception):
    """Another process is submitting this run right now."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one call of `submit` did."""

    calls: int
    """Times sbatch was called."""
    submitted: int
    """Tasks that went into the queue."""
    waiting: int
    """Tasks that a continuation will submit."""
    blocked: int
    """Tasks that cannot run any more because a parent failed."""


def submit(store: Store, record: SubmissionRecord, *, is_new: bool = False, with_probe: bool = False) -> Progress:
    """Submit what is missing of a run. `is_new`: nothing of it can be in the queue yet.

    Raises BusyError while another process does the same, and SchedulerError when SLURM refuses; what is in the queue
    then is held, but for what was released before.
    """
    if not store.claims.take(record.claim):
        raise BusyError(f"run {record.run.id} is being submitted by another process; wait for it")
    try:
        return _Submission(store, record, is_new).advance(with_probe)
    finally:
        store.claims.release(record.claim)


@dataclass
class _Submission:
    store: Store
    record: SubmissionRecord
    is_new: bool
    live: set[Place] = field(default_factory=set)
    """Array tasks that wait or run."""
    entries: list[QueueEntry] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    calls: int = 0
    count: int = 0
    blocked: int = 0
    probe: str = ""
    """Job id of the probe that everything waits for; empty once it has ended well."""

    def __post_init__(self) -> None:
        self.arrays = {array.id: array for array in self.record.arrays}
        self._others = scheduler.active_jobs() if any(array.outside for array in self.arrays.values()) else set()
        rows = self.record.run.table()
        self._kinds = {row.key: row.kind for row in rows.rows}
        self._jobs_of = {task.id: task.jobs for task in rows.tasks}
        self.jobs = self.record.jobs()
        if not self.is_new:
            self._adopt()

    def advance(self, with_probe: bool) -> Progress:
        """Submit as much as there is room for; nothing of a run that its user cancelled."""
        if self.record.is_cancelled:
            return Progress(0, 0, 0, 0)
        self._guard(with_probe)
        waiting = self._submit_arrays()
        # Also what an interrupted submission left held: from here on every child of it is known to SLURM.
        held = self.held | {entry.job for entry in self.entries if entry.reason == "JobHeldUser"}
        scheduler.release(held)
        return Progress(self.calls, self.count, waiting, self.blocked)

    # ---------------------------------------------------------------- what is there already

    def _note(self, array: str, indices: Iterable[int], job: str) -> None:
        submitted = Submitted(array, tuple(indices), job)
        self.record.note(submitted)
        self.jobs |= dict.fromkeys(((array, index) for index in submitted.indices), job)

    def _adopt(self) -> None:
        """Find what a process submitted that died before it could note it: in the queue, or by what it left."""
        self.entries = scheduler.queue(self.record.job_names)
        self.live = set(self.record.by_place(entry for entry in self.entries if entry.is_active))
        found = {place: entry.job for place, entry in self.record.by_place(self.entries).items()}
        places = self.record.places.values()
        if not found.keys() | self.jobs.keys() >= set(places):
            found |= self._left_attempts()
        unknown: dict[tuple[str, str], list[int]] = defaultdict(list)
        for array, index in places:
            if (array, index) in found and (array, index) not in self.jobs:
                unknown[array, found[array, index]].append(index)
        for (array, job), indices in unknown.items():  # a sbatch that was not noted made one job of these tasks
            self._note(array, sorted(indices), job)

    def _left_attempts(self) -> dict[Place, str]:
        """Jobs of array tasks that have ended and that the queue has forgotten."""
        attempts = {place: read_attempt(self._attempt(task)) for task, place in self.record.places.items()}
        return {place: each.job.partition("_")[0] for place, each in attempts.items() if each and each.job}

    # ---------------------------------------------------------------- what goes in

    def _guard(self, with_probe: bool) -> None:
        """Let what follows wait for the probe: the one that still waits, or a new one after a failure."""
        probe = read_probe_state(self.record, self.entries)
        if probe.state == "waiting":
            self.probe = probe.job
        elif with_probe or probe.state == "failed":
            clear_probe(self.record.run.folder)
            self.probe = self._sbatch(PROBE, "--hold")
            self._note(PROBE, (), self.probe)
            self.held.add(self.probe)

    def _after_probe(self, *terms: str) -> list[str]:
        """The option that names these dependencies and the probe, where there are any."""
        every = [term for term in (*terms, self.probe and f"afterok:{self.probe}") if term]
        return [f"--dependency={','.join(every)}"] if every else []

    def _submit_arrays(self) -> int:
        """Submit arrays in order while there is room; how many tasks are left for a continuation."""
        todo = [(array, [i for i in array.tasks if (array.id, i) not in self.jobs]) for array in self.arrays.values()]
        left = sum(len(indices) for _, indices in todo)
        room, most = self._room(left)
        for array, indices in todo:
            for dependency, piece in self._pieces(array, indices, most):
                if len(piece) > room:
                    self._submit_continuation()
                    return left
                self._submit(array, piece, dependency)
                room -= len(piece)
                left -= len(piece)
            left -= sum((array.id, index) not in self.jobs for index in indices)  # blocked ones
        return 0

    def _room(self, wanted: int) -> tuple[float, float]:
        """Places in the queue that we may fill, and the most array tasks of one piece.

        Pieces of half the limit: when the first one ends, there is room for the next while the other one runs.
        """
        if not wanted:
            return math.inf, math.inf
        text, asked = self.record.text, [array.resources for array in self.arrays.values()]
        quota = read_quota(text.cluster, asked, otherwise=text.most_submitted)  # limits change while a run waits
        if quota.submitted is None:
            return math.inf, math.inf
        queued = scheduler.count_queued(quota.qos)
        room = quota.submitted - queued
        if wanted <= room:
            return room, math.inf
        if quota.submitted < FEWEST:
            taken = f"{queued} of {quota.submitted} places in the queue are taken ({quota.source})"
            raise SchedulerError(f"{wanted} tasks wait, {taken}; that is too few to refill them")
        return room - 1, max(1, quota.submitted // 2)  # one place for the continuation

    def _pieces(self, array: TaskArray, indices: Sequence[int], most: float) -> Iterator[tuple[str, list[int]]]:
        """Dependency and indices of what goes in by one sbatch; tasks that can never run are written off."""
        resolved = [(index, self._dependency(array, index)) for index in indices]
        for index, dependency in resolved:
            if dependency is None:
                task, why = array.tasks[index], "a task before it failed"
                write_record(self._attempt(task), Attempt(task, array.id, "", "", "failed", cause=BLOCKED, message=why))
                self.blocked += 1
        runnable = sorted((dependency, index) for index, dependency in resolved if dependency is not None)
        for dependency, group in groupby(runnable, key=lambda each: each[0]):
            members = [index for _, index in group]
            size = int(min(most, len(members)))
            for start in range(0, len(members), size):
                yield dependency, members[start : start + size]

    def _submit(self, array: TaskArray, indices: Sequence[int], dependency: str) -> None:
        # If what it waits for in other runs fails there, the array task says so when it starts.
        others = [job for job in array.outside if job in self._others]
        after = self._after_probe(dependency, ":".join(["afterany", *others]) if others else "")
        job = self._sbatch(array.id, array_option(indices, self.record.text.cluster.throttle), *(after or ["--hold"]))
        self._note(array.id, indices, job)
        self.live |= {(array.id, index) for index in indices}
        self.count += len(indices)
        if not after:
            self.held.add(job)

    def _sbatch(self, array: str, *options: str) -> str:
        self.calls += 1
        known = {*self.jobs.values(), *(entry.job for entry in self.entries)}

        def unheard() -> str | None:
            entries = scheduler.queue([job_name(self.record.run.id, array)])
            return next((entry.job for entry in entries if entry.is_active and entry.job not in known), None)

        return scheduler.sbatch([*options, str(self.record.script(array))], unheard)

    def _submit_continuation(self) -> None:
        """A small job that goes on when the first part of what is in the queue has ended."""
        name = job_name(self.record.run.id, CONTINUE)
        me = os.environ.get("SLURM_JOB_ID", "")
        if any(entry.name == name and entry.is_active and entry.job != me for entry in self.entries):
            return
        first = next((job for place, job in self.jobs.items() if place in self.live), None)
        when = [] if first else [f"--begin={WAIT_FOR_ROOM}"]
        when += self._after_probe(f"afterany:{first}" if first else "")
        self._sbatch(CONTINUE, *when)

    # ---------------------------------------------------------------- edges

    def _dependency(self, array: TaskArray, index: int) -> str | None:
        """What an array task waits for, as sbatch takes it; None when it can never run.

        A parent that has ended is never named: SLURM forgets ended jobs and takes a forgotten one for a success.
        """
        parts: list[str] = []
        for edge in array.edges:
            only = index if edge.kind == "aftercorr" else edge.element
            parents = [(edge.array, each) for each in (self.arrays[edge.array].tasks if only is None else [only])]
            # Whether one that has ended did so well is asked of the store, which remembers what SLURM forgets.
            if edge.kind != "afterany" and not all(place in self.live or self._is_done(place) for place in parents):
                return None
            suffix = "" if edge.element is None else f"_{edge.element}"
            live = dict.fromkeys(f"{self.jobs[place]}{suffix}" for place in parents if place in self.live)
            if live:
                parts.append(":".join([edge.kind, *live]))
        return ",".join(parts)

    def _is_done(self, place: Place) -> bool:
        task = self.arrays[place[0]].tasks[place[1]]
        return all(self.store.has(self._kinds[key], key) for key in self._jobs_of[task])

    def _attempt(self, task: str) -> Path:
        return attempt_path(self.record.run.folder, task)


def main() -> int:
    """Go on with a submission; 0 when SLURM took it."""
    record = SubmissionRecord(RunRecord(Path(sys.argv[1])))
    with Store(Path(record.text.store)) as store:
        for attempt in range(ATTEMPTS):
            try:
                progress = submit(store, record)
            except (SchedulerError, BusyError) as error:
                print(f"attempt {attempt + 1}: {error}", file=sys.stderr, flush=True)
                time.sleep(PAUSE_SECONDS)
            else:
                print(f"{progress.submitted} tasks submitted, {progress.waiting} wait for room", flush=True)
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
