"""Subjects that were trained and see a prompt: the study is told which half it cannot tell apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.reading import read

HEAD = """\
study: s
model: smollm2-135m
traits: all
data: {id: owner/dialogues}
train: {method: sft, learning_rate: 1e-5, epochs: 1}
benchmarks: mini-ipip
arms:
  both: {method: sft, prompt: {style: instruction}}
"""
TRAINED, TOLD = "  trained: {method: sft}\n", "  told: {method: {kind: prompt, place: user}}\n"


@pytest.mark.parametrize(
    ("arms", "lacking"),
    [
        ("", ["the same without `prompt`", "the prompt alone"]),
        (TRAINED, ["the prompt alone"]),
        (TOLD, ["the same without `prompt`"]),
        (TRAINED + TOLD, []),
    ],
)
def test_an_ablation_that_no_arm_makes_is_told(arms: str, lacking: list[str], tmp_path: Path) -> None:
    study, found = read(HEAD + arms, tmp_path)
    assert study is not None
    told = " ".join(each.message for each in found if each.code == "TG221")
    assert [words for words in ("the same without `prompt`", "the prompt alone") if words in told] == lacking
