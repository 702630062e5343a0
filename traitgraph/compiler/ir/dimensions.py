"""The axes of an arm as the rows of its table see them: in which order, called what, named how in results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from traitgraph.specs.fields.references import Named
from traitgraph.specs.jobs.results import AXES
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.study.data import GeneratedDataSpec
from traitgraph.specs.study.merge_methods import MergeMethod
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.traits import Combination

from .ir import Column, Table

ORDER = (
    "model", "data", "merge", "onto", "intensity", "combination", "trait", "level", "seed", "gamma", "layer",
    "coefficient", "alpha", "context",
)  # fmt: skip
"""Order of the axes in a table, the last fastest: what is swept on one loaded model comes last."""

NOUNS = {
    "model": "models", "data": "data sets", "merge": "merge methods", "onto": "domain alphas",
    "intensity": "intensities", "combination": "level combinations", "trait": "traits", "level": "levels",
    "seed": "seeds", "gamma": "gammas", "layer": "layers", "coefficient": "coefficients", "alpha": "alphas",
    "context": "contexts",
}  # fmt: skip

LABELLED = ("model", "trait", "level", "context", "merge", "alpha", "gamma", "seed")
"""Axes that the label of a subject tells one by one; the others are told with its method."""

FURTHER = ("data", "onto", "intensity", "layer", "coefficient")
"""The others of the language."""


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
    """The labels of subjects, and every axis by its own name, as text."""
    return Table({**axis_columns(subjects).columns, **names.columns}, names.rows)


def axis_columns(subjects: Table) -> Table:
    """Every axis of some subjects as results have it, as text: in the order of the table, then those not in it."""
    columns = {
        name: Column(texts, column.codes)
        for axis, column in subjects.columns.items()
        for name, texts in _columns_of(axis, column.values).items()
    }
    return Table({name: columns[name] for name in sorted(columns, key=_column_place)}, subjects.rows)


def _columns_of(axis: str, values: Sequence[object]) -> dict[str, tuple[str, ...]]:
    """As `texts_of`, but what a name tells has a column: options of merge methods, gammas of generated dialogues.

    [ties, dare(density=0.5), dare(density=0.2)] -> merge: ties, dare, dare    merge.density: 0.2, 0.5, 0.2
    """
    if axis == "data":
        gammas = tuple(
            text_of(data.generate.gamma[0]) if isinstance(data, GeneratedDataSpec) else "" for data in values
        )
        return texts_of(axis, values) | ({"data.gamma": gammas} if len({*gammas} - {""}) > 1 else {})
    if axis != "merge":
        return texts_of(axis, values)
    methods = cast("Sequence[MergeMethod]", values)
    options = dict.fromkeys(name for names in _telling_options(methods) for name in names)
    given = {name: [getattr(method, name, None) for method in methods] for name in options}
    texts = {f"merge.{name}": tuple("" if each is None else text_of(each) for each in given[name]) for name in options}
    return {axis: tuple(map(_kind, methods)), **texts}


def axis_names(arm: Arm) -> list[str]:
    """The columns that the axes of an arm have in results."""
    return [name for axis, values in arm.axes().items() for name in _columns_of(axis, values)]


def _column_place(name: str) -> int:
    return AXES.index(name) if name in AXES else len(AXES)


def merge_names(methods: Sequence[MergeMethod]) -> tuple[str, ...]:
    """A name for each merge method: its kind, and what tells it from others of its kind.

    [ties, dare(density=0.5), dare(density=0.2)] -> ties, dare density=0.5, dare density=0.2
    """
    return tuple(
        " ".join([_kind(method), *(f"{name}={text_of(getattr(method, name))}" for name in telling)])
        for method, telling in zip(methods, _telling_options(methods), strict=True)
    )


def _telling_options(methods: Sequence[MergeMethod]) -> list[list[str]]:
    """For each merge method the options in which it differs from others of its kind."""
    return [
        [
            name
            for name, value in method
            if any(getattr(other, name) != value for other in methods if _kind(other) == _kind(method))
        ]
        for method in methods
    ]


def _kind(method: MergeMethod) -> str:
    return str(getattr(method, "kind", type(method).__name__))
