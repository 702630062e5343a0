"""What one job is: who asks for it, what it rests on, what follows from it, and why it has to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest

from traitgraph.specs.diagnostics import Diagnostic, SpecError
from traitgraph.specs.jobs import JobRow

from .changes import Change, field_changes
from .ir import MISSING, PRESENT
from .plan import Plan

STATUS = {PRESENT: "in the store", MISSING: "has to run"}
SHOWN = 5


def find_job(plan: Plan, prefix: str) -> int:
    """The row of the job whose key starts so. Raises SpecError when none or several do."""
    rows = [row for row, key in enumerate(plan.draft.keys) if key.hex().startswith(prefix)]
    if len(rows) == 1:
        return rows[0]
    what = f"no job of the study has a key that starts with '{prefix}'"
    hint = "keys are in `results` and in `graph --format json --full`"
    if rows:
        what = f"{len(rows):,} jobs have keys that start with '{prefix}'"
        hint = "they are: " + ", ".join(plan.draft.keys[row].hex()[:12] for row in rows[:SHOWN])
    raise SpecError([Diagnostic("TG204", "error", what, None, "", hint)])


def explain_job(plan: Plan, prefix: str, stored: Iterable[JobRow] = ()) -> str:
    """A text about one job; `stored` are the rows of artifacts of its kind, to say how it differs from the nearest.

    Raises SpecError when no job, or more than one, has a key that starts with the prefix.
    """
    row = find_job(plan, prefix)
    job = plan.job_row(row)
    status = plan.draft.status[row]
    lines = [f"{job.key}  {job.label}", f"  {STATUS.get(status, 'absent, and nothing asks for it')}"]
    if status == MISSING:
        lines += _nearest(job, stored)
    lines.append(f"asked for by: {', '.join(_arms(plan, row)) or 'the study as a whole'}")
    lines.append("parameters:")
    lines += [
        f"  {change.path} = {change.text().partition(' -> ')[2]}" for change in field_changes({}, _flat(job.params))
    ]
    lines += _inputs(plan, row)
    lines += _users(plan, row)
    return "\n".join(lines) + "\n"


def _flat(params: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in params.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return flat


def _arms(plan: Plan, row: int) -> list[str]:
    return [arm.name for arm in plan.draft.arms if row in arm.jobs]


def _inputs(plan: Plan, row: int) -> Iterator[str]:
    for name, refs in plan.draft.inputs_of(row).items():
        yield f"reads {name}:"
        yield from _listed(plan, list(refs))


def _users(plan: Plan, row: int) -> Iterator[str]:
    draft = plan.draft
    users = [
        draft.offsets[index] + place // each.width
        for index, stage in enumerate(draft.stages)
        for each in stage.inputs
        for place, ref in enumerate(each.refs)
        if ref == row
    ]
    if users:
        yield f"read by {len(users):,}:"
        yield from _listed(plan, users)


def _listed(plan: Plan, rows: list[int]) -> Iterator[str]:
    for row in rows[:SHOWN]:
        job = plan.job_row(row)
        yield f"  {job.key[:8]}  {job.label}  ({STATUS.get(plan.draft.status[row], 'absent')})"
    if len(rows) > SHOWN:
        yield f"  ... and {len(rows) - SHOWN:,} more"


def nearest_changes(job: JobRow, stored: Iterable[JobRow]) -> tuple[JobRow, list[Change]] | None:
    """The stored job of the same kind with the fewest different fields and inputs, and the differences."""
    alike = ((other, _changes(other, job)) for other in stored if other.kind == job.kind)
    found = nsmallest(1, alike, key=lambda pair: (len(pair[1]), pair[0].key))
    return found[0] if found else None


def _changes(other: JobRow, job: JobRow) -> list[Change]:
    old, new = ({"version": each.version, **each.params} for each in (other, job))
    changes = list(field_changes(old, new))
    for name in dict.fromkeys((*other.inputs, *job.inputs)):
        one, two = other.inputs.get(name, ()), job.inputs.get(name, ())
        if one != two:
            changes.append(Change(f"input {name}", _short(one), _short(two)))
    return changes


def _short(keys: tuple[str, ...]) -> str:
    return ", ".join(key[:8] for key in keys[:SHOWN]) or "(none)"


def _nearest(job: JobRow, stored: Iterable[JobRow]) -> Iterator[str]:
    found = nearest_changes(job, stored)
    if found is None:
        yield f"  the store holds no {job.kind} job"
        return
    other, changes = found
    yield f"  the nearest in the store is {other.key[:8]} ({other.label}); it differs in:"
    yield from (f"    {change.text()}" for change in changes)
