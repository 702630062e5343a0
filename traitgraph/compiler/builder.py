"""Where lowering puts the stages it makes: hands out row numbers and resolves what the spec names."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from traitgraph.specs.jobs import GgufModel
from traitgraph.specs.study import Arm

from .ir import Input, Stage, Table, row_ids
from .resolve import ModelReference, Resolver

LABELLED = ("model", "trait", "level", "merge", "alpha", "gamma", "seed", "prompt")
"""Coordinates that a label may name, in its order."""


@dataclass
class Builder:
    """Collects the stages of a draft in an order in which every input comes first."""

    resolver: Resolver
    stages: list[Stage] = field(default_factory=list)
    rows: int = 0
    sizes: dict[bytes, int] = field(default_factory=dict)
    """Weights of the models met so far, where the spec says."""

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
        """Append a stage; returns its row numbers. Inputs may refer to earlier rows only."""
        present = {key: value for key, value in template.items() if value is not None}
        labelled = where if where is not None else Table({}, table.rows)
        self.stages.append(Stage(kind, name or kind, present, table, tuple(inputs), labelled))
        first, self.rows = self.rows, self.rows + table.rows
        return row_ids(range(first, self.rows))


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
        return () if self.prepared is None else (Input("model", row_ids((self.prepared,)) * rows),)

    def where(self, columns: Sequence[str], rows: Sequence[int]) -> Table:
        """The coordinates that tell these rows apart: an axis with one value appears in no label, traits always do."""
        wanted = [name for name in LABELLED if name in columns and name in self.names and self._tells(name)]
        return self.names.only(wanted).take(rows)

    def _tells(self, name: str) -> bool:
        return name in ("trait", "level", "alpha", "gamma") or len(self.names[name].values) > 1


@dataclass(frozen=True)
class Made:
    """Some subjects of a group and what makes them: an adapter, a merge or nothing; and the prompt before them."""

    places: array[int]
    """Row of each subject within the group."""
    source: str | None
    """Input name of the job that makes the weights: 'tuned', 'merge', or None for the base."""
    refs: array[int]
    """Row numbers of those jobs, one per subject; empty for the base."""
    columns: Table
    """Row fields of the assessments (`prompt`), one row per subject."""


def prepare(builder: Builder, model: ModelReference) -> int | None:
    """The row of the job that turns a GGUF file into a folder; None for a model that loads as it is."""
    if not isinstance(model, GgufModel):
        return None
    return builder.add("prepare", {"model": model}, Table({}, 1))[0]
