"""What one job is: who asks for it, what it rests on, what follows from it, and why it has to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest

from traitgraph.compiler.ir.ir import MISSING, PRESENT
from traitgraph.compiler.plan import Plan
from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, near_names

from .diff import Change, field_changes

STATUS = {PRESENT: "in the store", MISSING: "has to run"}
SHOWN = 5


def find_job(plan: Plan, wanted: str) -> int:
    """The row of a job by the start of its key, by its label, or by words that only its label has.

    Raises SpecError with what there is when it means none or several.
    """
    labels, words = plan.labels(), wanted.lower().split()
    rows = [row for row, key in enumerate(plan.draft.keys) if key.hex().startswith(wanted.lower())]
    rows = rows or [row for row, text in enumerate(labels) if text == wanted]
    rows = rows or [row for row, text in enumerate(labels) if all(word in text.lower() for word in words)]
    if len(rows) == 1:
        return rows[0]
    if rows:
        what = f"'{wanted}' means {len(rows):,} jobs of the study"
        hint = "\n".join(line.strip() for line in _listed(plan, rows))
    else:
        what = f"no job of the study has the key or label '{wanted}'"
        near = "".join(f"\nnear: {text}" for text in near_labels(wanted, labels))
        hint = f"keys are in `results` and in `graph --format json --full`{near}"
    raise SpecError([Diagnostic("TG204", "error", what, None, "", hint)])


def near_labels(wanted: str, labels: Sequence[str], count: int = 3) -> list[str]:
    """The labels that share most words with what was asked for, misspelt ones put right; none that shares none.

    >>> near_labels("trian openness", ["train openness high", "train neuroticism high", "assess bfi"])
    ['train openness high', 'train neuroticism high']
    """
    known = list(dict.fromkeys(word for text in labels for word in text.lower().split()))
    words = {near for word in wanted.lower().split() for near in near_names(word, known, 1)}
    alike = [(len(words.intersection(text.lower().split())), -place) for place, text in enumerate(labels)]
    return [labels[-place] for shared, place in nlargest(count, alike) if shared]


def explain_job(plan: Plan, row: int, stored: Iterable[JobRow] = ()) -> str:
    """A text about one job; `stored` are the rows of artifacts of its kind, to say how it differs from the nearest."""
    job = plan.job_row(row)
    status = plan.draft.status[row]
    lines = [f"{job.key}  {job.label}", f"  {STATUS.get(status, 'absent, and nothing asks for it')}"]
    if status == MISSING:
        lines += _nearest(job, stored)
    arms = ", ".join(arm.name for arm in plan.draft.arms if row in arm.jobs)
    lines.append(f"asked for by: {arms or 'the study as a whole'}")
    lines.append("parameters:")
    lines += [
        f"  {change.path} = {change.text().partition(' -> ')[2]}" for change in field_changes({}, _flat(job.params))
    ]
    for name, refs in plan.draft.inputs_of(row).items():
        lines += [f"reads {name}:", *_listed(plan, refs)]
    lines += _users(plan, row)
    return "\n".join(lines) + "\n"


def _flat(params: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in params.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return flat


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


def _listed(plan: Plan, rows: Sequence[int]) -> Iterator[str]:
    for row in rows[:SHOWN]:
        job = plan.job_row(row)
        yield f"  {job.key[:8]}  {job.label}  ({STATUS.get(plan.draft.status[row], 'absent')})"
    if len(rows) > SHOWN:
        yield f"  ... and {len(rows) - SHOWN:,} more"


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
    """The stored job of the same kind with the fewest different fields and inputs, and the differences."""
    alike = ((_changes(other, job), other) for other in stored if other.kind == job.kind)
    changes, other = min(alike, key=lambda pair: (len(pair[0]), pair[1].key), default=((), None))
    if other is None:
        yield f"  the store holds no {job.kind} job"
        return
    yield f"  the nearest in the store is {other.key[:8]} ({other.label}); it differs in:"
    yield from (f"    {change.text()}" for change in changes)
