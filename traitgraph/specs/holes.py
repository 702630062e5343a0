"""Include, exclude and when, given to the arms they speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic_core import PydanticCustomError, ValidationError

from .consumption import Read, dotted
from .diagnostics import Diagnostic, error
from .document import Document
from .factors import any_left, number_of_points
from .faults import each_read, validated
from .grid import Filter, When
from .hole_checks import HoleChecks, allows, concerns
from .messages import diagnose
from .scope import Scope
from .study import Arm

F = TypeVar("F", Filter, When)

MOST = 5_000_000
"""An arm with more points is a slip of the pen (a step of 1e-5 for each of a thousand seeds), not a study."""


def with_holes(
    data: Mapping[str, object], read: Sequence[Read], document: Document, scope: Scope, found: list[Diagnostic]
) -> tuple[Arm, ...]:
    """The arms with their rules, exclusions and inclusions; faults go to `found`."""
    excluded = _read(Filter, "exclude", data, document, scope, found)
    included = _read(Filter, "include", data, document, scope, found)
    rules = _read(When, "when", data, document, scope, found)
    if not read:
        return ()
    checks = HoleChecks(read, document)
    for place, each in enumerate(excluded):
        found += checks.of_hole(("exclude", place), each)
    for place, rule in enumerate(rules):
        found += checks.of_rule(("when", place), rule)
    for place, each in enumerate(included):
        found += checks.of_extra(("include", place), each)
    given = tuple(_given(arm, excluded, included, rules) for _, arm in read)
    found += [_empty(arm, document) for arm in given if (arm.excluded or arm.rules) and not any_left(arm)]
    found += [_too_many(arm, document) for arm in given if number_of_points(arm) > MOST]
    return given


def _given(arm: Arm, excluded: Sequence[Filter], included: Sequence[Filter], rules: Sequence[When]) -> Arm:
    return arm.model_copy(
        update={
            "excluded": tuple(each for each in excluded if each.speaks_of(arm.name)),
            "included": tuple(each for each in included if allows(arm, each)),
            "rules": tuple(each for each in rules if concerns(arm, each)),
        }
    )


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


def _empty(arm: Arm, document: Document) -> Diagnostic:
    path = ("arms", arm.name)
    what = f"nothing is left of the arm '{arm.name}': `exclude` and `when` take every point of it"
    return error("TG126", what, document.key_span(path), dotted(path), "delete the arm, or leave a point of it")


def _too_many(arm: Arm, document: Document) -> Diagnostic:
    path = ("arms", arm.name)
    lengths = " x ".join(f"{len(values):,} {axis}" for axis, values in arm.axes().items() if len(values) > 1)
    what = f"the arm '{arm.name}' has {number_of_points(arm):,} points, more than {MOST:,}: {lengths}"
    return error("TG105", what, document.key_span(path), dotted(path), "give fewer values, or `zip` axes")
