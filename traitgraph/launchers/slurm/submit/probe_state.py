"""What became of the probe that all arrays of a run wait for on a site's first run.

A passed probe leaves its findings. One that failed leaves its exit code, in a file or, where the node does not see the
store, in SLURM's memory alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from traitgraph.launchers.slurm.layout.script import job_name
from traitgraph.launchers.slurm.node.probe import REPAIRS, explain_exit, left_exit, probe_log, read_findings
from traitgraph.launchers.slurm.record.record import PROBE, SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.limits import Problem
from traitgraph.launchers.slurm.site.scheduler import QueueEntry

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
    code = left_exit(folder)
    code = scheduler.exit_code(probe.job) if code is None else code
    if code in REPAIRS:
        return Problem(explain_exit(code, Path(record.text.store), record.text.python), REPAIRS[code])
    if probe.slurm_state not in ("", "FAILED", "COMPLETED"):
        return Problem(f"the probe ended as {probe.slurm_state}", "try: traitgraph doctor")
    if code:
        return Problem(f"the probe ended with exit code {code}", f"see {probe_log(folder)}, or try: traitgraph doctor")
    return Problem("the probe ended without a word", "do the compute nodes see the store? try: traitgraph doctor")
