"""The intermediate form: tables, not objects. One stage is a template and columns; one job is a row number.

A draft passes through the pipeline and gains fields on the way. Rows are numbered through all stages in order, so an
input is a list of row numbers and 620,000 jobs need megabytes. Knows the shape only: no keys, no methods, no store.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from traitgraph.specs.source.hashing import number_text

if TYPE_CHECKING:
    from traitgraph.specs.study.study import Study

    from .context import Counts


def to_json(value: object) -> object:
    """A parameter as job rows carry and records keep it: every field of a spec, lists, decimals as exact text."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    return number_text(value) if isinstance(value, Decimal) else value


def shared_json(stage: Stage) -> dict[str, object]:
    """The parameters that all rows of a stage share."""
    return {name: to_json(value) for name, value in stage.template.items() if value is not None}


def row_json(stage: Stage, place: int) -> dict[str, object]:
    """The row fields of one job, absent ones left out."""
    row = ((name, column[place]) for name, column in stage.table.columns.items())
    return {name: to_json(value) for name, value in row if value is not None}


def row_ids(numbers: Iterable[int] = ()) -> array[int]:
    """Row numbers in four bytes each."""
    return array("I", numbers)


@dataclass(frozen=True)
class Column:
    """One field down the rows of a table: each distinct value once, and a code per row."""

    values: tuple[object, ...]
    codes: array[int]

    @classmethod
    def of(cls, values: Iterable[object]) -> Column:
        """The column that holds these values; equal (hashable) values share a code."""
        code_of: dict[object, int] = {}
        codes = row_ids(code_of.setdefault(value, len(code_of)) for value in values)
        return cls(tuple(code_of), codes)

    @classmethod
    def constant(cls, value: object, rows: int) -> Column:
        """The column that holds one value in every row."""
        return cls((value,), row_ids((0,)) * rows)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> object:
        return self.values[self.codes[row]]

    def __iter__(self) -> Iterator[object]:
        return map(self.values.__getitem__, self.codes)

    def map(self, function: Callable[[Any], object]) -> Column:
        """The column with each value replaced; a distinct value is computed once."""
        made = Column.of(map(function, self.values))
        return Column(made.values, row_ids(map(made.codes.__getitem__, self.codes)))

    def take(self, rows: Sequence[int]) -> Column:
        """The same values at these rows only, in their order."""
        if len(self.values) == 1:
            return Column(self.values, row_ids((0,)) * len(rows))
        return Column(self.values, row_ids(map(self.codes.__getitem__, rows)))


@dataclass(frozen=True)
class Table:
    """Columns of equal length. The four verbs (take, split, distinct, join of columns) are all that lowering needs."""

    columns: Mapping[str, Column]
    rows: int

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def take(self, rows: Sequence[int]) -> Table:
        """The table at these rows, in their order."""
        return Table({name: column.take(rows) for name, column in self.columns.items()}, len(rows))

    def only(self, names: Iterable[str]) -> Table:
        """The table with these columns only, where it has them."""
        return Table({name: self.columns[name] for name in names if name in self.columns}, self.rows)

    def split(self, names: Iterable[str]) -> Iterator[tuple[dict[str, object], array[int]]]:
        """Groups of rows that agree in these columns, in order of first appearance: their values and row numbers."""
        known = [name for name in names if name in self.columns]
        varying = [name for name in known if len(self.columns[name].values) > 1]
        if not self.rows:
            return
        for rows in _groups([self.columns[name].codes for name in varying], self.rows):
            yield {name: self.columns[name][rows[0]] for name in known}, rows

    def distinct(self, names: Iterable[str]) -> tuple[Table, array[int]]:
        """The distinct rows of these columns, and for each row of this table the number of its distinct row."""
        small = self.only(names)
        code_of: dict[tuple[int, ...], int] = {}
        first: array[int] = row_ids()
        places = row_ids()
        columns = [column.codes for column in small.columns.values()]
        for row, codes in enumerate(zip(*columns, strict=True) if columns else [()] * self.rows):
            place = code_of.setdefault(codes, len(code_of))
            if place == len(first):
                first.append(row)
            places.append(place)
        return small.take(first), places


def _groups(codes: Sequence[array[int]], rows: int) -> Iterable[array[int]]:
    if not codes:
        return [row_ids(range(rows))]
    groups: defaultdict[tuple[int, ...], array[int]] = defaultdict(row_ids)
    for row, combination in enumerate(zip(*codes, strict=True)):
        groups[combination].append(row)
    return groups.values()


@dataclass(frozen=True)
class Input:
    """Row numbers that feed a named input: `width` of them for each row, one row after the other."""

    name: str
    refs: array[int]
    width: int = 1
    unordered: bool = False
    """Whether the order of one row's references says nothing (all assessments of a collection)."""

    def of(self, row: int) -> array[int]:
        """The row numbers that feed one row of the stage."""
        return self.refs[row * self.width : (row + 1) * self.width]

    def take(self, rows: Sequence[int]) -> Input:
        """The references of these rows only."""
        if self.width == 1:
            return replace(self, refs=row_ids(map(self.refs.__getitem__, rows)))
        return replace(self, refs=row_ids(ref for row in rows for ref in self.of(row)))

    def renumbered(self, place: Sequence[int]) -> Input:
        """The same references by their new numbers: `place[old] == new`."""
        refs = row_ids(map(place.__getitem__, self.refs))
        if self.unordered and self.width == len(refs):  # one row: equal jobs fall together
            refs = row_ids(dict.fromkeys(refs))
            return replace(self, refs=refs, width=len(refs))
        return replace(self, refs=refs)


@dataclass(frozen=True)
class Stage:
    """Jobs of one kind that differ only in their row fields."""

    kind: str
    name: str
    """What people call it: the benchmark of an assessment, else the kind. Never hashed."""
    template: Mapping[str, object]
    """Parameters that all rows share."""
    table: Table
    """The row fields of the kind's parameters."""
    inputs: tuple[Input, ...] = ()
    where: Table = field(default_factory=lambda: Table({}, 0))
    """Coordinates for labels (trait, level, alpha, ...). Never hashed."""

    @property
    def rows(self) -> int:
        """How many jobs the stage holds."""
        return self.table.rows

    @property
    def title(self) -> str:
        """The kind, and the name where it is another: 'train', 'assess mini-ipip'."""
        return self.kind if self.name == self.kind else f"{self.kind} {self.name}"

    def take(self, rows: Sequence[int]) -> Stage:
        """The stage with these rows only."""
        if len(rows) == self.rows:
            return self
        inputs = tuple(each.take(rows) for each in self.inputs)
        return replace(self, table=self.table.take(rows), inputs=inputs, where=self.where.take(rows))


@dataclass(frozen=True)
class Comparison:
    """One analysis across subjects of an arm."""

    name: str
    row: int
    subject: int
    """A subject of the compared group: what all of the group share names the result."""
    shared: tuple[str, ...]
    """Columns of the results in which the whole group agrees."""


@dataclass(frozen=True)
class ArmTable:
    """One arm after expansion: a row per subject, and (after lowering) the jobs that measure it."""

    study: str
    name: str
    method: str
    axes: tuple[tuple[str, int], ...]
    """How the count comes about, in reading order: (('trait', 5), ('level', 2), ('alpha', 20))."""
    subjects: Table
    """One row per subject: what the arm's method needs to make it."""
    names: Table
    """The same rows as people read them: the columns of `results.Cell` that vary."""
    excluded: int = 0
    """Points of the product that are left out."""
    included: int = 0
    """Points beside the product."""
    jobs: array[int] = field(default_factory=row_ids)
    """Rows of all stages that the arm needs, each once."""
    weights: array[int] = field(default_factory=row_ids)
    """For each subject the row that makes its weights, or BASE for the model as it is."""
    assessments: tuple[tuple[str, array[int]], ...] = ()
    """Benchmark name and, for each subject, the row of its assessment."""
    comparisons: tuple[Comparison, ...] = ()
    """Analyses across subjects."""

    def renumbered(self, place: Sequence[int]) -> ArmTable:
        """The arm whose jobs, weights and assessments are named by their new numbers: `place[old] == new`."""
        return replace(
            self,
            jobs=row_ids(sorted({place[row] for row in self.jobs})),
            weights=row_ids(row if row == BASE else place[row] for row in self.weights),
            assessments=tuple((name, row_ids(map(place.__getitem__, rows))) for name, rows in self.assessments),
            comparisons=tuple(replace(each, row=place[each.row]) for each in self.comparisons),
        )


BASE = 0xFFFFFFFF
"""In the place of a row number: no job makes these weights."""

PRESENT, MISSING, UNNEEDED = 0, 1, 2
STATUS_WORDS = ("present", "missing", "unneeded")


@dataclass(frozen=True)
class TaskDraft:
    """Rows that run one after the other in one process."""

    id: str
    stage: str
    rows: array[int]
    after: tuple[str, ...] = ()
    minutes: float = 0.0
    parameters: int | None = None
    """Weights of the loaded model, where the spec says."""


@dataclass(frozen=True)
class Draft:
    """What travels through the passes. A later field is empty until its pass has run."""

    study: str
    source: Study | None = None
    arms: tuple[ArmTable, ...] = ()
    stages: tuple[Stage, ...] = ()
    keys: Sequence[bytes] = ()
    """Per row, 16 bytes: the job key."""
    status: bytes = b""
    """Per row: PRESENT, MISSING (will run) or UNNEEDED (absent, but nothing asks for it)."""
    wanted: frozenset[int] | None = None
    """Rows that a selection asks for; None asks for all."""
    tasks: tuple[TaskDraft, ...] = ()
    sizes: Mapping[bytes, int] = field(default_factory=dict)
    """Canonical bytes of a model -> number of its weights, where the spec says. Never hashed."""
    dialogues: Mapping[bytes, Counts] = field(default_factory=dict)
    """Canonical bytes of a local file of dialogues -> how many rows it has of each sort. Never hashed."""
    items: Mapping[str, int] = field(default_factory=dict)
    """Digest of a questionnaire's file -> how many items it has. Never hashed."""
    locations: Mapping[str, str] = field(default_factory=dict)
    """Digest of a file or folder -> where it lies on this machine."""

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First row number of each stage, and the total at the end."""
        return tuple(accumulate((stage.rows for stage in self.stages), initial=0))

    @property
    def rows(self) -> int:
        """How many jobs the draft holds."""
        return self.offsets[-1]

    def stage_of(self, row: int) -> int:
        """Number of the stage that holds a row."""
        return bisect_right(self.offsets, row) - 1

    def locate(self, row: int) -> tuple[Stage, int]:
        """The stage that holds a row number, and the row's place in it."""
        index = self.stage_of(row)
        return self.stages[index], row - self.offsets[index]

    @cached_property
    def missing_by_stage(self) -> list[tuple[Stage, int]]:
        """The stages with jobs that will run, and how many."""
        spans = zip(self.stages, pairwise(self.offsets), strict=True)
        counts = ((stage, self.status[first:end].count(MISSING)) for stage, (first, end) in spans)
        return [(stage, count) for stage, count in counts if count]

    def inputs_of(self, row: int) -> dict[str, array[int]]:
        """Row numbers that feed one job, by input name."""
        stage, place = self.locate(row)
        return {each.name: each.of(place) for each in stage.inputs}

    def needs(self, row: int) -> Iterator[int]:
        """Row numbers that feed one job, whatever the input."""
        return chain.from_iterable(self.inputs_of(row).values())

    def keep(self, rows: Sequence[int], place: Sequence[int] | None = None) -> Draft:
        """The draft with these rows only, in their order; see `renumbered`."""
        stages = []
        for stage, start in zip(self.stages, self.offsets, strict=False):
            chosen = rows[bisect_left(rows, start) : bisect_left(rows, start + stage.rows)]
            if chosen:
                stages.append(stage.take(row_ids(row - start for row in chosen)))
        return self.renumbered(stages, rows, place)

    def renumbered(self, stages: Iterable[Stage], rows: Sequence[int], place: Sequence[int] | None = None) -> Draft:
        """The draft with these stages, which hold these rows of it, and every reference by its new number.

        `place[old] == new`; None: the position of the old number in `rows`.
        """
        if place is None:
            place = row_ids((0,)) * self.rows
            for new, old in enumerate(rows):
                place[old] = new
        return replace(
            self,
            stages=tuple(
                replace(stage, inputs=tuple(each.renumbered(place) for each in stage.inputs)) for stage in stages
            ),
            keys=[self.keys[row] for row in rows] if self.keys else (),
            arms=tuple(arm.renumbered(place) for arm in self.arms),
        )
