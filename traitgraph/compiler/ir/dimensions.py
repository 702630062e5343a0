"""The axes of an arm as the rows of its table see them: in which order, called what, named how in results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from traitgraph.specs.fields.references import Named
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.study.merge_methods import MergeMethod
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.traits import Combination

from .ir import Column, Table

ORDER = (
    "model", "data", "merge", "onto", "intensity", "combination", "trait", "level", "seed", "gamma", "layer",
    "coefficient", "alpha",
)  # fmt: skip
"""Order of the axes in a table, the last fastest: what is swept on one loaded model comes last."""

NOUNS = {
    "model": "models", "data": "data sets", "merge": "merge methods", "onto": "domain alphas",
    "intensity": "intensities", "combination": "level combinations", "trait": "traits", "level": "levels",
    "seed": "seeds", "gamma": "gammas", "layer": "layers", "coefficient": "coefficients", "alpha": "alphas",
}  # fmt: skip

CELL_COLUMNS = ("model", "trait", "level", "merge", "alpha", "gamma", "seed")
"""Axes with a column of their own in the results; the others are told in the column `method`."""

FURTHER = ("data", "onto", "intensity", "layer", "coefficient")
"""The others: a selection knows each by its own name."""


@dataclass(frozen=True)
class Dimension:
    """One factor of the product: an axis, or several that move together."""

    columns: Mapping[str, tuple[object, ...]]
    """Axis -> its values; all of one length."""

    @property
    def length(self) -> int:
        """How many values."""
        return len(next(iter(self.columns.values())))

    @property
    def noun(self) -> str:
        """What the values are called where counts are explained: 'alphas', 'models with data sets'."""
        return " with ".join(noun_of(name) for name in self.columns)


def noun_of(axis: str) -> str:
    """What the values of an axis are called: 'alphas', 'alphas of openness'."""
    name, _, trait = axis.partition(":")
    return f"{NOUNS.get(name, name)} of {trait}" if trait else NOUNS.get(name, name)


def dimensions_of(arm: Arm) -> list[Dimension]:
    """The factors of an arm's product, in the order of its rows; zipped axes stand where the first of them would."""
    axes = arm.axes()
    group_of: dict[str, tuple[str, ...]] = {name: group for group in arm.zip for name in group if name in axes}
    dimensions, placed = [], set[str]()
    place = {name: number for number, name in enumerate(ORDER)}
    for name in sorted(axes, key=lambda axis: place.get(axis.partition(":")[0], len(ORDER))):  # of a plug-in's: last
        if name not in placed:
            names = [other for other in group_of.get(name, (name,)) if other in axes]
            dimensions.append(Dimension({other: axes[other] for other in names}))
            placed.update(names)
    return dimensions


def text_of(value: object) -> str:
    """A value as results print it: a name, or a number in its canonical form."""
    if isinstance(value, Named):
        return value.name
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        return number_text(value)
    return str(value)


def texts_of(axis: str, values: Sequence[object]) -> dict[str, tuple[str, ...]]:
    """Columns of the results and the text that each value has there."""
    if axis == "combination":
        chosen = cast("Sequence[Combination]", values)
        return {
            "trait": tuple("+".join(trait for trait, _ in pairs) for pairs in chosen),
            "level": tuple("+".join(level for _, level in pairs) for pairs in chosen),
        }
    if axis == "merge":
        return {axis: merge_names(cast("Sequence[MergeMethod]", values))}
    return {axis: tuple(map(text_of, values))}


def coordinates(names: Table, subjects: Table) -> Table:
    """The columns of the results, and the axes without a column of their own, as text."""
    further = {
        name: Column(texts_of(name, subjects[name].values)[name], subjects[name].codes)
        for name in FURTHER
        if name in subjects
    }
    return Table({**names.columns, **further}, names.rows)


def merge_names(methods: Sequence[MergeMethod]) -> tuple[str, ...]:
    """A name for each merge method: its kind, and what tells it from others of its kind.

    [ties, dare(density=0.5), dare(density=0.2)] -> ties, dare density=0.5, dare density=0.2
    """
    kinds = [str(getattr(method, "kind", type(method).__name__)) for method in methods]
    names = []
    for kind, method in zip(kinds, methods, strict=True):
        alike = [other for other, other_kind in zip(methods, kinds, strict=True) if other_kind == kind]
        telling = (name for name, value in method if any(getattr(other, name) != value for other in alike))
        names.append(" ".join([kind, *(f"{name}={text_of(getattr(method, name))}" for name in telling)]))
    return tuple(names)
