"""Include, exclude and when, given to the arms that they speak of, where each must change something.

A value that no arm has is a typing mistake. Whether a point is there is told by the factors of an arm's product,
without making all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain, islice, product
from math import prod
from typing import TypeVar

from pydantic_core import ValidationError

from traitgraph.specs.composition.arms import AXIS_KEYS
from traitgraph.specs.fields.context import ReadContext
from traitgraph.specs.fields.pydantic_errors import diagnose, each_read, fault, validated
from traitgraph.specs.fields.wording import shown
from traitgraph.specs.source.diagnostics import Diagnostic, near_names
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.source.positions import Document, Path
from traitgraph.specs.study.filters import Filter, When, same
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.vocabulary import Vocabulary

from .usage import Read

F = TypeVar("F", Filter, When)

MOST = 5_000_000
"""An arm with more points is a mistake (a step of 1e-5 for each of a thousand seeds), not a study."""


def with_filters(
    data: Mapping[str, object], read: Sequence[Read], document: Document, context: ReadContext, found: list[Diagnostic]
) -> tuple[Arm, ...]:
    """The arms with their rules, exclusions and inclusions; faults go to `found`."""
    context = replace(context, vocabulary=Vocabulary.joined(arm.vocabulary for _, arm in read))
    excluded = _read(Filter, "exclude", data, document, context, found)
    included = _read(Filter, "include", data, document, context, found)
    rules = _read(When, "when", data, document, context, found)
    if not read:
        return ()
    checks = FilterChecks(read, document)
    for place, each in enumerate(excluded):
        found += checks.excluded(("exclude", place), each)
    for place, rule in enumerate(rules):
        found += checks.rule(("when", place), rule)
    for place, each in enumerate(included):
        found += checks.included(("include", place), each)
    given = tuple(
        arm.model_copy(
            update={
                "excluded": tuple(each for each in excluded if each.speaks_of(arm.name)),
                "included": tuple(each for each in included if allows(arm, each)),
                "rules": tuple(each for each in rules if concerns(arm, each)),
            }
        )
        for _, arm in read
    )
    for arm in given:
        if (arm.excluded or arm.rules) and not any_left(arm):
            what = f"nothing is left of the arm '{arm.name}': `exclude` and `when` take every point of it"
            hint = "delete the arm, or leave a point of it"
            found.append(document.error("TG126", what, ("arms", arm.name), hint, at_key=True))
        if (points := number_of_points(arm)) > MOST:
            lengths = " x ".join(f"{len(values):,} {axis}" for axis, values in arm.axes().items() if len(values) > 1)
            what = f"the arm '{arm.name}' has {points:,} points, more than {MOST:,}: {lengths}"
            hint = "give fewer values, or `zip` axes"
            found.append(document.error("TG105", what, ("arms", arm.name), hint, at_key=True))
    return given


def _read(
    model: type[F],
    key: str,
    data: Mapping[str, object],
    document: Document,
    context: ReadContext,
    found: list[Diagnostic],
) -> tuple[F, ...]:
    """Every entry of a list of the study that can be read."""
    listed = data.get(key, ())
    if not isinstance(listed, tuple):
        hint = "give: a list of mappings, each names axes and values"
        found.append(document.error("TG103", f"`{key}` is not a list", (key,), hint))
        return ()

    def read(item: object) -> F:
        if not isinstance(item, Mapping):
            raise fault("dict_type")
        return validated(model, item, context)

    try:
        return tuple(each_read(listed, read))
    except ValidationError as problems:
        found += diagnose(problems, listed, document, lambda path: (key, *path))
        return ()


WORDS = ("model", "data", "trait", "level", "context", "merge", "intensity")
"""Axes of names: what a new name stands for is not known here. On the others `include` may give new numbers."""

OF_METHOD = ("intensity", "layer", "coefficient")
"""Axes that stand in `method`."""


def concerns(arm: Arm, rule: When) -> bool:
    """Whether a rule is about an arm: a baseline without alpha loses nothing to a rule about alphas."""
    return rule.condition.speaks_of(arm.name) and all(_values(arm, axis) for axis in rule.only.axes())


def allows(arm: Arm, extra: Filter) -> bool:
    """Whether an arm can have points beside its product: it has the axes, and on axes of names the values."""
    axes = arm.axes()
    return extra.speaks_of(arm.name) and all(
        axis in axes and (axis not in WORDS or all(_among(value, axes[axis]) for value in values))
        for axis, values in extra.axes().items()
    )


def _among(wanted: object, values: Sequence[object]) -> bool:
    return any(same(wanted, value) for value in values)


def _values(arm: Arm, axis: str) -> tuple[object, ...]:
    """The values that a filter may name on an axis: of a composed arm those of its vectors."""
    axes = arm.axes()
    if axis == "alpha" and arm.alpha_of:
        return tuple(value for values in arm.alpha_of.values() for value in values)
    if axis in ("trait", "level") and "combination" in axes:
        pairs = [pair for each in axes["combination"] if isinstance(each, tuple) for pair in each]
        return tuple({pair[axis == "level"]: None for pair in pairs})
    return axes.get(axis, ())


@dataclass(frozen=True)
class FilterChecks:
    """The faults of filters, against the arms that they speak of."""

    read: Sequence[Read]
    document: Document

    def excluded(self, path: Path, each: Filter) -> Iterator[Diagnostic]:
        """Points to leave out: each value is that of an arm, and some point has all that is named."""
        arms = self._spoken_of(each)
        if not arms:
            yield self._unknown_arm(path, each)
            return
        found = [fault for axis, values in each.axes().items() for fault in self._axis(path, axis, values, arms)]
        yield from found
        if not found and not self._faulty(each, arms) and not any(has_point(arm, each) for _, arm in arms):
            what = "this matches nothing: no point of an arm has all of it"
            yield self.document.error("TG125", what, path, "delete it, or give values that stand together")

    def rule(self, path: Path, rule: When) -> Iterator[Diagnostic]:
        """A rule: its condition must match points like any filter, and in the same arms so must what is kept."""
        yield from self.excluded((*path, "if"), rule.condition)
        place = (*path, "only")
        if rule.only.arm:
            what = "`arm` has no effect in `only`: `if` says which arms the rule is about"
            yield self.document.error("TG125", what, (*place, "arm"), "move it to `if`", at_key=True)
        elif not rule.only.axes():
            what = "`only` names no axis: it keeps every point"
            yield self.document.error("TG125", what, place, "name an axis and values")
        elif self._spoken_of(rule.condition):
            yield from self.excluded(place, rule.only.model_copy(update={"arm": rule.condition.arm}))

    def included(self, path: Path, each: Filter) -> Iterator[Diagnostic]:
        """Points beside the product: of an arm that can have them and does not have them all."""
        arms = self._spoken_of(each)
        if not arms:
            yield self._unknown_arm(path, each)
        elif not each.axes():
            what = "this names no axis: it adds no point"
            yield self.document.error("TG125", what, path, "name an axis and a new value")
        elif self._faulty(each, arms):
            return
        elif lacking := [axis for axis in each.axes() if not any(axis in arm.axes() for _, arm in arms)]:
            composed = any(_values(arm, lacking[0]) for _, arm in arms)
            hint = "give an arm of its own: `compose` makes its points of `combinations` and `alpha`"
            yield self._no_axis((*path, lacking[0]), hint if composed else None)
        elif not any(allows(arm, each) for _, arm in arms):
            yield self._not_allowed(path, each, arms)
        elif all(self._has_all(arm, each) for _, arm in arms if allows(arm, each)):
            what = "this adds nothing: the product has these points"
            yield self.document.error("TG125", what, path, "give a new value")

    def _not_allowed(self, path: Path, each: Filter, arms: Sequence[Read]) -> Diagnostic:
        for axis in filter(WORDS.__contains__, each.axes()):
            known = [value for _, arm in arms for value in arm.axes().get(axis, ())]
            for value in each.axes()[axis]:
                if not _among(value, known):
                    what = f"no arm here has the {axis} '{_text(value)}': beside the product only numbers may be new"
                    key = f"method.{axis}" if axis in OF_METHOD else _key_of(axis)
                    hint = f"add it to `{key}` and leave out what you do not want, or give it an arm"
                    return self.document.error("TG125", what, (*path, axis), hint)
        what = "no arm here has all of these axes and values"
        return self.document.error("TG125", what, path, "write an entry for each arm")

    def _has_all(self, arm: Arm, each: Filter) -> bool:
        """Whether an entry adds no point; where points are left out, it may bring one back."""
        if arm.zip or "exclude" in self.document.data or "when" in self.document.data:
            return False
        return all(_among(value, arm.axes()[axis]) for axis, values in each.axes().items() for value in values)

    def _axis(self, path: Path, axis: str, values: Sequence[object], arms: Sequence[Read]) -> Iterator[Diagnostic]:
        if any(_key_of(axis) in text.faulty for text, _ in arms):
            return
        known = [value for _, arm in arms for value in _values(arm, axis)]
        unmatched = [value for value in values if not _among(value, known)]
        if not known:
            yield self._no_axis((*path, axis))
        elif unmatched:
            which = f": {_text(unmatched[0])}" if len(values) > 1 else ""
            what = f"`{axis}{which}` matches nothing: no arm here has such a value"
            yield self.document.error("TG125", what, (*path, axis), "delete it, or give a value of the axis")

    def _spoken_of(self, each: Filter) -> list[Read]:
        """The arms that a filter speaks of; none if it names one that does not exist."""
        known = {arm.name for _, arm in self.read}
        return [read for read in self.read if each.speaks_of(read[1].name)] if known.issuperset(each.arms()) else []

    def _faulty(self, each: Filter, arms: Sequence[Read]) -> bool:
        """Whether values on an axis that is named could not be read: that is told already."""
        return any(_key_of(axis) in text.faulty for axis in each.axes() for text, _ in arms)

    def _unknown_arm(self, path: Path, each: Filter) -> Diagnostic:
        names = [arm.name for _, arm in self.read]
        unknown = next(name for name in each.arms() if name not in names)
        near = near_names(unknown, names)
        hint = f"near: {', '.join(near)}" if near else f"there are: {', '.join(names)}"
        return self.document.error("TG106", f"unknown arm '{unknown}'", (*path, "arm"), hint)

    def _no_axis(self, path: Path, hint: str | None = None) -> Diagnostic:
        what = f"`{path[-1]}` has no effect: no arm here has this axis"
        return self.document.error("TG120", what, path, hint, at_key=True)


def _key_of(axis: str) -> str:
    """The key of an arm that holds an axis."""
    return "method" if axis in OF_METHOD else AXIS_KEYS.get(axis, axis)


def _text(value: object) -> str:
    return number_text(value) if isinstance(value, int | Decimal) else shown(getattr(value, "kind", value))


# -- the product of an arm's axes, as its factors --

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

    def length(factor: Sequence[Part], given: Mapping[str, tuple[object, ...]]) -> int:
        names = factor[0].keys() if factor else ()
        if not given.keys() & names:
            return len(factor)
        return prod(len(given.get(name, factor)) for name in names)  # axes with other values are crossed

    return prod(map(len, factors)) + sum(prod(length(each, extra.axes()) for each in factors) for extra in arm.included)


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
