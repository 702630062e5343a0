"""A key of the study is useless when every arm that uses it has its own: nothing that it says is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.reading import faults_of, read

SPEC = """\
study: s
model: smollm2-135m
traits: openness
data: {id: owner/dialogues}
train: {method: sft, steps: 3, learning_rate: 1e-4}
benchmarks: mini-ipip
arms:
  base: {method: direct}
  scaled: {method: vector, alpha: [0, 1], train: {steps: 5}}
"""
SECOND = "  more: {method: vector, alpha: 2, train: {steps: 7}}\n"
LENGTH = "sampling: {repeats: 2, max_new_tokens: 9}\n"
DEAD = "has no effect: every arm that uses it gives its own"


@pytest.mark.parametrize(
    ("override", "path", "arms", "repair"),
    [
        ("+alpha=2", "alpha", "scaled, more", "give: arms.scaled.alpha=2 arms.more.alpha=2"),
        ("train.steps=9", "train.steps", "scaled, more", "give: arms.scaled.train.steps=9 arms.more.train.steps=9"),
    ],
)
def test_an_override_that_reaches_no_arm_is_told_with_its_repair(
    override: str, path: str, arms: str, repair: str, tmp_path: Path
) -> None:
    _, (fault,) = read(SPEC + SECOND, tmp_path, override)
    assert (fault.code, fault.message, fault.hint) == ("TG120", f"`{path}` {DEAD} ({arms})", repair)
    assert fault.span is not None
    assert fault.span.text == override
    assert read(SPEC + SECOND, tmp_path, *repair.removeprefix("give: ").split())[1] == []


@pytest.mark.parametrize(
    ("study", "arm"),
    [
        ("train: {method: sft, steps: 3, learning_rate: 1e-4}", "train: {method: sft, steps: 5, learning_rate: 1e-3}"),
        ("train: {steps: 3, lora: {rank: 4}}", "train: {method: sft, learning_rate: 1e-3, steps: 5, lora: {rank: 8}}"),
        ("train: personality-vector", "train: {preset: personality-vector, steps: 2}"),
    ],
)
def test_a_mapping_is_useless_when_no_part_of_it_reaches_an_arm(study: str, arm: str, tmp_path: Path) -> None:
    text = SPEC.replace("train: {method: sft, steps: 3, learning_rate: 1e-4}", study).replace("train: {steps: 5}", arm)
    assert f"TG120 train: `train` {DEAD} (scaled)" in faults_of(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        SPEC,
        SPEC + "  plain: {method: vector, alpha: 1}\n",
        SPEC.replace("traits:", "alpha: 0.5\ntraits:") + "  plain: {method: vector}\n",
        SPEC.replace("traits:", "alpha: 0.5\ntraits:").replace("[0, 1]", "['${alpha}', 1]"),
    ],
    ids=["part of a mapping", "another arm's own", "taken by one arm", "taken by a reference"],
)
def test_a_key_that_reaches_an_arm_is_used(text: str, tmp_path: Path) -> None:
    assert faults_of(text, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (SPEC + LENGTH, ["sampling.max_new_tokens"]),
        (SPEC.replace("alpha: [0, 1],", f"alpha: 1, {LENGTH.strip()},"), ["arms.scaled.sampling.max_new_tokens"]),
        (SPEC.replace("mini-ipip", "[mini-ipip, gsm8k]") + LENGTH, ["sampling.max_new_tokens"]),
        (SPEC + "  written: {method: direct, benchmarks: {kind: questionnaire, items: mini-ipip, mode: generate}}\n"
         + LENGTH, []),
        (SPEC + "sampling: personality-vector\n", []),
        (SPEC + "sampling: {preset: personality-vector, repeats: 2}\n", []),
    ],
    ids=["study", "arm", "a task beside it", "written by one arm", "preset", "preset and more"],
)  # fmt: skip
def test_a_length_of_answers_is_useless_where_none_is_written(text: str, paths: list[str], tmp_path: Path) -> None:
    found = [f"TG120 {path}: `{path}` has no effect: no benchmark here writes an answer" for path in paths]
    assert faults_of(text, tmp_path) == found
