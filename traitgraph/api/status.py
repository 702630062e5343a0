"""How far a study is: what the store holds, what is being made, and why the rest is not there.

The store is the truth. Runs leave records of failures; a failure counts while its job is still missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from traitgraph.compiler.plan import Plan as CompiledPlan
from traitgraph.compiler.views.print_plan import aligned
from traitgraph.launchers.summary import failure_lines
from traitgraph.runtime.store.records import Failure, by_cause
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.study import Study

from . import slurm
from .planning import Plan, planned
from .study_runs import all_runs


@dataclass(frozen=True)
class KindStatus:
    """Jobs of one kind."""

    kind: str
    jobs: int
    present: int
    running: int
    failed: int


@dataclass(frozen=True)
class StudyStatus:
    """Counts by kind, what is running, the failures that still stand, and how the newest SLURM run goes."""

    study: str
    kinds: tuple[KindStatus, ...]
    running: tuple[str, ...]
    """Labels of jobs that a living worker has claimed."""
    failures: tuple[Failure, ...]
    """Of each job that is still missing, the newest: cause, message and log."""
    slurm: slurm.RunStatus | None = None
    """The newest SLURM run of the study, while jobs are missing."""

    @property
    def ok(self) -> bool:
        """Whether nothing has failed, and no SLURM run that is over has left something out."""
        return not self.failures and not (self.slurm and self.slurm.exit_code)

    @property
    def missing(self) -> int:
        """Jobs that are not in the store."""
        return sum(kind.jobs - kind.present for kind in self.kinds)


def status(
    what: Plan | Study | str | Path, store: Store | str | Path | None = None, *, select: str | Sequence[str] = ()
) -> StudyStatus:
    """How far a study is, as its store, the records of its runs and SLURM tell it. Writes nothing."""
    plan = planned(what, store, select)
    found = study_status(plan, plan.store)
    submission = slurm.newest_submission(plan.store, plan.study) if found.missing else None
    return replace(found, slurm=slurm.read_status(plan.store, submission)) if submission else found


def study_status(plan: CompiledPlan, store: Store) -> StudyStatus:
    """The state of a study as the store and the records of its runs tell it. Writes nothing."""
    table = plan.job_table()
    running = [row for row in table.rows if store.claims.is_held(row.key)]
    missing, standing = {row.key for row in table.rows}, dict[str, Failure]()
    for run in reversed(all_runs(store)):  # of each job the newest failure stands, while the job is missing
        standing |= {failure.key: failure for failure in run.failures(missing)}
    failed = [failure.kind for failure in standing.values()]
    counts = plan.counts
    kinds = tuple(
        KindStatus(
            kind,
            number,
            number - counts.missing_by_kind.get(kind, 0),
            sum(row.kind == kind for row in running),
            failed.count(kind),
        )
        for kind in counts.by_kind
        if (number := counts.selected_by_kind.get(kind, 0) + counts.needed_by_kind.get(kind, 0))
    )
    return StudyStatus(plan.study, kinds, tuple(row.label or row.key[:8] for row in running), tuple(standing.values()))


def status_text(status: StudyStatus, again: str) -> str:
    """The status for people; `again` is the command that goes on."""
    head = [slurm.status_text(status.slurm), ""] if status.slurm else []
    table: list[Sequence[str]] = [("jobs", "all", "in store", "running", "failed")]
    for each in status.kinds:
        table.append((each.kind, *(f"{number:,}" for number in (each.jobs, each.present, each.running, each.failed))))
    lines = [*head, f"study {status.study}", *(f"  {line}" for line in aligned(table))]
    lines += [f"running: {label}" for label in status.running]
    for cause, failures in by_cause(status.failures):
        lines += failure_lines(cause, failures)
    lines.append(
        f"next: {again}    # {status.missing:,} jobs to run" if status.missing else "everything is in the store"
    )
    return "\n".join(lines)


def status_json(status: StudyStatus) -> dict[str, object]:
    """The status as plain data."""
    return {
        "study": status.study,
        "missing": status.missing,
        "kinds": {
            each.kind: {name: number for name, number in vars(each).items() if name != "kind"} for each in status.kinds
        },
        "running": list(status.running),
        "failures": [failure.model_dump(exclude={"traceback"}) for failure in status.failures],
    } | ({"slurm": slurm.status_json(status.slurm)} if status.slurm else {})
