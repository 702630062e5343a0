"""The product of an arm's axes as its factors: enough to say whether a point is there, without making all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice, product
from math import prod

from traitgraph.specs.study.filters import Filter, same
from traitgraph.specs.study.study import Arm

Part = Mapping[str, object]
"""Values on some axes: one element of a factor."""

LOOKED_AT = 100_000
"""Points that are tried to find one that is left; of an arm with more sorts of points than that, one is."""


def factors_of(arm: Arm) -> list[list[Part]]:
    """The factors of the product: the values of one axis, or of several that move together."""
    axes = arm.axes()
    zipped = set(chain.from_iterable(arm.zip))
    groups = [*arm.zip, *((name,) for name in axes if name not in zipped)]
    return [
        [dict(zip(names, values, strict=True)) for values in zip(*(axes[name] for name in names), strict=False)]
        for names in groups
    ]


def number_of_points(arm: Arm) -> int:
    """How many points the product has, and the entries beside it."""
    factors = factors_of(arm)
    beside = (prod(_length(each, extra.axes()) for each in factors) for extra in arm.included)
    return prod(map(len, factors)) + sum(beside)


def _length(factor: Sequence[Part], given: Mapping[str, tuple[object, ...]]) -> int:
    """How many parts a factor has with other values on some axes, which are then crossed."""
    names = factor[0].keys() if factor else ()
    if not given.keys() & names:
        return len(factor)
    return prod(len(given.get(name, factor)) for name in names)


def has_point(arm: Arm, wanted: Filter) -> bool:
    """Whether a point of the product matches; of a composed one, the trait, level and alpha of one of its vectors."""
    factors = factors_of(arm)
    if "combination" not in arm.axes():
        return _have(factors, wanted)
    return any(_have([[_of_vector(part, trait) for part in each] for each in factors], wanted) for trait in arm.traits)


def _of_vector(part: Part, trait: str) -> Part:
    """A part of a composed point as the vector of one trait sees it."""
    pairs = part.get("combination")
    if isinstance(pairs, tuple):
        return {"trait": trait, "level": dict(pairs).get(trait)}
    return {"alpha": part[f"alpha:{trait}"]} if f"alpha:{trait}" in part else part


def _have(factors: Sequence[Sequence[Part]], wanted: Filter) -> bool:
    axes = wanted.axes()
    named = set(chain.from_iterable(each[0] for each in factors if each))
    return named.issuperset(axes) and all(any(_fits(part, axes) for part in each) for each in factors)


def _fits(part: Part, axes: Mapping[str, tuple[object, ...]]) -> bool:
    return all(any(same(each, value) for each in axes[axis]) for axis, value in part.items() if axis in axes)


def any_left(arm: Arm) -> bool:
    """Whether `exclude` and `when` leave a point of the arm."""
    if arm.included:
        return True
    filters = [*arm.excluded, *(each for rule in arm.rules for each in (rule.condition, rule.only))]
    sorts = product(*(_one_of_each_sort(each, filters) for each in factors_of(arm)))
    points = ({axis: value for part in parts for axis, value in part.items()} for parts in islice(sorts, LOOKED_AT))
    return any(map(arm.admits, points)) or next(sorts, None) is not None


def _one_of_each_sort(factor: Sequence[Part], filters: Sequence[Filter]) -> list[Part]:
    """Of the parts of a factor that no filter tells apart, the first."""
    wanted = [(axis, value) for each in filters for axis, values in each.axes().items() for value in values]

    def sort_of(part: Part) -> tuple[object, ...]:
        if "combination" in part:
            return (part["combination"],)
        return tuple(same(value, part[name]) for axis, value in wanted for name in part if name.split(":")[0] == axis)

    return list({sort_of(part): part for part in reversed(factor)}.values())
