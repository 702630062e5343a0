"""The language of `--select`: which subjects and jobs a command is about.

    trait=agreeableness,alpha>0.5        conditions that must all hold
    trait=openness|neuroticism           one of several values
    kind=assess+                         and what follows from the jobs that it names
    key=3f2a                             a job, by the start of its key

Names are those of the results (study, arm, method, model, trait, level, merge, alpha, gamma, seed, benchmark) and kind,
key. Several selections together select what any of them does. A job that lacks a coordinate meets no condition on it.
"""

from __future__ import annotations

import operator
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from traitgraph.specs.diagnostics import Diagnostic, Span, SpecError, near_names
from traitgraph.specs.results import Cell

from .context import Context
from .ir import ArmTable, Draft, Table, row_ids

NAMES = (*(name for name in Cell._fields if name != "job"), "kind", "key")
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_CONDITION = r"\s*(?P<name>\w+)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<values>.*?)\s*(?P<follow>\+?)\s*$"


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
        tests = (_compare(self.operator, text, value) for value in self.values)
        return all(tests) if self.operator == "!=" else any(tests)


@dataclass(frozen=True)
class Selector:
    """Conditions that must all hold, and whether what follows from the selected jobs is selected too."""

    conditions: tuple[Condition, ...]
    follow: bool = False

    def on(self, names: Iterable[str]) -> list[Condition]:
        """The conditions on some of the names."""
        wanted = set(names)
        return [each for each in self.conditions if each.name in wanted]


def _compare(sign: str, text: str, value: str) -> bool:
    left, right = _number(text), _number(value)
    if left is not None and right is not None:
        return OPERATORS[sign](left, right)
    if sign in ("=", "!="):
        found = text == value or (value in text.split("+") and "+" not in value)  # a composed subject has many traits
        return found if sign == "=" else not found
    return False


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def parse_selector(text: str) -> Selector:
    """The selection that a text means. Raises SpecError with every fault in it."""
    conditions, faults, follow, column = [], [], False, 1
    for part in text.split(","):
        found = re.match(_CONDITION, part)
        fault = _fault(part, found)
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


def _fault(part: str, found: re.Match[str] | None) -> tuple[str, str] | None:
    """What is wrong with a part of a selection, and the repair."""
    if found is None or not found["values"]:
        return f"not a condition: '{part.strip()}'", "give: name=value, for example trait=openness,alpha>0.5"
    if found["name"] not in NAMES:
        near = near_names(found["name"], NAMES)
        listed = f"near: {', '.join(near)}" if near else f"there are: {', '.join(NAMES)}"
        return f"unknown name '{found['name']}' in a selection", listed
    if found["operator"] in ("<", ">", "<=", ">=") and any(
        _number(each) is None for each in found["values"].split("|")
    ):
        return f"'{found['values']}' is not a number", "only numbers have an order"
    return None


def select_jobs(draft: Draft, context: Context) -> Draft:
    """Note which jobs are asked for; without a selection all are.

    before: train, assess#alpha=0, assess#alpha=1    after (alpha>0.5): wanted = assess#alpha=1
    """
    if not context.select:
        return draft
    wanted: set[int] = set()
    for selector in context.select:
        rows = selected_rows(draft, selector)
        if not rows:
            raise SpecError([_selects_nothing(draft, selector)])
        wanted |= following(draft, rows, context) if selector.follow else rows
    return replace(draft, wanted=frozenset(wanted))


def _selects_nothing(draft: Draft, selector: Selector) -> Diagnostic:
    """What a selection that no job meets asks for, beside the values that there are."""
    there = [(each.name, _values_of(draft, each.name)) for each in selector.conditions]
    asked = " and ".join(f"{each.name}{each.operator}{'|'.join(each.values)}" for each in selector.conditions)
    lines = [f"{name}: {', '.join(values[:20])}" for name, values in dict(there).items() if values]
    hint = "\n".join(["there are, one by one:", *lines]) if lines else "look at: traitgraph results SPEC --csv"
    return Diagnostic("TG203", "error", f"nothing in the study meets the selection {asked}", None, "", hint)


def _values_of(draft: Draft, name: str) -> list[str]:
    if name == "kind":
        return list(dict.fromkeys(stage.kind for stage in draft.stages))
    if name == "benchmark":
        return list(dict.fromkeys(benchmark for arm in draft.arms for benchmark, _ in arm.measures))
    if name in ("study", "arm"):
        return list(dict.fromkeys(arm.study if name == "study" else arm.name for arm in draft.arms))
    columns = (arm.names[name].values for arm in draft.arms if name in arm.names)
    return list(dict.fromkeys(str(value) for values in columns for value in values if value != ""))


def selected_rows(draft: Draft, selector: Selector) -> set[int]:
    """The jobs that meet a selection, under the name of any arm that asks for them."""
    found: set[int] = set()
    for arm in draft.arms:
        if not arm_meets(arm, selector):
            continue
        found |= _assessments(draft, arm, selector)
        found |= _others(draft, arm, selector)
    if not selector.on(name for name in NAMES if name not in ("kind", "key")):
        found |= {row for row in range(draft.rows) if _meets_kind(draft, row, selector)}
    return found


def arm_meets(arm: ArmTable, selector: Selector) -> bool:
    """Whether the conditions on studies and arms hold for an arm."""
    return _all_meet(selector.on(("study", "arm")), {"study": arm.study, "arm": arm.name})


def _all_meet(conditions: Sequence[Condition], facts: dict[str, str]) -> bool:
    return all(each.meets(facts.get(each.name, "")) for each in conditions)


def _meets_kind(draft: Draft, row: int, selector: Selector) -> bool:
    facts = {"kind": draft.locate(row)[0].kind, "key": draft.keys[row].hex()}
    return _all_meet(selector.on(("kind", "key")), facts)


def _assessments(draft: Draft, arm: ArmTable, selector: Selector) -> set[int]:
    subjects = matching_subjects(arm.names, selector)
    named = [(name, rows) for name, rows in arm.measures if _all_meet(selector.on(("benchmark",)), {"benchmark": name})]
    return {rows[each] for _, rows in named for each in subjects if _meets_kind(draft, rows[each], selector)}


def matching_subjects(names: Table, selector: Selector) -> array[int]:
    """The subjects whose coordinates meet the conditions on them, tested once per value of each column."""
    rows = row_ids(range(names.rows))
    for condition in selector.on(name for name in NAMES if name not in ("study", "arm", "benchmark", "kind", "key")):
        if condition.name not in names:
            return row_ids()
        column = names[condition.name]
        codes, meeting = column.codes, {code for code, text in enumerate(column.values) if condition.meets(str(text))}
        rows = row_ids(row for row in rows if codes[row] in meeting)
    return rows


def _others(draft: Draft, arm: ArmTable, selector: Selector) -> set[int]:
    """The arm's jobs of other kinds, by the coordinates of their stage."""
    found = set()
    for row in arm.jobs:
        stage, place = draft.locate(row)
        if stage.kind == "assess":
            continue
        facts = {name: str(column[place]) for name, column in stage.where.columns.items()}
        facts |= {"study": arm.study, "arm": arm.name, "method": facts.get("method", arm.method)}
        facts |= {"kind": stage.kind, "key": draft.keys[row].hex()}
        facts |= {"benchmark": stage.name} if stage.kind == "analyse" else {}
        if _all_meet(selector.conditions, facts):
            found.add(row)
    return found


def following(draft: Draft, rows: set[int], context: Context) -> set[int]:
    """These jobs and all that need them, directly or not.

    A collection follows only when all that it collects is selected or there: it must not pull in the rest of the study.
    """
    found = set(rows)
    for index, stage in enumerate(draft.stages):
        for each in stage.inputs:
            for place, user in enumerate(range(draft.offsets[index], draft.offsets[index + 1])):
                refs = each.of(place)
                if each.unordered and not all(ref in found or _present(draft, ref, context) for ref in refs):
                    continue
                if any(ref in found for ref in refs):
                    found.add(user)
    return found


def _present(draft: Draft, row: int, context: Context) -> bool:
    return context.present(draft.locate(row)[0].kind, draft.keys[row].hex())


def select_cells(cells: Iterable[Cell], selectors: Sequence[Selector]) -> list[Cell]:
    """The cells that any of the selections speaks of, by their coordinates and their job; all without a selection."""
    if not selectors:
        return list(cells)
    return [cell for cell in cells if any(_cell_meets(cell, selector) for selector in selectors)]


def _cell_meets(cell: Cell, selector: Selector) -> bool:
    facts = {**cell._asdict(), "kind": "assess", "key": cell.job}
    return _all_meet(selector.conditions, facts)
