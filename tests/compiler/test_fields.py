"""Every field of the language: what it re-keys is exactly what depends on it."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.study import (
    analyses,
    benchmarks,
    contexts,
    data,
    forms,
    merge_methods,
    methods,
    models,
    prompts,
    study,
    training,
    vocabulary,
)

from .fields import FLIPS, NO_FLIP, STUDY, Flip, flipped
from .specs import named_digest

FILES = ("rows.jsonl", "other.jsonl", "words.json", "matrix.json", "model.gguf", "other.gguf")
FOLDERS = ("task", "other-task")
LANGUAGE: tuple[ModuleType, ...] = (
    analyses, benchmarks, contexts, data, forms, merge_methods, methods, models, prompts, study, training, vocabulary,
)  # fmt: skip


def _plan(document: object) -> Plan:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            (folder / file).write_text("{}\n", encoding="utf-8")
        (folder / "people.jsonl").write_text('{"name": "a", "system": "b", "biography": "c"}\n', encoding="utf-8")
        for each in FOLDERS:
            (folder / each).mkdir()
            (folder / each / "tasks.yaml").write_text("task: own\ntag: arc_easy\n", encoding="utf-8")
        (folder / "spec.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return compile_study(load_study(folder / "spec.yaml"), Context(digest_of=named_digest))


@cache
def _before() -> Plan:
    return _plan(STUDY)


def _holders(draft: Draft, flip: Flip) -> set[int]:
    """The jobs that hold the changed field: of these kinds (and benchmark), asked for by the arm."""
    found = set()
    for arm in draft.arms:
        if flip.arms in ("*", arm.name):
            found |= {row for row in arm.jobs if _holds(draft, row, flip)}
    return found


def _holds(draft: Draft, row: int, flip: Flip) -> bool:
    stage, _ = draft.locate(row)
    if flip.stage == "onto":
        return stage.kind == "vector" and "tuned" in stage.template
    return stage.kind in flip.kinds.split() and stage.name in (flip.stage or stage.name).split(", ")


def _dependents(draft: Draft, rows: set[int]) -> set[int]:
    found = set(rows)
    for row in range(draft.rows):
        if any(ref in found for refs in draft.inputs_of(row).values() for ref in refs):
            found.add(row)
    return found


def _gone(before: Plan, after: Plan) -> set[int]:
    """Jobs of the first plan whose keys the second does not have; the table of all results aside."""
    kept = set(after.draft.keys)
    rows = (row for row, key in enumerate(before.draft.keys) if key not in kept)
    return {row for row in rows if before.draft.locate(row)[0].kind != "collect"}


def _expected(draft: Draft, *flips: Flip) -> set[int]:
    rows = set().union(*(_holders(draft, flip) for flip in flips))
    return {row for row in _dependents(draft, rows) if draft.locate(row)[0].kind != "collect"}


@pytest.mark.parametrize("flip", [flip for flip in FLIPS if flip.kinds != "unused"], ids=str)
def test_a_changed_field_re_keys_exactly_what_depends_on_it(flip: Flip) -> None:
    before = _before()
    expected = _expected(before.draft, flip)
    assert bool(expected) == bool(flip.kinds), "the table of changes names jobs that the study does not have"
    assert _gone(before, _plan(flipped(flip))) == expected


@pytest.mark.parametrize("flip", [flip for flip in FLIPS if flip.kinds == "unused"], ids=str)
def test_a_smaller_choice_drops_jobs_and_re_keys_none(flip: Flip) -> None:
    before, after = _before(), _plan(flipped(flip))
    added = set(after.draft.keys) - set(before.draft.keys)
    assert {after.draft.locate(after.draft.keys.index(key))[0].kind for key in added} == {"collect"}


@settings(max_examples=15)
@given(st.lists(st.sampled_from([flip for flip in FLIPS if flip.kinds != "unused"]), min_size=2, max_size=5))
def test_several_changes_re_key_what_depends_on_any_of_them(flips: list[Flip]) -> None:
    chosen: dict[str, Flip] = {}
    assume(not {flip.field for flip in flips} >= {"Generation.combine", "Generation.anti_expert"})  # a fault together
    for flip in flips:
        if not any(flip.path.startswith(path) or path.startswith(flip.path) for path in chosen):
            chosen[flip.path] = flip
    before = _before()
    assert _gone(before, _plan(flipped(*chosen.values()))) == _expected(before.draft, *chosen.values())


NOT_HASHED = ("Tracking", "Wandb")


def _fields() -> set[str]:
    found: set[str] = set()
    for module in LANGUAGE:
        for name, each in inspect.getmembers(module, inspect.isclass):
            if issubclass(each, Spec) and each.__module__ == module.__name__ and name not in NOT_HASHED:
                inherited = {field for base in each.__mro__[1:] for field in getattr(base, "model_fields", {})}
                found |= {f"{name}.{field}" for field in each.model_fields if field not in inherited}
    return found


def test_no_field_of_the_language_is_forgotten() -> None:
    assert _fields() - {flip.field for flip in FLIPS} == set(NO_FLIP)
