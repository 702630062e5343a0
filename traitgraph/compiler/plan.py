"""What a compilation hands to everyone else: counts, arms, cells, and the job table that workers read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from traitgraph.compiler.cost.price import Price, price_plan, seconds_by_sort
from traitgraph.compiler.cost.work import JudgeCalls, judge_calls
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.dimensions import axis_columns
from traitgraph.compiler.ir.ir import (
    BASE,
    MISSING,
    PRESENT,
    UNNEEDED,
    ArmTable,
    Column,
    Draft,
    TaskDraft,
    row_json,
    shared_json,
)
from traitgraph.compiler.passes.select import selected_arms, selected_cells
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.benchmarks import Questionnaire
from traitgraph.specs.study.job_kinds import kind_of

from .label import labels_of


@dataclass(frozen=True)
class Counts:
    """Jobs of a plan: all, in the store, to run, and neither (absent, but nothing asks for them)."""

    jobs: int
    present: int
    missing: int
    unneeded: int
    by_kind: dict[str, int]
    missing_by_kind: dict[str, int]
    selected_by_kind: dict[str, int]
    """Jobs that the selection names; without a selection all."""
    needed_by_kind: dict[str, int]
    """Missing jobs that it does not name: selected ones need them."""

    @property
    def selected(self) -> int:
        """Jobs that the selection names."""
        return sum(self.selected_by_kind.values())

    @property
    def needed(self) -> int:
        """Missing jobs that only run because selected ones need them."""
        return sum(self.needed_by_kind.values())


@dataclass(frozen=True)
class ArmCounts:
    """What one arm asks for, and how the count comes about."""

    name: str
    method: str
    axes: tuple[tuple[str, int], ...]
    conditions: int
    """Rows of results: one per combination of the axes."""
    subjects: int
    """Distinct models under distinct prompts; alpha 0 is the base, whatever vector it scales."""
    models: int
    """Distinct weights."""
    jobs: int
    missing: int
    assessments: int
    """Jobs that measure a subject of the arm."""
    excluded: int = 0
    """Points of the product that are left out."""
    included: int = 0
    """Points beside the product."""
    only_zeros_equal: bool = False
    """Whether of the conditions that make one subject all have alpha 0."""
    forms: Mapping[str, int] = field(default_factory=dict)
    """Questionnaire -> in how many forms each assessment asks it, where it has forms."""


@dataclass(frozen=True)
class Plan:
    """A compiled study: a graph, what of it is in the store, and the tasks that would run the rest."""

    draft: Draft
    context: Context = field(default_factory=Context)

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.draft.study

    @property
    def tasks(self) -> tuple[TaskDraft, ...]:
        """Missing jobs, packed by loaded model, in an order that can run."""
        return self.draft.tasks

    @cached_property
    def counts(self) -> Counts:
        """Jobs by kind and by what the store says of them."""
        status, wanted = self.draft.status, self.draft.wanted
        kinds, missing = Counter[str](), Counter[str]()
        for stage, (first, end) in zip(self.draft.stages, pairwise(self.draft.offsets), strict=True):
            kinds[stage.kind] += stage.rows
            missing[stage.kind] += status[first:end].count(MISSING)
        selected = kinds if wanted is None else Counter(self.draft.locate(row)[0].kind for row in wanted)
        named = Counter(self.draft.locate(row)[0].kind for row in wanted or () if status[row] == MISSING)
        return Counts(
            jobs=self.draft.rows,
            present=status.count(PRESENT),
            missing=status.count(MISSING),
            unneeded=status.count(UNNEEDED),
            by_kind=dict(kinds),
            missing_by_kind={kind: count for kind, count in missing.items() if count},
            selected_by_kind={kind: selected[kind] for kind in kinds if selected[kind]},
            needed_by_kind={} if wanted is None else dict(missing - named),
        )

    @cached_property
    def price(self) -> Price:
        """What running the missing jobs takes."""
        return price_plan(self.draft, self.context)

    @cached_property
    def judge_calls(self) -> list[JudgeCalls]:
        """How often the missing jobs ask each judge behind an interface."""
        return judge_calls(self.draft)

    @property
    def seconds_by_sort(self) -> dict[str, float]:
        """What a missing job of each sort is expected to take. [s]"""
        return seconds_by_sort(self.draft, self.context)

    @cached_property
    def arms(self) -> tuple[ArmCounts, ...]:
        """The arms in the order of the spec; with a selection, what it leaves of those that it speaks of."""
        selected = self.draft.wanted is not None
        return tuple(map(self._arm, selected_arms(self.draft, self.context.select) if selected else self.draft.arms))

    @property
    def models(self) -> int:
        """Distinct weights of all arms together."""
        weights = {row for arm in self.draft.arms for row in arm.weights} - {BASE}
        return len(weights) + len({model for arm in self.draft.arms for model in _base_models(arm)})

    def _arm(self, arm: ArmTable) -> ArmCounts:
        # What tells a subject from others: the jobs that measure it, or without any those that make its weights.
        subjects: Sequence[object] = list(zip(*(rows for _, rows in arm.assessments), strict=True)) or arm.weights
        assessed = {row for _, rows in arm.assessments for row in rows}
        return ArmCounts(
            name=arm.name,
            method=arm.method,
            axes=arm.axes,
            conditions=arm.subjects.rows,
            subjects=len(set(subjects)),
            models=len(set(arm.weights) - {BASE}) + len(_base_models(arm)),
            jobs=len(arm.jobs),
            missing=sum(self.draft.status[row] == MISSING for row in arm.jobs),
            assessments=len(assessed if self.draft.wanted is None else assessed & self.draft.wanted),
            excluded=arm.excluded,
            included=arm.included,
            only_zeros_equal=_only_zeros_equal(arm, subjects),
            forms=self._forms(arm.name),
        )

    def _forms(self, name: str) -> dict[str, int]:
        arms = self.draft.source.arms if self.draft.source else ()
        asked = (one for arm in arms if arm.name == name for one in arm.benchmarks if isinstance(one, Questionnaire))
        return {one.name: one.forms.count for one in asked if one.forms}

    @cached_property
    def cells(self) -> list[Cell]:
        """Every selected subject under every benchmark, with the key of its job, in the order of the spec."""
        cells, selectors = list[Cell](), self.context.select
        for arm in self.draft.arms:
            chosen = selected_cells(self.draft, arm, selectors) if selectors else None
            found = self._cells_of(arm)
            cells += (cell for place, cell in found if chosen is None or (cell.benchmark, place) in chosen)
        return cells

    def _cells_of(self, arm: ArmTable) -> Iterator[tuple[int, Cell]]:
        """Each result of an arm with its subject; that of an analysis with the first that is compared."""
        axes = axis_columns(arm.subjects)
        nothing = [""] * arm.subjects.rows
        labels = [list(map(str, arm.names[name])) if name in arm.names else nothing for name in ("method", "merge")]
        named = [
            Column(tuple((name, str(text)) for text in column.values), column.codes)
            for name, column in axes.columns.items()
        ]
        points = list(zip(*named, strict=True)) if named else [()] * arm.subjects.rows
        hexes = {row: self.draft.keys[row].hex() for _, rows in arm.assessments for row in rows}
        for benchmark, rows in arm.assessments:
            for place, row in enumerate(rows):
                of = (arm.study, arm.name, arm.method, labels[0][place], labels[1][place])
                yield place, Cell(*of, points[place], benchmark, hexes[row])
        for each in arm.comparisons:
            shared = tuple((name, text) for name, text in points[each.subject] if name in each.shared)
            merge = labels[1][each.subject] if "merge" in each.shared else ""
            of = (arm.study, arm.name, arm.method, labels[0][each.subject], merge)
            yield each.subject, Cell(*of, shared, each.name, self.draft.keys[each.row].hex())

    def job_table(self) -> JobTable:
        """Rows and tasks for what is missing, as workers read them; rows come after the rows they need."""
        missing = [row for row in range(self.draft.rows) if self.draft.status[row] == MISSING]
        return JobTable(
            study=self.study,
            locations=dict(self.draft.locations),
            traits=self.draft.source.traits if self.draft.source else (),
            rows=tuple(map(self.job_row, missing)),
            tasks=tuple(map(self._task, self.tasks)),
        )

    def job_row(self, row: int) -> JobRow:
        """One job as it travels."""
        index, keys = self.draft.stage_of(row), self.draft.keys
        stage, place = self.draft.stages[index], row - self.draft.offsets[index]
        return JobRow.model_construct(
            key=keys[row].hex(),
            kind=stage.kind,
            version=kind_of(stage.kind).version,
            params={**self._shared[index], **row_json(stage, place)},
            inputs={each.name: tuple(keys[ref].hex() for ref in each.of(place)) for each in stage.inputs},
            label=self._labels[row],
        )

    def labels(self) -> list[str]:
        """What people call each job, by its row."""
        return list(self._labels)

    @cached_property
    def _labels(self) -> list[str]:
        return labels_of(self.draft)

    @cached_property
    def _shared(self) -> list[dict[str, object]]:
        """Shared parameters of each stage."""
        return list(map(shared_json, self.draft.stages))

    def _task(self, task: TaskDraft) -> Task:
        keys = tuple(self.draft.keys[row].hex() for row in task.rows)
        billions = None if task.parameters is None else task.parameters / 1e9
        return Task(id=task.id, jobs=keys, after=task.after, minutes=round(task.minutes, 2), billions=billions)


def _base_models(arm: ArmTable) -> set[object]:
    """Models of the arm that are assessed with their own weights."""
    return {model for model, made in zip(arm.names["model"], arm.weights, strict=True) if made == BASE}


def _only_zeros_equal(arm: ArmTable, subjects: Sequence[object]) -> bool:
    if "alpha" not in arm.subjects:
        return False
    others = [each for each, alpha in zip(subjects, arm.subjects["alpha"], strict=True) if alpha]
    return len(set(others)) == len(others)
