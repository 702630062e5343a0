"""Include, exclude and when, given to the arms they speak of, and checked to change something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TypeVar

from pydantic_core import PydanticCustomError, ValidationError

from .consumption import dotted
from .diagnostics import Diagnostic, error, near_names
from .document import Document
from .faults import each_read, validated
from .grid import Filter, When, same
from .messages import diagnose
from .scope import Scope
from .study import Arm

F = TypeVar("F", Filter, When)
Path = tuple[int | str, ...]
LOOKED_AT = 100_000
"""Points that are tried to find one that is left; a study that leaves none among so many is not checked further."""


def with_holes(
    data: Mapping[str, object], arms: Sequence[Arm], document: Document, scope: Scope, found: list[Diagnostic]
) -> tuple[Arm, ...]:
    """The arms with their rules, exclusions and inclusions; faults go to `found`."""
    excluded = _read(Filter, "exclude", data, document, scope, found)
    included = _read(Filter, "include", data, document, scope, found)
    rules = _read(When, "when", data, document, scope, found)
    for path, filters in _places(excluded, included, rules):
        found += _useless(path, filters, arms, document)
    given = [
        arm.model_copy(
            update={
                "excluded": tuple(each for each in excluded if each.speaks_of(arm.name)),
                "included": tuple(each for each in included if each.speaks_of(arm.name)),
                "rules": tuple(each for each in rules if each.condition.speaks_of(arm.name)),
            }
        )
        for arm in arms
    ]
    found += [_empty(arm, document) for arm in given if (arm.excluded or arm.rules) and not _any_left(arm)]
    return tuple(given)


def _read(
    model: type[F], key: str, data: Mapping[str, object], document: Document, scope: Scope, found: list[Diagnostic]
) -> tuple[F, ...]:
    """Every entry of a list of the study that can be read."""
    if key not in data:
        return ()
    listed = data[key]
    if not isinstance(listed, tuple):
        hint = "give: a list of mappings, each names axes and values"
        found.append(error("TG103", f"`{key}` is not a list", document.value_span((key,)), key, hint))
        return ()

    def read(item: object) -> F:
        if not isinstance(item, Mapping):
            raise PydanticCustomError("dict_type", "not a mapping")
        return validated(model, item, scope.context)

    try:
        return tuple(each_read(listed, read))
    except ValidationError as problems:
        found += diagnose(problems, listed, document, lambda path: (key, *path))
        return ()


def _places(
    excluded: Sequence[Filter], included: Sequence[Filter], rules: Sequence[When]
) -> Iterator[tuple[Path, Filter]]:
    yield from ((("exclude", index), each) for index, each in enumerate(excluded))
    yield from ((("include", index), each) for index, each in enumerate(included))
    for index, rule in enumerate(rules):
        yield ("when", index, "if"), rule.condition
        only = rule.only if rule.only.arm else rule.only.model_copy(update={"arm": rule.condition.arm})
        yield ("when", index, "only"), only


def _useless(path: Path, each: Filter, arms: Sequence[Arm], document: Document) -> Iterator[Diagnostic]:
    names = [arm.name for arm in arms]
    if unknown := [str(name) for name in each.arm if name not in names]:
        near = near_names(unknown[0], names)
        hint = f"near: {', '.join(near)}" if near else f"there are: {', '.join(names)}"
        place = (*path, "arm")
        yield error("TG106", f"unknown arm '{unknown[0]}'", document.value_span(place), dotted(place), hint)
        return
    spoken_of = [arm for arm in arms if each.speaks_of(arm.name)]
    for axis, values in each.axes().items():
        place = (*path, axis)
        having = [arm.axes()[axis] for arm in spoken_of if axis in arm.axes()]
        if not having:
            what = f"`{axis}` has no effect: no arm here has this axis"
            yield error("TG120", what, document.key_span(place), dotted(place))
        elif path[0] != "include" and not any(
            same(want, value) for want in values for axis_ in having for value in axis_
        ):
            what = f"`{axis}` matches nothing: no arm here has such a value"
            yield error(
                "TG125", what, document.value_span(place), dotted(place), "delete it, or give a value of the axis"
            )


def _any_left(arm: Arm) -> bool:
    if arm.included:
        return True
    axes = arm.axes()
    points = product(*axes.values())
    return any(
        arm.admits(dict(zip(axes, point, strict=True))) for point, _ in zip(points, range(LOOKED_AT), strict=False)
    )


def _empty(arm: Arm, document: Document) -> Diagnostic:
    path: Path = ("arms", arm.name)
    what = f"nothing is left of the arm '{arm.name}': `exclude` and `when` take every point of it"
    return error("TG126", what, document.key_span(path), dotted(path), "delete the arm, or leave a point of it")
