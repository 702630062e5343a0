"""Print a draft as it stands between two passes: arms, stages with their rows, tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from traitgraph.compiler.ir.dimensions import text_of
from traitgraph.compiler.ir.ir import BASE, STATUS_WORDS, ArmTable, Draft, Stage
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.benchmarks import BENCHMARKS


def draft_text(draft: Draft, *, most_rows: int = 40) -> str:
    """The draft as text: what the passes so far have filled in, and nothing else."""
    lines = [f"study {draft.study}"]
    for arm in draft.arms:
        lines += _arm_lines(arm, most_rows)
    for index, stage in enumerate(draft.stages):
        lines += _stage_lines(draft, index, stage, most_rows)
    if draft.wanted is not None:
        lines.append(f"wanted {spans(sorted(draft.wanted))}")
    for task in draft.tasks:
        after = f" after {', '.join(task.after)}" if task.after else ""
        lines.append(f"task {task.id}: {spans(task.rows)}{after}")
    return "\n".join(lines) + "\n"


def _arm_lines(arm: ArmTable, most_rows: int) -> Iterator[str]:
    axes = " x ".join(f"{length} {noun}" for noun, length in arm.axes)
    yield f"arm {arm.name}: {arm.method}, {axes} = {arm.subjects.rows}"
    if not arm.jobs:
        for row in range(min(arm.subjects.rows, most_rows)):
            yield "  " + " ".join(f"{name}={column[row]}" for name, column in arm.names.columns.items())
        return
    yield f"  jobs {spans(arm.jobs)}"
    yield f"  weights {' '.join('base' if row == BASE else f'#{row}' for row in arm.weights[:most_rows])}"
    yield from (f"  {name} {' '.join(f'#{row}' for row in rows[:most_rows])}" for name, rows in arm.assessments)


def _stage_lines(draft: Draft, index: int, stage: Stage, most_rows: int) -> Iterator[str]:
    yield f"stage {stage.title}: {_template(stage.template)}"
    start = draft.offsets[index]
    for place in range(min(stage.rows, most_rows)):
        yield f"  #{start + place} {_row(draft, stage, start, place)}".rstrip()
    if stage.rows > most_rows:
        yield f"  ... {stage.rows - most_rows} more"


def _row(draft: Draft, stage: Stage, start: int, place: int) -> str:
    words = [_template({name: column[place] for name, column in stage.table.columns.items()})]
    words += [f"{each.name}<-{spans(each.of(place))}" for each in stage.inputs]
    if draft.keys:
        words.append(draft.keys[start + place].hex())
    if draft.status:
        words.append(STATUS_WORDS[draft.status[start + place]])
    return " ".join(word for word in words if word)


def _template(values: Mapping[str, object]) -> str:
    return " ".join(f"{name}={flat(value)}" for name, value in values.items() if value is not None)


def flat(value: object) -> str:
    """A parameter on one line: only what differs from the defaults of its model."""
    if isinstance(value, BaseModel):
        defaults = {name: field.default for name, field in type(value).model_fields.items() if name != "kind"}
        if isinstance(value, ResolvedBenchmark) and value.kind in BENCHMARKS.builtin:
            defaults |= {name: field.default for name, field in BENCHMARKS.get(value.kind).model_fields.items()}
        given = {name: item for name, item in value if name == "kind" or item != defaults.get(name)}
        kind = str(given.pop("kind", type(value).__name__))
        return f"{kind}({', '.join(f'{name}={flat(item)}' for name, item in given.items())})"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(flat, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {flat(item)}' for name, item in value.items())}}}"
    return repr(value) if isinstance(value, str) and " " in value else text_of(value)


def spans(rows: Iterable[int]) -> str:
    """Row numbers with runs joined.

    >>> spans([0, 1, 2, 5, 7, 8])
    '#0-2 #5 #7-8'
    """
    parts: list[list[int]] = []
    for row in rows:
        if parts and row == parts[-1][1] + 1:
            parts[-1][1] = row
        else:
            parts.append([row, row])
    return " ".join(f"#{first}" if first == last else f"#{first}-{last}" for first, last in parts)
