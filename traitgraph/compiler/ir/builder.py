"""Where lowering puts the stages it makes: hands out row numbers and resolves what the spec names."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from traitgraph.specs.fields.registry import UnknownNameError
from traitgraph.specs.jobs.refs import GgufModel
from traitgraph.specs.source.diagnostics import SpecError, error
from traitgraph.specs.study.job_kinds import KINDS, kind_of
from traitgraph.specs.study.study import Arm

from .dimensions import FURTHER, coordinates
from .ir import Column, Input, Stage, Table, row_ids
from .resolve import ModelReference, Resolver

COORDINATES = ("method", "model", "trait", "level", "merge", "alpha", "gamma", "seed")
"""Columns of the results that say which subject a job is about, in the order of a label."""


@dataclass
class Builder:
    """Collects the stages of a draft in an order in which every input comes first."""

    resolver: Resolver
    stages: list[Stage] = field(default_factory=list)
    rows: int = 0
    sizes: dict[bytes, int] = field(default_factory=dict)
    """Weights of the models met so far, where the spec says."""
    _starts: list[int] = field(default_factory=list)

    def add(
        self,
        kind: str,
        template: Mapping[str, object],
        table: Table,
        inputs: Sequence[Input] = (),
        *,
        where: Table | None = None,
        name: str = "",
    ) -> array[int]:
        """Append a stage; returns its row numbers. Inputs may refer to earlier rows only.

        Raises SpecError for a kind that neither this program nor a package has.
        """
        try:
            kind_of(kind)
        except (UnknownNameError, TypeError) as problem:
            unknown = f"no package gives the job kind `{kind}` (entry-point group {KINDS.group})"
            what = str(problem) if isinstance(problem, TypeError) else "; ".join([unknown, *KINDS.problems])
            raise SpecError([error("TG209", what)]) from None
        present = {key: value for key, value in template.items() if value is not None}
        labelled = where if where is not None else Table({}, table.rows)
        self.stages.append(Stage(kind, name or kind, present, table, tuple(inputs), labelled))
        self._starts.append(self.rows)
        first, self.rows = self.rows, self.rows + table.rows
        return row_ids(range(first, self.rows))

    def name_of(self, row: int) -> str:
        """The trait and level of a job: 'openness high'."""
        index = bisect_right(self._starts, row) - 1
        stage, place = self.stages[index], row - self._starts[index]
        return " ".join(str(stage.where[name][place]) for name in ("trait", "level") if name in stage.where)


@dataclass(frozen=True)
class Group:
    """The subjects of one arm that stand on one base model: what a method's lowering works on."""

    arm: Arm
    model: ModelReference
    prepared: int | None
    """Row of the job that makes the model loadable, if it needs one."""
    subjects: Table
    names: Table

    def model_input(self, rows: int) -> tuple[Input, ...]:
        """The input `model` for so many rows; none for a model that loads as it is."""
        return constant_input("model", self.prepared, rows)

    def where(self, columns: Sequence[str], rows: Sequence[int]) -> Table:
        """The coordinates of these subjects, for labels and selections."""
        known = coordinates(self.names, self.subjects)
        return known.only(name for name in (*COORDINATES, "context", *FURTHER) if name in columns).take(rows)


@dataclass(frozen=True)
class Made:
    """Some subjects of a group, and what makes them: an adapter, a merge, a steering, a prompt, or nothing."""

    places: array[int]
    """Row of each subject within the group."""
    inputs: tuple[Input, ...] = ()
    """What their assessments take beside the model: tuned, merge, activations or neurons, one each per subject."""
    weights: array[int] | None = None
    """Row that makes the weights of each subject; None for the base's own."""
    columns: Mapping[str, Column] = field(default_factory=dict)
    """Row fields of the assessments (prompt, steering, neurons), one value per subject."""
    vectors: tuple[array[int], ...] = ()
    """Rows of the vectors that each subject scales, be it by 0: lists with one for each subject."""


def constant_input(name: str, row: int | None, rows: int) -> tuple[Input, ...]:
    """An input that is one row for all of so many rows; none where there is no such row."""
    return () if row is None else (Input(name, row_ids((row,)) * rows),)


def prepare(builder: Builder, model: ModelReference) -> int | None:
    """The row of the job that turns a GGUF file into a folder; None for a model that loads as it is."""
    if not isinstance(model, GgufModel):
        return None
    return builder.add("prepare", {"model": model}, Table({}, 1))[0]
