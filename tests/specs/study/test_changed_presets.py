"""A preset changed in place: mappings in it are changed key by key, everything else is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.reading import FLAT
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.study.study import Study

STUDY = """\
study: changed
model: llama-3.1-8b-instruct
traits: openness
data: big5-chat
method: sft
train: {preset: big5-chat-sft-8b, instruction: "Be {level} in {trait}.", lora: {rank: 16}}
benchmarks: mini-ipip
cluster: {preset: one-gpu, default: {memory_gb: 10}, rules: []}
"""


def load(folder: Path, text: str) -> Study:
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.yaml")


def test_a_key_inside_a_mapping_of_a_preset_changes_alone(tmp_path: Path) -> None:
    study = load(tmp_path, STUDY)
    train, cluster = study.resolved_arms()[0].train, study.cluster
    assert train is not None
    assert train.lora is not None
    assert (train.lora.rank, train.lora.alpha) == (16, 16)
    assert cluster is not None
    assert (cluster.default.memory_gb, cluster.default.gpus, cluster.kinds["collect"].gpus) == (10, 1, 0)
    assert cluster.rules == ()


def test_a_whole_mapping_of_a_preset_may_be_taken_out(tmp_path: Path) -> None:
    train = load(tmp_path, STUDY.replace("{rank: 16}", "null")).resolved_arms()[0].train
    assert train is not None
    assert train.lora is None


def test_a_fault_in_such_a_key_is_told_in_the_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"study\.yaml:6:"):
        load(tmp_path, STUDY.replace("rank: 16", "rank: 0"))


def presets(folder: Path, **texts: str) -> None:
    (folder / "train").mkdir()
    for name, text in texts.items():
        (folder / "train" / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_preset_that_is_named_as_a_value_builds_on_others_of_its_group(tmp_path: Path) -> None:
    presets(tmp_path, base="method: sft\nlearning_rate: 1e-4\nepochs: 2\n", mine="defaults: [base]\nepochs: 3\n")
    study = load(tmp_path, FLAT.replace("train: {method: sft, learning_rate: 1e-5, epochs: 1}", "train: mine"))
    train = study.resolved_arms()[0].train
    assert train is not None
    assert (train.learning_rate, train.epochs) == (1e-4, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaults: [mine]\n", "in a circle: train/mine -> train/mine"),
        ("defaults: [nothing]\n", "no train preset 'nothing'"),
        ("defaults: [7]\n", "no element of a defaults list"),
        ("# @package _global_\nstudy: other\ndefaults: []\n", "reaches beyond the group 'train'"),
    ],
)
def test_the_list_of_such_a_preset_is_read_like_any_other(tmp_path: Path, text: str, said: str) -> None:
    presets(tmp_path, mine=text)
    with pytest.raises(SpecError, match=said):
        load(tmp_path, FLAT.replace("train: {method: sft, learning_rate: 1e-5, epochs: 1}", "train: mine"))
