"""Which jobs a selection asks for, and what it leaves of the arms for people: subjects, jobs, results."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.dimensions import coordinates, noun_of
from traitgraph.compiler.ir.ir import ArmTable, Comparison, Draft, row_ids
from traitgraph.compiler.ir.selector import BY_FIRST_WORD, Condition, Selector, number_in
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, near_names


def select_jobs(draft: Draft, context: Context) -> Draft:
    """Note which jobs are asked for; without a selection all are.

    before: train, assess#alpha=0, assess#alpha=1    after (alpha>0.5): wanted = assess#alpha=1
    """
    if not context.select:
        return draft
    if unknown := [each for selector in context.select for each in _unknown_values(draft, selector)]:
        raise SpecError(unknown)
    wanted: set[int] = set()
    for selector in context.select:
        rows = selected_rows(draft, selector)
        if not rows:
            raise SpecError([_selects_nothing(draft, selector)])
        wanted |= following(draft, rows, context) if selector.follow else rows
    return replace(draft, wanted=frozenset(wanted))


def _unknown_values(draft: Draft, selector: Selector) -> Iterator[Diagnostic]:
    """A fault for each value that nothing in the study has; a number may well be excluded that is not there."""
    for each in selector.conditions:
        if each.name == "key" or each.operator not in ("=", "!="):
            continue
        there = _values_of(draft, each.name)
        for value in each.values:
            excludes = each.operator == "!=" and number_in(value) is not None
            if not excludes and not any(Condition(each.name, "=", (value,)).meets(text) for text in there):
                yield _unknown_value(each.name, value, there)


def _unknown_value(name: str, value: str, there: list[str]) -> Diagnostic:
    words = dict.fromkeys([*(text.split()[0] for text in there if name in BY_FIRST_WORD), *there])
    near = near_names(value, words)
    hints = [f"near: {', '.join(near)}"] if near else []
    hints.append(f"there are: {', '.join(there[:20])}" if there else f"no job of this study has the coordinate {name}")
    return Diagnostic("TG203", "error", f"no {name} is '{value}' in this study", None, "", "\n".join(hints))


def _selects_nothing(draft: Draft, selector: Selector) -> Diagnostic:
    """What a selection that no job meets asks for, beside the values that there are."""
    there = [(each.name, _values_of(draft, each.name)) for each in selector.conditions]
    asked = " and ".join(f"{each.name}{each.operator}{'|'.join(each.values)}" for each in selector.conditions)
    lines = [f"{name}: {', '.join(values[:20])}" for name, values in dict(there).items() if values]
    hint = "\n".join(["there are, one by one:", *lines]) if lines else "look at: traitgraph results SPEC --csv"
    return Diagnostic("TG203", "error", f"nothing in the study meets the selection {asked}", None, "", hint)


def _values_of(draft: Draft, name: str) -> list[str]:
    """Every text that a coordinate has in the study: of subjects first, then of other jobs."""
    found: list[object] = []
    for arm in draft.arms:
        benchmarks = [*dict(arm.assessments), *(each.name for each in arm.comparisons)]
        of_arm = {"study": [arm.study], "arm": [arm.name], "benchmark": benchmarks}
        found += of_arm.get(name, [])
        known = coordinates(arm.names, arm.subjects)
        found += known[name].values if name in known else ()
    for stage in draft.stages:
        found += [stage.kind] if name == "kind" else ()
        found += stage.where[name].values if name in stage.where else ()
    return list(dict.fromkeys(text for value in found if (text := str(value))))


def selected_rows(draft: Draft, selector: Selector) -> set[int]:
    """The jobs that meet a selection, under the name of any arm that asks for them."""
    found: set[int] = set()
    for arm in draft.arms:
        if not arm_meets(arm, selector):
            continue
        found |= {row for _, _, row in _assessments(draft, arm, selector)}
        found |= _others(draft, arm, selector)
    if all(each.name in ("kind", "key") for each in selector.conditions):
        found |= {row for row in range(draft.rows) if _meets_kind(draft, row, selector)}
    return found


def arm_meets(arm: ArmTable, selector: Selector) -> bool:
    """Whether the conditions on studies and arms hold for an arm, and those on methods for any of its subjects."""
    methods = [str(text) for text in arm.names["method"].values]
    if not all(any(map(condition.meets, methods)) for condition in selector.on(("method",))):
        return False
    return _all_meet(selector.on(("study", "arm")), {"study": arm.study, "arm": arm.name})


def _all_meet(conditions: Sequence[Condition], facts: dict[str, str]) -> bool:
    return all(each.meets(facts.get(each.name, "")) for each in conditions)


def _meets_kind(draft: Draft, row: int, selector: Selector) -> bool:
    facts = {"kind": draft.locate(row)[0].kind, "key": draft.keys[row].hex()}
    return _all_meet(selector.on(("kind", "key")), facts)


def _assessments(draft: Draft, arm: ArmTable, selector: Selector) -> Iterator[tuple[str, int, int]]:
    """Benchmark, subject and row of each assessment of the arm that meets a selection."""
    subjects = matching_subjects(arm, selector)
    for name, rows in arm.assessments:
        if _all_meet(selector.on(("benchmark",)), {"benchmark": name}):
            yield from ((name, each, rows[each]) for each in subjects if _meets_kind(draft, rows[each], selector))


def matching_subjects(arm: ArmTable, selector: Selector) -> array[int]:
    """The subjects whose coordinates meet the conditions on them, tested once per value of each column."""
    known = coordinates(arm.names, arm.subjects)
    rows = row_ids(range(known.rows))
    for condition in selector.conditions:
        if condition.name in ("study", "arm", "benchmark", "kind", "key"):
            continue
        if condition.name not in known:
            return row_ids()
        column = known[condition.name]
        codes, meeting = column.codes, {code for code, text in enumerate(column.values) if condition.meets(str(text))}
        rows = row_ids(row for row in rows if codes[row] in meeting)
    return rows


def _others(draft: Draft, arm: ArmTable, selector: Selector) -> set[int]:
    """The arm's jobs of other kinds, by the coordinates of their stage; analyses by what their subjects share."""
    found = {each.row for each in arm.comparisons if _comparison_meets(draft, arm, each, selector)}
    for row in arm.jobs:
        stage, place = draft.locate(row)
        if stage.kind in ("assess", "analyse"):
            continue
        facts = {name: str(column[place]) for name, column in stage.where.columns.items()}
        facts |= {"study": arm.study, "arm": arm.name, "method": facts.get("method", arm.method)}
        facts |= {"kind": stage.kind, "key": draft.keys[row].hex()}
        if _all_meet(selector.conditions, facts):
            found.add(row)
    return found


def _comparison_meets(draft: Draft, arm: ArmTable, each: Comparison, selector: Selector) -> bool:
    known = coordinates(arm.names, arm.subjects)
    facts = {name: str(known[name][each.subject]) for name in each.shared if name in known}
    facts |= {"study": arm.study, "arm": arm.name, "kind": "analyse", "benchmark": each.name}
    return _all_meet(selector.conditions, {**facts, "key": draft.keys[each.row].hex()})


def following(draft: Draft, rows: set[int], context: Context) -> set[int]:
    """These jobs and all that need them, directly or not.

    A collection follows only when all that it collects is selected or there: it must not pull in the rest of the study.
    """
    found = set(rows)
    for index, stage in enumerate(draft.stages):
        gathered = [each for each in stage.inputs if each.unordered]
        for place, user in enumerate(range(draft.offsets[index], draft.offsets[index + 1])):
            if any(ref in found for each in stage.inputs for ref in each.of(place)) and all(
                ref in found or context.present(draft.locate(ref)[0].kind, draft.keys[ref].hex())
                for each in gathered
                for ref in each.of(place)
            ):
                found.add(user)
    return found


def selected_cells(draft: Draft, arm: ArmTable, selectors: Sequence[Selector]) -> set[tuple[str, int]]:
    """Benchmark (or analysis) and subject of each result of an arm that any of the selections speaks of."""
    wanted, found = draft.wanted or frozenset(), set[tuple[str, int]]()
    for selector in selectors:
        if selector.follow:
            found |= {
                (name, place) for name, rows in arm.assessments for place, row in enumerate(rows) if row in wanted
            }
            found |= {(each.name, each.subject) for each in arm.comparisons if each.row in wanted}
        elif arm_meets(arm, selector):
            found |= {(name, place) for name, place, _ in _assessments(draft, arm, selector)}
            compared = (each for each in arm.comparisons if _comparison_meets(draft, arm, each, selector))
            found |= {(each.name, each.subject) for each in compared}
    return found


def selected_arms(draft: Draft, selectors: Sequence[Selector]) -> Iterator[ArmTable]:
    """Each arm that a selection speaks of, with its selected jobs and the subjects that these measure."""
    wanted = draft.wanted or frozenset()
    for arm in draft.arms:
        meant = [each for each in selectors if each.follow or arm_meets(arm, each)]
        jobs = row_ids(row for row in arm.jobs if row in wanted) if meant else row_ids()
        places = _subjects(arm, meant, wanted)
        if places or any(draft.locate(row)[0].kind != "assess" for row in jobs):  # else another arm's, under its name
            yield replace(_reduced(arm, places, wanted), jobs=jobs)


def _subjects(arm: ArmTable, selectors: Sequence[Selector], wanted: frozenset[int]) -> array[int]:
    """The subjects of an arm with a selected assessment; of a shared job those that the selection names."""
    named = set[int]()
    for each in selectors:
        named.update(range(arm.subjects.rows) if each.follow else matching_subjects(arm, each))
    measured = {place for _, rows in arm.assessments for place, row in enumerate(rows) if row in wanted}
    return row_ids(sorted(named & measured))


def _reduced(arm: ArmTable, places: array[int], wanted: frozenset[int]) -> ArmTable:
    columns = [(name, row_ids(rows[place] for place in places)) for name, rows in arm.assessments]
    return replace(
        arm,
        axes=_axes(arm, places),
        excluded=0,
        included=0,
        subjects=arm.subjects.take(places),
        names=arm.names.take(places),
        weights=row_ids(arm.weights[place] for place in places),
        assessments=tuple((name, rows) for name, rows in columns if wanted.intersection(rows)),
    )


def _axes(arm: ArmTable, places: array[int]) -> tuple[tuple[str, int], ...]:
    """How many values of each axis are left; none where what is left is no product."""
    codes = {noun_of(name): column.codes for name, column in arm.subjects.columns.items()}
    left = {noun: len(set(map(each.__getitem__, places))) for noun, each in codes.items()}
    axes = tuple((noun, left[noun.partition(" with ")[0]]) for noun, _ in arm.axes)
    return axes if prod(length for _, length in axes) == len(places) else ()
