"""What changes between two studies: which jobs get another key, and which field is the cause."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from traitgraph.compiler.ir.dimensions import FURTHER
from traitgraph.compiler.ir.ir import Draft, row_json, shared_json
from traitgraph.compiler.plan import Plan
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.job_kinds import kind_of

from .print_plan import arm_formula

Coordinates = tuple[object, ...]


@dataclass(frozen=True)
class Rekeyed:
    """Jobs of one kind with one cause."""

    kind: str
    jobs: int
    changes: tuple[Change, ...]
    """Fields of the jobs themselves; empty when only what they read has changed."""
    follows: tuple[str, ...]
    """Kinds of the inputs that have changed."""
    example: str
    """Label of one of them."""


@dataclass(frozen=True)
class StudyDiff:
    """Two studies side by side."""

    same: int
    """Jobs of both, with equal keys."""
    rekeyed: tuple[Rekeyed, ...]
    added: Mapping[str, int]
    """Kind -> jobs that only the new study has."""
    removed: Mapping[str, int]
    arms: tuple[str, ...]
    """Arms whose counts differ, as sentences."""

    @property
    def changes_results(self) -> bool:
        """Whether any job is another one; names, comments and resources are no change."""
        return bool(self.rekeyed or self.added or self.removed)


def diff_plans(old: Plan, new: Plan) -> StudyDiff:
    """Match the jobs of two plans by key, then by what they are about."""
    keys_old, keys_new = set(old.draft.keys), set(new.draft.keys)
    gone = _by_coordinates(old.draft, keys_new)
    come = _by_coordinates(new.draft, keys_old)
    causes: dict[tuple[object, ...], Rekeyed] = {}
    added: Counter[str] = Counter()
    labels = new.labels()
    for coordinates, rows in come.items():
        partners = gone.get(coordinates, [])
        for row in rows:
            if partners:
                each = _rekeyed(old.draft, partners.pop(0), new.draft, row, keys_old, labels[row])
                why = tuple(change.text() for change in each.changes) or each.follows
                known = causes.get((each.kind, bool(each.changes), why))
                causes[each.kind, bool(each.changes), why] = replace(known, jobs=known.jobs + 1) if known else each
            else:
                added[str(coordinates[0])] += 1
    removed = Counter(str(coordinates[0]) for coordinates, rows in gone.items() for _ in rows)
    return StudyDiff(
        same=len(keys_old & keys_new),
        rekeyed=tuple(causes.values()),
        added=dict(added),
        removed=dict(removed),
        arms=tuple(_arm_changes(old, new)),
    )


def _by_coordinates(draft: Draft, known: set[bytes]) -> dict[Coordinates, list[int]]:
    """Rows whose keys are not known, by kind, benchmark and coordinates."""
    found: dict[Coordinates, list[int]] = {}
    for row, key in enumerate(draft.keys):
        if key not in known:
            found.setdefault(_coordinates(draft, row), []).append(row)
    return found


def _coordinates(draft: Draft, row: int) -> Coordinates:
    stage, place = draft.locate(row)
    where = sorted((name, str(column[place])) for name, column in stage.where.columns.items() if name not in FURTHER)
    return (stage.kind, stage.name, *where, *(each.name for each in stage.inputs if each.name != "model"))


def _rekeyed(old: Draft, one: int, new: Draft, two: int, keys_old: set[bytes], label: str) -> Rekeyed:
    stage, _ = new.locate(two)
    changes = tuple(field_changes(_params(old, one), _params(new, two)))
    follows = dict.fromkeys(new.locate(ref)[0].kind for ref in new.needs(two) if new.keys[ref] not in keys_old)
    return Rekeyed(stage.kind, 1, changes, tuple(follows), label)


def _params(draft: Draft, row: int) -> dict[str, object]:
    stage, place = draft.locate(row)
    version = {"(version of the kind)": kind_of(stage.kind).version}
    return {**version, **shared_json(stage), **row_json(stage, place)}


def _arm_changes(old: Plan, new: Plan) -> Iterator[str]:
    before = {arm.name: arm for arm in old.arms}
    after = {arm.name: arm for arm in new.arms}
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield f"- {name}: {arm_formula(before[name])}"
        elif name not in before:
            yield f"+ {name}: {arm_formula(after[name])}"
        elif arm_formula(before[name]) != arm_formula(after[name]):
            yield f"  {name}: {arm_formula(before[name])}"
            yield f"  {' ' * len(name)}  -> {arm_formula(after[name])}"


def diff_text(diff: StudyDiff) -> str:
    """The difference as people read it."""
    lines = [*diff.arms, *([""] if diff.arms else [])]
    if not diff.changes_results:
        return "\n".join([*lines, f"no result changes: all {diff.same:,} jobs are the same"]) + "\n"
    lines.append(f"{diff.same:,} jobs are the same")
    for each in diff.rekeyed:
        because = "; ".join(change.text() for change in each.changes) or f"follows from {', '.join(each.follows)}"
        lines.append(f"~ {each.jobs:,} {each.kind}: {because}")
    lines += [f"+ {count:,} {kind}" for kind, count in diff.added.items()]
    lines += [f"- {count:,} {kind}" for kind, count in diff.removed.items()]
    return "\n".join(lines) + "\n"


def diff_json(diff: StudyDiff) -> dict[str, object]:
    """The difference as plain data."""
    rekeyed = [
        {**vars(each), "changes": [change._asdict() for change in each.changes], "follows": list(each.follows)}
        for each in diff.rekeyed
    ]
    return {**vars(diff), "rekeyed": rekeyed, "arms": list(diff.arms)}


class Change(NamedTuple):
    """One field with its two values; None where it is absent."""

    path: str
    old: object
    new: object

    def text(self) -> str:
        """'training.learning_rate: 1e-05 -> 2e-05'."""
        return f"{self.path}: {_shown(self.old)} -> {_shown(self.new)}"


def field_changes(old: Mapping[str, object], new: Mapping[str, object], prefix: str = "") -> Iterator[Change]:
    """Every field of plain parameters that differs; mappings are compared field by field, all else as a whole."""
    for name in dict.fromkeys((*old, *new)):
        one, two, path = old.get(name), new.get(name), f"{prefix}{name}"
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            yield from field_changes(one, two, f"{path}.")
        elif encode(one) != encode(two):
            yield Change(path, one, two)


def _shown(value: object) -> str:
    if value is None:
        return "(absent)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
