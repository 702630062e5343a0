"""Expand every arm into a table with one row per subject: the product of the axes that its method uses."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from traitgraph.specs.data import DataSpec
from traitgraph.specs.identity import number_text
from traitgraph.specs.merge_methods import MergeMethod
from traitgraph.specs.models import ModelSpec
from traitgraph.specs.study import Arm, Study

from .context import Context
from .ir import ArmTable, Column, Draft, Table, row_ids


@dataclass(frozen=True)
class Dimension:
    """One axis of an arm: its values, and the columns of the results table that name them."""

    column: str
    noun: str
    """What one value is called where counts are explained: '20 alphas'."""
    values: Sequence[object]
    names: dict[str, tuple[str, ...]]
    """Column of `results.Cell` -> the text for each value."""


def expand_arms(draft: Draft, context: Context) -> Draft:
    """Give every arm its subjects, in the order of its axes, the last axis fastest.

    before: {traits: [openness], levels: [high, low], alpha: [0, 1]}    after: openness high 0, openness high 1, ...
    """
    assert draft.source is not None, "the first draft holds the study"
    return replace(draft, arms=tuple(expand_arm(draft.source, arm) for arm in draft.source.resolved_arms()))


def expand_arm(study: Study, arm: Arm) -> ArmTable:
    """The subjects of one arm."""
    dimensions = dimensions_of(arm)
    codes = product_codes([len(each.values) for each in dimensions])
    rows = len(codes[0]) if codes else 1
    subjects, names = {}, {}
    for each, column in zip(dimensions, codes, strict=True):
        subjects[each.column] = Column(tuple(each.values), column)
        names.update({name: Column(texts, column) for name, texts in each.names.items()})
    return ArmTable(
        study=study.study,
        name=arm.name,
        method=arm.method.kind,
        axes=tuple((each.noun, len(each.values)) for each in dimensions),
        subjects=Table(subjects, rows),
        names=Table(names, rows),
    )


def product_codes(lengths: Sequence[int]) -> list[array[int]]:
    """Codes of every axis in the rows of a cartesian product, the last axis fastest.

    >>> [list(codes) for codes in product_codes([2, 3])]
    [[0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]]
    """
    rows = 1
    for length in lengths:
        rows *= length
    columns, outer = [], 1
    for length in lengths:
        inner = rows // (outer * length)
        column = row_ids()
        for code in range(length):
            column.extend(row_ids((code,)) * inner)
        columns.append(column * outer)
        outer *= length
    return columns


def dimensions_of(arm: Arm) -> list[Dimension]:
    """The axes of an arm in the order in which its subjects are written down."""
    used = [reader(arm) for key, reader in READERS.items() if key in arm.method.uses]
    return [_models(arm.model), *(each for each in used if each.values)]


def _models(models: Iterable[ModelSpec]) -> Dimension:
    chosen = tuple(models)
    return Dimension("model", "models", chosen, {"model": tuple(model.name for model in chosen)})


def _words(column: str, noun: str, values: Sequence[str]) -> Dimension:
    return Dimension(column, noun, values, {column: tuple(values)})


def _numbers(column: str, noun: str, values: Sequence[Decimal | int]) -> Dimension:
    return Dimension(column, noun, values, {column: tuple(map(number_text, values))})


def _data(data: Sequence[DataSpec]) -> Dimension:
    return Dimension("data", "data sets", data, {})


def _merges(methods: Sequence[MergeMethod]) -> Dimension:
    return Dimension("merge", "merge methods", methods, {"merge": merge_names(methods)})


def merge_names(methods: Sequence[MergeMethod]) -> tuple[str, ...]:
    """A name for each merge method: its kind, and what tells it from others of its kind.

    [ties, dare(density=0.5), dare(density=0.2)] -> ties, dare density=0.5, dare density=0.2
    """
    kinds = [str(getattr(method, "kind", type(method).__name__)) for method in methods]
    names = []
    for kind, method in zip(kinds, methods, strict=True):
        alike = [other for other, other_kind in zip(methods, kinds, strict=True) if other_kind == kind]
        telling = [
            f"{name}={_text(value)}" for name, value in method if any(getattr(other, name) != value for other in alike)
        ]
        names.append(" ".join([kind, *telling]))
    return tuple(names)


def _text(value: object) -> str:
    return number_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


READERS: dict[str, Callable[[Arm], Dimension]] = {
    "data": lambda arm: _data(arm.data),
    "merge": lambda arm: _merges(arm.merge),
    "traits": lambda arm: _words("trait", "traits", arm.traits),
    "levels": lambda arm: _words("level", "levels", arm.levels),
    "seeds": lambda arm: _numbers("seed", "seeds", arm.seeds),
    "gamma": lambda arm: _numbers("gamma", "gammas", arm.gamma),
    "alpha": lambda arm: _numbers("alpha", "alphas", arm.alpha),
}
"""Key of an arm -> its axis; the order is that of the rows, the axis that is swept on one loaded model last."""
