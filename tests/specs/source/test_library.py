"""The presets that ship with us, and the two papers as specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.files import write
from traitgraph.api.planning import plan_study
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.fields.templates import filled
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.source.library import GROUPS, LIBRARY
from traitgraph.specs.study.data import GeneratedDataSpec
from traitgraph.specs.study.study import Arm, Study
from traitgraph.specs.study.training import Training

PAPERS = Path(__file__).parents[3] / "examples" / "papers"
PRESETS = sorted(file for file in LIBRARY.glob("*/*.yaml"))
STUDY = """\
study: presets
model: smollm2-135m
traits: [openness]
data: big5-chat
method: sft
train: {method: sft, learning_rate: 1e-5, epochs: 1}
benchmarks: [mini-ipip]
"""
KEPT = {key: next(line for line in STUDY.splitlines() if line.startswith(key)) for key in ("model", "data", "train")}
"""Lines of the study that a preset takes the place of."""

OPEN = {
    "personality-vector": ("train.learning_rate=1e-5", "train.epochs=1", "train.lora=null"),
    "big5-chat-dpo": ("train.batch_size=8", "train.accumulation=5"),
}
"""What a preset leaves to the user, because no source at hand states it."""


def loaded(folder: Path, text: str, *overrides: str) -> Study:
    return load_study(write(folder, {"spec.yaml": text}), overrides)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_preset_is_in_a_known_group_and_says_where_it_is_from(preset: Path) -> None:
    assert preset.parent.name in GROUPS
    assert preset.read_text(encoding="utf-8").startswith(("#", "id:"))


def named(*groups: str) -> list[tuple[str, str]]:
    return [(file.parent.name, file.stem) for file in PRESETS if file.parent.name in groups]


@pytest.mark.parametrize(("group", "name"), named("model", "data", "sampling"))
def test_a_preset_stands_for_itself_by_name(folder: Path, group: str, name: str) -> None:
    old = KEPT.get(group)
    text = STUDY.replace(old, f"{group}: {name}") if old else f"{STUDY}{group}: {name}\n"
    assert loaded(folder, text).arms


@pytest.mark.parametrize(("group", "name"), named("train"))
def test_a_training_preset_trains_once_its_open_values_are_given(folder: Path, group: str, name: str) -> None:
    spec = f"defaults: [{{train: {name}}}, _self_]\n{STUDY.replace(KEPT['train'] + chr(10), '')}"
    opened = OPEN.get(name, ())
    method = ["method=dpo"] if "dpo" in name else []
    assert isinstance(loaded(folder, spec, *opened, *method).arms[0].train, Training)


@pytest.mark.parametrize(("group", "name"), named("paper"))
def test_a_paper_is_a_base_for_a_study_of_ones_own(folder: Path, group: str, name: str) -> None:
    spec = f"defaults: [{{paper: {name}}}, _self_]\nstudy: mine\nmethod: vector\nalpha: 1\nbenchmarks: [mini-ipip]\n"
    (arm,) = loaded(folder, spec, *OPEN.get(name, ())).arms
    assert (len(arm.traits), len(arm.levels), arm.data[0].name, arm.sampling.repeats) == (5, 2, "big5-chat", 5)


def test_what_a_paper_does_not_state_must_be_given(folder: Path) -> None:
    write(folder, {"spec.yaml": "defaults: [{paper: personality-vector}, _self_]\nstudy: mine\n"})
    _, faults = compose(Path("spec.yaml"))
    assert [fault.path for fault in faults] == ["train.learning_rate", "train.epochs", "train.lora"]


def test_the_batch_of_preference_optimisation_is_not_made_up(folder: Path) -> None:
    text = STUDY.replace("method: sft\n", "method: dpo\n", 1)
    with pytest.raises(SpecError) as caught:
        loaded(folder, text.replace(KEPT["train"], "train: big5-chat-dpo"))
    assert [fault.path for fault in caught.value.diagnostics] == ["batch_size", "accumulation"]
    assert caught.value.diagnostics[0].hint == (
        "give it where the preset is named: {preset: big5-chat-dpo, batch_size: VALUE}"
    )


def test_values_that_a_preset_leaves_open_can_be_given_beside_its_name(folder: Path) -> None:
    given = "{preset: big5-chat-dpo, batch_size: 8, accumulation: 5}"
    text = STUDY.replace("method: sft\n", "method: dpo\n", 1).replace(KEPT["train"], f"train: {given}")
    train = loaded(folder, text).arms[0].train
    assert train is not None
    assert (train.batch_size, train.accumulation, train.learning_rate) == (8, 5, 1e-5)


@pytest.fixture(scope="module")
def big5_chat() -> Study:
    return load_study(PAPERS / "big5-chat.yaml")


@pytest.fixture(scope="module")
def personality_vector() -> Study:
    return load_study(PAPERS / "personality-vector.yaml")


def arm_of(study: Study, name: str) -> Arm:
    return next(arm for arm in study.arms if arm.name == name)


def test_personality_vector_declares_its_200_scaled_and_4_x_128_composed_models(
    personality_vector: Study, tmp_path: Path
) -> None:
    arms = {arm.name: arm for arm in plan_study(personality_vector, Store(tmp_path / "store")).arms}
    assert arms["scaling"].models == arms["scaling-qwen"].models == 200
    assert arms["composing"].models == 4 * 128
    assert arms["negation"].models == 10
    assert arms["adjectives"].subjects == 3 * 10


@pytest.mark.parametrize("arm", ["role-play", "korean", "vision-language"])
def test_personality_vector_measures_each_domain_model_without_a_vector(
    personality_vector: Study, tmp_path: Path, arm: str
) -> None:
    counts = {each.name: each for each in plan_study(personality_vector, Store(tmp_path / "store")).arms}[arm]
    assert (counts.conditions, counts.subjects) == (3 * 10, 2 * 10 + 1)


def test_every_model_that_personality_vector_changes_has_its_base_measured(personality_vector: Study) -> None:
    measured = {model.name for model in arm_of(personality_vector, "base").model}
    assert measured == {model.name for arm in personality_vector.arms for model in arm.model}


def test_big5_chat_trains_one_adapter_for_ten_conditions(big5_chat: Study, tmp_path: Path) -> None:
    arms = {arm.name: arm for arm in plan_study(big5_chat, Store(tmp_path / "store")).arms}
    assert (arms["sft-8b"].models, arms["sft-8b"].subjects) == (1, 10)


def test_big5_chat_declares_the_gamma_sweep_and_all_benchmarks(big5_chat: Study) -> None:
    assert [data.name.rpartition("-")[2] for data in arm_of(big5_chat, "gamma-sweep").data] == [
        "0.25", "0.5", "0.75", "1", "1.33", "2", "4"]  # fmt: skip
    assert [each.name for each in arm_of(big5_chat, "sft-70b").benchmarks] == ["bfi", "ipip-neo-120"]
    assert len({each.name.split("_main")[0] for each in arm_of(big5_chat, "dpo-8b-reasoning").benchmarks}) == 8
    assert (big5_chat.arms[0].sampling.temperature, big5_chat.arms[0].sampling.repeats) == (0.6, 5)


@pytest.mark.parametrize(
    ("arm", "preset"),
    [("sft-8b", "big5-chat-sft-8b"), ("sft-70b", "big5-chat-sft-70b"), ("dpo-8b", "big5-chat-dpo")],
)
def test_the_paper_and_the_preset_train_alike(big5_chat: Study, folder: Path, arm: str, preset: str) -> None:
    method = "dpo" if "dpo" in preset else "sft"
    spec = f"defaults: [{{train: {preset}}}, _self_]\n{STUDY.replace(KEPT['train'] + chr(10), '')}"
    text = spec.replace("method: sft\n", f"method: {method}\n")
    assert arm_of(big5_chat, arm).train == loaded(folder, text, *OPEN.get(preset, ())).arms[0].train


def test_big5_chat_trains_on_the_instruction_of_its_code(big5_chat: Study) -> None:
    train, (steered, *_) = arm_of(big5_chat, "sft-8b").train, arm_of(big5_chat, "gamma-sweep").data
    assert train is not None
    assert train.instruction is not None
    assert filled(train.instruction, "openness", "high").endswith("traits: Openness - high")
    assert isinstance(steered, GeneratedDataSpec)
    assert filled(steered.generate.expert.instruction, "openness", "high").endswith("Personality: Openness - high")


def test_a_preset_with_a_typo_would_be_told_at_its_own_line(folder: Path) -> None:
    write(folder, {"model/mine.yaml": "id: owner/mine\nrevison: main\n"})
    with pytest.raises(SpecError, match=r"model/mine\.yaml:2:1"):
        loaded(folder, STUDY.replace("smollm2-135m", "mine"))
