"""Pack jobs into tasks: jobs that share a loaded model go to one process, cut into pieces of about equal minutes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby, repeat

from traitgraph.compiler.cost.estimate import Estimator
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import MISSING, Draft, Stage, TaskDraft, row_ids
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.job_kinds import kind_of

NO_TASK = 0xFFFFFFFF


@dataclass(slots=True)
class Unit:
    """Rows that stay together: one subject with all its assessments, or one job of another kind."""

    rows: array[int] = field(default_factory=row_ids)
    vectors: array[int] = field(default_factory=row_ids)
    """Missing vector jobs that the subject is made from."""
    seconds: float = 0.0


def pack_tasks(draft: Draft, context: Context) -> Draft:
    """Group missing jobs into tasks by loaded model and time; tasks name the tasks whose results they need.

    before: vector, merge x 20, assess x 40    after: 02-assess-000: [vector, merge, assess, assess, merge, ...]
    A vector that several tasks use gets a task of its own before them.
    """
    estimator = Estimator(draft, context)
    waves: list[tuple[str, list[Unit]]] = []
    for group, stages in groupby(range(len(draft.stages)), lambda index: kind_of(draft.stages[index].kind).group):
        if group == "assess":
            vectors, subjects = _pack_subjects(draft, stages, estimator, context)
            waves += [("vector", vectors), ("assess", subjects)]
        else:
            waves.append((group, _pack_alone(draft, stages, estimator, context)))
    return replace(draft, tasks=_with_edges(draft, _named([wave for wave in waves if wave[1]], draft, estimator)))


def _by_model(draft: Draft, stages: Iterable[int]) -> Iterable[list[int]]:
    """Stages by what a process has to load for them."""
    models: dict[bytes, list[int]] = {}
    for index in stages:
        models.setdefault(encode(draft.stages[index].template.get("model")), []).append(index)
    return models.values()


def _wanted(draft: Draft, stage: Stage, context: Context) -> float:
    """How long a task with jobs of this stage should be: half of its time limit, for an estimate may be too low. [s]"""
    if context.cluster is None:
        return context.task_minutes * 60
    part = stage.template.get("training") or stage.template.get("benchmark")
    method = getattr(part, "method", None) or getattr(part, "kind", None)
    weights = draft.sizes.get(encode(stage.template.get("model")))
    asked = context.cluster.resources_of(stage.kind, method, weights / 1e9 if weights else None)
    return (asked.minutes or 60) * 60 / 2


def _missing(draft: Draft, index: int) -> Iterator[int]:
    return (row for row in range(draft.offsets[index], draft.offsets[index + 1]) if draft.status[row] == MISSING)


def _pack_alone(draft: Draft, stages: Iterable[int], estimator: Estimator, context: Context) -> list[Unit]:
    """Tasks of jobs that need nothing of each other (training), by model and time limit."""
    tasks: list[Unit] = []
    for same_model in _by_model(draft, stages):
        units: dict[float, list[Unit]] = {}
        for index in same_model:
            seconds = estimator.seconds(draft.stages[index]).middle
            alike = units.setdefault(_wanted(draft, draft.stages[index], context), [])
            alike += [Unit(row_ids((row,)), seconds=seconds) for row in _missing(draft, index)]
        tasks += chain.from_iterable(_chunks(alike, wanted) for wanted, alike in units.items())
    return tasks


def _pack_subjects(
    draft: Draft, stages: Iterable[int], estimator: Estimator, context: Context
) -> tuple[list[Unit], list[Unit]]:
    """Tasks for vectors that several tasks use, and tasks of whole subjects, by model."""
    ahead, tasks = [], []
    for same_model in _by_model(draft, stages):
        limit = max(_wanted(draft, draft.stages[index], context) for index in same_model)  # a task asks for the most
        subjects = _sweeps(_subjects(draft, same_model, estimator, limit), limit)
        packed = _chunks(subjects, limit)
        shared = _shared_vectors(draft, same_model, packed)
        if shared:
            seconds = sum(estimator.seconds(draft.locate(row)[0]).middle for row in shared)
            ahead.append(Unit(row_ids(sorted(shared)), seconds=seconds))
        for task in packed:
            task.rows = row_ids(sorted(set(task.vectors) - shared)) + task.rows
        tasks += packed
    return ahead, tasks


def _subjects(draft: Draft, stages: Iterable[int], estimator: Estimator, limit: float) -> list[Unit]:
    """One unit per subject: its recipe first, then its assessments.

    What stands on the base, be it thousands of prompts and contexts, is cut into units of the `limit`. [s]
    """
    units: dict[int, Unit] = {}
    base = -1
    for index in stages:
        stage = draft.stages[index]
        if stage.kind == "vector":
            continue
        seconds = estimator.seconds(stage).middle
        inputs = {each.name: each for each in stage.inputs}
        makes = inputs.get("merge") or inputs.get("tuned")  # weights of an assessment's subject, if not the base's
        for row in _missing(draft, index):
            place = row - draft.offsets[index]
            subject = row if stage.kind == "merge" else makes.refs[place] if makes else base
            unit = units.setdefault(subject, Unit())
            if stage.kind == "merge" and "vectors" in inputs:
                unit.vectors.extend(ref for ref in inputs["vectors"].of(place) if draft.status[ref] == MISSING)
            unit.rows.append(row)
            unit.seconds += seconds
            base -= subject == base and unit.seconds >= limit
    return list(units.values())


def _sweeps(subjects: Iterable[Unit], limit: float) -> list[Unit]:
    """Neighbours made from the same vectors as one unit, where they fit one task: their vector need not go ahead."""
    sweeps: list[Unit] = []
    for vectors, group in groupby(subjects, lambda unit: tuple(unit.vectors)):
        alike = list(group)
        whole = _joined(alike)
        sweeps += [whole] if vectors and whole.seconds <= limit else alike
    return sweeps


def _joined(units: Sequence[Unit]) -> Unit:
    vectors = row_ids(dict.fromkeys(chain.from_iterable(unit.vectors for unit in units)))
    rows = row_ids(chain.from_iterable(unit.rows for unit in units))
    return Unit(rows, vectors, sum(unit.seconds for unit in units))


def _chunks(units: Sequence[Unit], limit: float) -> list[Unit]:
    """Neighbouring units in tasks of about equal length, near the limit unless one unit alone is longer."""
    total = sum(unit.seconds for unit in units)
    target = total / max(1, min(len(units), round(total / limit)))
    tasks, chunk, spent = [], list[Unit](), 0.0
    for unit in units:
        if chunk and spent + unit.seconds / 2 > target:
            tasks.append(_joined(chunk))
            chunk, spent = [], 0.0
        chunk.append(unit)
        spent += unit.seconds
    return [*tasks, _joined(chunk)] if chunk else tasks


def _shared_vectors(draft: Draft, stages: Iterable[int], tasks: Iterable[Unit]) -> set[int]:
    """Missing vectors that more than one task uses, or none."""
    vectors = (row for index in stages if draft.stages[index].kind == "vector" for row in _missing(draft, index))
    users = dict.fromkeys(vectors, 0)
    for task in tasks:
        for row in task.vectors:
            users[row] = users.get(row, 0) + 1
    return {row for row, count in users.items() if count != 1}


def _named(waves: Iterable[tuple[str, list[Unit]]], draft: Draft, estimator: Estimator) -> list[TaskDraft]:
    """Tasks with their names: number of the wave, group, number inside: '02-assess-000'."""
    tasks = []
    for wave, (group, units) in enumerate(waves, start=1):
        for number, unit in enumerate(units):
            stage, _ = draft.locate(unit.rows[-1])
            minutes = (unit.seconds + estimator.loading(stage).middle) / 60
            known = draft.sizes.get(encode(stage.template["model"])) if "model" in stage.template else None
            tasks.append(TaskDraft(f"{wave:02d}-{group}-{number:03d}", group, unit.rows, (), minutes, known))
    return tasks


def _with_edges(draft: Draft, tasks: Sequence[TaskDraft]) -> tuple[TaskDraft, ...]:
    task_of = row_ids((NO_TASK,)) * draft.rows
    for number, task in enumerate(tasks):
        for row in task.rows:
            task_of[row] = number
    before: list[set[int]] = [set() for _ in tasks]
    for user, source in _task_pairs(draft, task_of):
        if user != source and NO_TASK not in (user, source):
            before[user].add(source)
    return tuple(
        replace(task, after=tuple(tasks[other].id for other in sorted(others)))
        for task, others in zip(tasks, before, strict=True)
    )


def _task_pairs(draft: Draft, task_of: array[int]) -> set[tuple[int, int]]:
    """Pairs of tasks (user, source) of all inputs of all rows."""
    pairs: set[tuple[int, int]] = set()
    for index, stage in enumerate(draft.stages):
        users = task_of[draft.offsets[index] : draft.offsets[index + 1]]
        for each in stage.inputs:
            wide = users if each.width == 1 else chain.from_iterable(repeat(user, each.width) for user in users)
            pairs.update(zip(wide, map(task_of.__getitem__, each.refs), strict=True))
    return pairs
