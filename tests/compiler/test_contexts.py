"""Contexts stand around subjects that are made once; prompts may name a level of each of several traits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.specs.checks.validate import load_study

from .specs import SWEEP, context, plan_of

HEAD = "study: s\nmodel: owner/model\nbenchmarks: mini-ipip\n"
CONTEXTS = """\
contexts:
  plain: null
  village: {system: You grew up in a village.}
  deadline: {user: You have two minutes.}
  both: [village, deadline]
"""
ARMS = {
    "direct": "method: direct",
    "prompt": "method: {kind: prompt, style: instruction}\ntraits: openness",
    "sft": "method: sft\ntraits: openness",
    "dpo": "method: dpo\ntraits: openness\ntrain: {method: dpo, learning_rate: 1e-4, steps: 10, beta: 0.1}",
    "vector": "method: vector\ntraits: openness\nalpha: [0, 1]",
    "compose": "method: compose\ntraits: [openness, extraversion]\nalpha: 0.5",
    "steer": "method: {kind: steer, layer: 3, coefficient: 2}\ntraits: openness",
    "npti": "method: npti\ntraits: openness\ngamma: 0.5",
}
DATA = "data: owner/dialogues\n"
TRAIN = "train: {method: sft, learning_rate: 1e-4, steps: 10}\n"


def arm(name: str) -> str:
    """A study of one method."""
    used = "" if name in ("direct", "prompt") else DATA
    return HEAD + used + (TRAIN if name in ("sft", "vector", "compose") else "") + ARMS[name] + "\n"


def kinds(plan: Plan) -> Counter[str]:
    """How many jobs of each kind there are."""
    return Counter(plan.job_row(row).kind for row in range(plan.draft.rows))


def keys(plan: Plan) -> set[str]:
    """Every key but that of the table of all results."""
    rows = (plan.job_row(row) for row in range(plan.draft.rows))
    return {row.key for row in rows if row.kind != "collect"}


def prompts(plan: Plan) -> list[dict[str, Any] | None]:
    """The prompt of each assessment."""
    rows = [plan.job_row(row) for row in range(plan.draft.rows)]
    return [row.params.get("prompt") for row in rows if row.kind == "assess"]  # type: ignore[misc]  # plain data


@pytest.mark.parametrize("name", ARMS)
def test_a_subject_is_made_once_and_measured_in_each_context(name: str) -> None:
    alone, four = plan_of(arm(name)), plan_of(arm(name) + CONTEXTS)
    before, after = kinds(alone), kinds(four)
    assert after.pop("assess") == 4 * before.pop("assess")
    assert after == before


@pytest.mark.parametrize("name", ARMS)
def test_a_context_without_a_text_is_no_context(name: str) -> None:
    alone = keys(plan_of(arm(name)))
    assert keys(plan_of(arm(name) + "contexts: {plain: null}\n")) == alone
    assert keys(plan_of(arm(name) + CONTEXTS)) > alone


def test_its_texts_stand_beside_those_of_the_prompt() -> None:
    plan = plan_of(arm("prompt") + "levels: high\n" + CONTEXTS)
    village, deadline = "You grew up in a village.", "You have two minutes."
    told = [(each or {}).get(name) for each in prompts(plan) for name in ("system", "before_system", "before_user")]
    own = "You are a person with high openness."
    assert told == [own, None, None, own, village, None, own, None, deadline, own, village, deadline]


def test_contexts_are_selected_excluded_and_zipped_like_any_axis() -> None:
    study = arm("prompt") + CONTEXTS
    selected = plan_of(study, select=(parse_selector("context=village|both"),))
    assert {dict(cell.axes)["context"] for cell in selected.cells} == {"village", "both"}
    left = plan_of(study + "exclude: [{context: [plain, both], level: low}]\n")
    assert Counter(dict(cell.axes)["context"] for cell in left.cells if cell.coordinates["level"] == "low") == {
        "village": 1, "deadline": 1,
    }  # fmt: skip
    two = CONTEXTS.replace("  deadline: {user: You have two minutes.}\n  both: [village, deadline]\n", "")
    zipped = plan_of(arm("prompt") + two + "zip: [[level, context]]\n")
    assert [(dict(cell.axes)["level"], dict(cell.axes)["context"]) for cell in zipped.cells] == [
        ("high", "plain"), ("low", "village"),
    ]  # fmt: skip


def test_an_arm_has_contexts_of_its_own() -> None:
    study = HEAD + CONTEXTS + "arms: {a: {method: direct}, b: {method: direct, contexts: {other: {user: Hurry.}}}}\n"
    names = [(cell.arm, dict(cell.axes)["context"]) for cell in plan_of(study).cells]
    assert names == [("a", "plain"), ("a", "village"), ("a", "deadline"), ("a", "both"), ("b", "other")]


def people(folder: Path, number: int, name: str = "people.jsonl") -> str:
    """A study of the people in a file that is written."""
    rows = [{"id": f"p{one}", "life": {"text": f" You are person {one}.\n"}, "age": one} for one in range(number)]
    if name.endswith(".csv"):
        lines = ["id,life.text,age", *(f'{row["id"]},"You are person {row["age"]}.",1' for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    (folder / name).write_text("\n\n".join(lines) if name.endswith("l") else "\n".join(lines), encoding="utf-8")
    return f"contexts: {{path: {name}, fields: {{name: id, system: life.text}}}}\n"


def planned(folder: Path, text: str) -> Plan:
    """The plan of a spec beside its files."""
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return compile_study(load_study(folder / "spec.yaml"), context())


def test_each_row_of_a_file_is_a_context_however_it_is_written(tmp_path: Path) -> None:
    lines = planned(tmp_path, arm("direct") + people(tmp_path, 3))
    assert [dict(cell.axes)["context"] for cell in lines.cells] == ["p0", "p1", "p2"]
    texts = [each["before_system"] for each in prompts(lines) if each]
    assert texts == ["You are person 0.", "You are person 1.", "You are person 2."]
    cells = planned(tmp_path, arm("direct") + people(tmp_path, 3, "people.csv"))
    written = planned(tmp_path, arm("direct") + "contexts: {" + ", ".join(
        f"p{one}: {{system: You are person {one}.}}" for one in range(3)
    ) + "}\n")  # fmt: skip
    assert keys(lines) == keys(cells) == keys(written), "a key holds texts, not where they stood"


def test_ten_people_of_each_of_32_personalities_are_320_subjects(tmp_path: Path) -> None:
    """As in PersonaLLM (Jiang et al. 2024): each combination of the Big Five, ten times, by prompt."""
    method = "method: {kind: prompt, combinations: all}\ntraits: all\n"
    plan = planned(tmp_path, HEAD + method + people(tmp_path, 10))
    assert kinds(plan) == {"assess": 320, "collect": 1}
    assert {dict(cell.axes)["trait"] for cell in plan.cells} == {
        "openness+conscientiousness+extraversion+agreeableness+neuroticism"
    }
    assert len({dict(cell.axes)["level"] for cell in plan.cells}) == 32
    assert len({(each["system"], each["before_system"]) for each in prompts(plan) if each}) == 320


def test_a_prompt_of_several_traits_says_them_in_the_order_of_the_vocabulary() -> None:
    listed = "combinations: [{extraversion: low, openness: high}]"
    plan = plan_of(HEAD + f"traits: [extraversion, openness]\nmethod: {{kind: prompt, {listed}}}\n")
    text = "You are a person with high openness.\nYou are a person with low extraversion."
    assert [each and each["system"] for each in prompts(plan)] == [text]
    composed = plan_of(arm("compose") + "prompt: instruction\n")
    assert text in [each and each["system"] for each in prompts(composed)], "a composed subject has the same text"


def test_people_without_end_are_cut_into_tasks(tmp_path: Path) -> None:
    """They share the base, which is one subject for a merge and no reason for one task of a day."""
    plan = planned(tmp_path, arm("direct") + people(tmp_path, 2000))
    minutes = [task.minutes for task in plan.tasks if task.stage == "assess"]
    assert sum(minutes) > 45
    assert max(minutes) < 2 * context().task_minutes
    assert len(plan_of(SWEEP).tasks) == len(plan_of(SWEEP + "contexts: {plain: null}\n").tasks)
