"""The language of `--select`: which subjects and jobs a command is about.

    trait=agreeableness,alpha>0.5        conditions that must all hold
    trait=openness|neuroticism           one of several values
    kind=assess+                         and what follows from the jobs that it names
    key=3f2a                             a job, by the start of its key

Names are those of the results, kind and key. A method and a merge are known as labels tell them as well ('steer
layer=10'), and alpha is the coefficient of a steered subject, and any of the alphas of a composed one. Several
selections together select what any of them does. A job that lacks a coordinate meets no condition on it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from traitgraph.specs.jobs.results import AXES
from traitgraph.specs.source.diagnostics import Diagnostic, Span, SpecError, near_names

NAMES = ("study", "arm", "method", *AXES, "benchmark", "kind", "key")
"""What every study knows; one may have axes beside these: `alpha:TRAIT`, `merge.OPTION`, those of a plug-in."""
BY_FIRST_WORD = ("method", "merge")
"""Names whose texts begin with a kind: 'prompt intensity=very', 'ties density=0.2'."""
OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
"""How numbers compare; = and != compare texts as well."""
_CONDITION = r"\s*(?P<name>[\w.:-]+)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<values>.*?)\s*(?P<follow>\+?)\s*$"


@dataclass(frozen=True)
class Condition:
    """One comparison of a coordinate with one of several values."""

    name: str
    operator: str
    values: tuple[str, ...]

    def meets(self, text: str) -> bool:
        """Whether a coordinate, as the results print it, meets the condition; numbers compare as numbers."""
        if not text:
            return False
        if self.name == "key":
            return any(text.startswith(value) for value in self.values)
        # the text, its first word if that is a kind, and each part of a composed one
        forms = {text, *text.split("+"), *(text.split()[:1] if self.name in BY_FIRST_WORD else ())}
        sign = "=" if self.operator == "!=" else self.operator
        is_met = any(_holds(form, sign, value) for value in self.values for form in forms)
        return is_met != (self.operator == "!=")


@dataclass(frozen=True)
class Selector:
    """Conditions that must all hold, and whether what follows from the selected jobs is selected too."""

    conditions: tuple[Condition, ...]
    follow: bool = False

    def on(self, names: Iterable[str]) -> list[Condition]:
        """The conditions on some of the names."""
        wanted = set(names)
        return [each for each in self.conditions if each.name in wanted]


def _holds(form: str, sign: str, value: str) -> bool:
    left, right = number_in(form), number_in(value)
    if left is None or right is None:
        return sign == "=" and form == value
    return OPERATORS[sign](left, right)


def number_in(text: str) -> Decimal | None:
    """The number that a text is; None for a word."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def parse_selector(text: str, axes: Iterable[str] = ()) -> Selector:
    """The selection that a text means; `axes` are names beside NAMES. Raises SpecError with every fault in it."""
    names = tuple(dict.fromkeys((*NAMES, *axes)))
    conditions, faults, follow, column = [], [], False, 1
    for part in text.split(","):
        found = re.match(_CONDITION, part)
        fault = _fault(part, found, names)
        if fault:
            span = Span("--select", 1, column + len(part) - len(part.lstrip()), max(1, len(part.strip())), text)
            faults.append(Diagnostic("TG203", "error", fault[0], span, "", fault[1]))
        elif found:
            conditions.append(Condition(found["name"], found["operator"], tuple(found["values"].split("|"))))
            follow = follow or bool(found["follow"])
        column += len(part) + 1
    if faults:
        raise SpecError(faults)
    return Selector(tuple(conditions), follow)


def _fault(part: str, found: re.Match[str] | None, names: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with a part of a selection, and the repair."""
    if found is None or not found["values"]:
        bare = "; in quotes: a shell takes < and > for itself" if part.strip() in names else ""
        return f"not a condition: '{part.strip()}'", f"give: name=value, for example 'trait=openness,alpha>0.5'{bare}"
    if found["name"] not in names:
        near = near_names(found["name"], names)
        listed = f"near: {', '.join(near)}" if near else f"there are: {', '.join(names)}"
        return f"unknown name '{found['name']}' in a selection", listed
    if found["operator"] not in ("=", "!=") and any(number_in(each) is None for each in found["values"].split("|")):
        return f"'{found['values']}' is not a number", "only numbers have an order"
    return None
