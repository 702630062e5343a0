"""Whether a run needs a probe of its site, which all of its arrays wait for, and what became of it.

A passed probe leaves its findings. One that failed leaves its exit code, in a file or, where the node does not see the
store, in SLURM's memory alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from traitgraph.launchers.slurm.layout.script import NO_INTERPRETER, STORE_UNSEEN, job_name
from traitgraph.launchers.slurm.node.probe import exit_path, probe_log, read_findings
from traitgraph.launchers.slurm.record.record import PROBE, RUNS_READ, SubmissionRecord, slurm_runs
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import FEWEST
from traitgraph.launchers.slurm.site.scheduler import QueueEntry
from traitgraph.runtime.store.store import Store
from traitgraph.specs.source.hashing import digest

from .problems import Problem

NO_TRAITGRAPH = 1
"""Exit code of an interpreter that does not find the probe."""

PROBE_FAILED = "the probe of the site failed"
"""Cause of what did not start because of it."""


@dataclass(frozen=True, slots=True)
class ProbeState:
    """A run's probe now."""

    state: Literal["none", "waiting", "passed", "failed"]
    job: str = ""
    slurm_state: str = ""
    """Empty when SLURM does not know the job any more."""
    reason: str = ""
    """Why it waits, as squeue says it."""


def read_probe_state(record: SubmissionRecord, entries: Iterable[QueueEntry]) -> ProbeState:
    """The probe of a run, of its files and of what SLURM remembers of the run's jobs."""
    name = job_name(record.run.id, PROBE)
    known = {entry.job: entry for entry in entries if entry.name == name}
    active = [entry for entry in known.values() if entry.is_active]
    if active:
        return ProbeState("waiting", active[-1].job, active[-1].state, active[-1].reason)
    job = record.probe_job or max(known, key=int, default="")
    state = known[job].state if job in known else ""
    findings = read_findings(record.run.folder)
    if state == "COMPLETED" or (findings is not None and not findings.fatal):
        return ProbeState("passed", job, state)
    return ProbeState("failed", job, state) if job else ProbeState("none")


def explain(record: SubmissionRecord, probe: ProbeState) -> Problem:
    """Why the probe of a run failed, and the repair. Asks SLURM only where no file tells."""
    folder = record.run.folder
    findings = read_findings(folder)
    if findings is not None and findings.fatal:
        return Problem(findings.fatal, "repair the environment of the compute nodes, then run again")
    code = read_exit_code(folder, probe.job)
    if known := known_problem(code, Path(record.text.store), record.text.python):
        return known
    if probe.slurm_state not in ("", "FAILED", "COMPLETED"):
        return Problem(f"the probe ended as {probe.slurm_state}", "try: traitgraph doctor")
    if code:
        return Problem(f"the probe ended with exit code {code}", f"see {probe_log(folder)}, or try: traitgraph doctor")
    return Problem("the probe ended and left no findings", "do the compute nodes see the store? try: traitgraph doctor")


def read_exit_code(run: Path, job: str) -> int:
    """The exit code that a probe left in the store, or that SLURM remembers."""
    try:
        return int(exit_path(run).read_text())
    except (OSError, ValueError):
        return scheduler.exit_code(job)


def known_problem(code: int, store: Path, python: str) -> Problem | None:
    """What the exit code of a failed probe means; None when it says no more than that it failed."""
    problems = {
        STORE_UNSEEN: Problem(
            f"compute nodes do not see the store {store}",
            "put the store on a file system that all nodes share: --store DIR, or `store` in the cluster file",
        ),
        NO_INTERPRETER: Problem(
            f"there is no interpreter {python} on the compute nodes",
            "set `python`, or make it with `setup` lines, in the cluster file",
        ),
        NO_TRAITGRAPH: Problem(
            f"{python} on the compute nodes cannot run traitgraph",
            "install traitgraph in the environment of the compute nodes, or set `setup` in the cluster file",
        ),
    }
    return problems.get(code)


def _site_digest(record: SubmissionRecord) -> str:
    """Equal for submissions that one probe can speak for."""
    asked = {"partition", "account", "qos", "constraint", "setup", "prefix", "default", "kinds", "rules"}
    text = record.text
    return digest("site", {"cluster": text.cluster.model_dump(mode="json", include=asked), "python": text.python})


def wants_probe(store: Store, record: SubmissionRecord) -> bool:
    """Whether a new run needs a probe: none has succeeded at this site before, and it takes the place of no task."""
    most = record.text.most_submitted
    if most is not None and most < FEWEST and most <= len(record.run.table().tasks):
        return False
    wanted = _site_digest(record)
    for earlier in islice(slurm_runs(store), RUNS_READ):
        findings = read_findings(earlier.run.folder)
        with suppress(OSError, ValueError):  # a record that another user, or another version, keeps to itself
            if findings and not findings.fatal and _site_digest(earlier) == wanted:
                return False
    return True


def wait_for_probe(record: SubmissionRecord, seconds: float) -> Problem | None:
    """What the probe of a run found wrong; None when it found nothing, or is still waiting after some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        probe = read_probe_state(record, scheduler.queue([job_name(record.run.id, PROBE)]))
        if probe.state != "waiting":
            return explain(record, probe) if probe.state == "failed" else None
        time.sleep(0.25)
    return None
