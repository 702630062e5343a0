"""Composition: presets through Hydra's defaults lists, places that survive it, sweeps, references."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir, version
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from tests.specs.files import Files, write
from traitgraph.specs.composition.compose import compose, compose_many
from traitgraph.specs.source import library
from traitgraph.specs.source.diagnostics import Diagnostic, Span
from traitgraph.specs.source.library import find_preset, preset_names
from traitgraph.specs.source.positions import Document

PRESETS: Files = {
    "model/small.yaml": "id: owner/small\ndtype: float32\n",
    "model/big.yaml": "id: owner/big\nrevision: main\n",
    "train/sft.yaml": "method: sft\nlearning_rate: 0.5\nlora: {rank: 8, targets: [q, v]}\n",
    "train/dpo.yaml": "defaults: [sft, _self_]\nmethod: dpo\n",
    "paper/whole.yaml": "# @package _global_\ndefaults:\n  - override /model: big\nstudy: whole\nalpha: 0.25\n",
    "paper/both.yaml": "# @package _global_\ndefaults: [/model: small, /train: dpo, _self_]\ntrain: {epochs: 3}\n",
}
SPECS: Files = {
    "plain.yaml": "defaults: [{model: small}, {train: sft}, _self_]\nstudy: x\ntrain: {lora: {targets: [k]}}\n",
    "self_first.yaml": "defaults: [_self_, {model: small}]\nstudy: x\nmodel: {dtype: bfloat16}\n",
    "no_self.yaml": "defaults: [{model: small}]\nstudy: x\nmodel: {dtype: bfloat16}\n",
    "nested.yaml": "defaults: [{train: dpo}, {paper: both}, _self_]\nstudy: x\n",
    "overriding.yaml": "defaults: [{model: small}, _self_, {paper: whole}]\nstudy: x\n",
    "package.yaml": "defaults: [{model@judge.model: big}, {optional model: none}, _self_]\njudge: {temperature: 0}\n",
    "many.yaml": "defaults: [{train: [sft, dpo]}, _self_]\nstudy: x\n",
    "off.yaml": "defaults: [{model: null}, {train: sft}, _self_]\nstudy: x\n",
}


@pytest.fixture
def presets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of specs with presets beside them, and no library."""
    (folder / "library").mkdir()
    monkeypatch.setattr(library, "LIBRARY", folder / "library")
    write(folder, PRESETS)
    write(folder, SPECS)
    return folder


def composed(name: str, *overrides: str) -> Document:
    document, faults = compose(Path(name), overrides)
    assert document is not None
    assert not faults, faults
    return document


def faults_of(name: str, *overrides: str) -> list[Diagnostic]:
    return compose(Path(name), overrides)[1]


def as_hydra_composes(folder: Path, name: str, *overrides: str) -> Any:
    with initialize_config_dir(str(folder), version_base="1.3"):
        config = hydra_compose(Path(name).stem, list(overrides))
    return OmegaConf.to_container(config)


CASES: list[tuple[str, ...]] = [
    *((name,) for name in SPECS if name != "no_self.yaml"),
    ("plain.yaml", "model=big"),
    ("plain.yaml", "train=dpo", "train.lora.rank=4"),
    ("plain.yaml", "+paper=whole"),
    ("plain.yaml", "~model"),
    ("plain.yaml", "model=big", "+model.dtype=float16"),
    ("plain.yaml", "++study=z", "~train.method"),
    ("plain.yaml", "train.lora={rank: 2}"),
    ("plain.yaml", "+model@judge=big"),
    ("package.yaml", "model@judge.model=small"),
    ("many.yaml", "train=[dpo]"),
    ("overriding.yaml", "model=small"),
]


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_the_data_is_what_hydra_itself_composes(presets: Path, case: tuple[str, ...]) -> None:
    name, *overrides = case
    expected = as_hydra_composes(presets, name, *overrides)
    assert _floats(composed(name, *overrides).data) == expected


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.usefixtures("presets")
def test_without_self_the_values_of_the_spec_win_and_nothing_warns() -> None:
    assert composed("no_self.yaml").data["model"] == {"id": "owner/small", "dtype": "bfloat16"}


@pytest.mark.usefixtures("presets")
def test_every_value_keeps_the_place_where_it_was_written() -> None:
    document = composed("plain.yaml", "train.learning_rate=1e-4")
    assert document.value_span(("model", "dtype")) == Span("model/small.yaml", 2, 8, 7, "dtype: float32")
    assert document.value_span(("train", "lora", "rank")) == Span(
        "train/sft.yaml", 3, 14, 1, "lora: {rank: 8, targets: [q, v]}"
    )
    assert document.value_span(("train", "lora", "targets", 0)) == Span(
        "plain.yaml", 3, 26, 1, "train: {lora: {targets: [k]}}"
    )
    assert document.value_span(("train", "learning_rate")) == Span("override", 1, 21, 4, "train.learning_rate=1e-4")


@pytest.mark.usefixtures("presets")
def test_presets_are_read_as_yaml_1_2_too(folder: Path) -> None:
    write(folder, {"model/odd.yaml": "id: no\nrevision: 010\nα: 1e-4\n"})
    assert composed("plain.yaml", "model=odd").data["model"] == {"id": "no", "revision": 10, "alpha": Decimal("0.0001")}


@pytest.mark.usefixtures("presets")
def test_composing_leaves_no_state_in_hydra() -> None:
    before = version.getbase()
    composed("plain.yaml", "model=big")
    assert not GlobalHydra.instance().is_initialized()
    assert version.getbase() == before


def test_a_running_hydra_application_is_left_as_it_was(presets: Path) -> None:
    with initialize_config_dir(str(presets), version_base="1.3"):
        running = GlobalHydra.instance().hydra
        composed("plain.yaml")
        assert GlobalHydra.instance().hydra is running


BROKEN: Files = {
    "circle.yaml": "defaults: [{ring: a}]\n",
    "ring/a.yaml": "defaults: [b]\n",
    "ring/b.yaml": "defaults: [/ring/a]\n",
    "missing.yaml": "defaults:\n  - model: smal\n  - modle: small\n  - 7\n",
    "open.yaml": "defaults:\n  - model: ???\n",
    "mapping.yaml": "defaults: {model: small}\n",
    "broken_preset.yaml": "defaults: [{model: broken}]\n",
    "model/broken.yaml": "id: a\nid: b\n",
    "spec.yml": "defaults: [{model: small}]\n",
}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("circle.yaml", ["ring/b.yaml:1:12 these presets name each other in a circle: ring/a -> ring/b -> ring/a"]),
        (
            "missing.yaml",
            [
                "missing.yaml:2:12 there is no model preset 'smal'",
                "missing.yaml:3:12 there is no group of presets 'modle'",
                "missing.yaml:4:5 this is no element of a defaults list",
            ],
        ),
        ("open.yaml", ["open.yaml:2:12 which model? this spec leaves the choice to you"]),
        ("mapping.yaml", ["mapping.yaml:1:11 `defaults` is a list of presets"]),
        ("broken_preset.yaml", ["model/broken.yaml:2:1 the key 'id' is given twice: first at 1:1, again here"]),
        ("spec.yml", ["spec.yml:1:1 a spec with a `defaults:` list must have a name that ends in .yaml"]),
    ],
)
def test_a_list_that_cannot_be_composed_is_told_at_its_place(presets: Path, name: str, told: list[str]) -> None:
    write(presets, BROKEN)
    spans = [(fault, fault.span) for fault in faults_of(name)]
    assert [f"{at.file}:{at.line}:{at.column} {fault.message}" for fault, at in spans if at] == told


@pytest.mark.usefixtures("presets")
def test_a_choice_of_a_missing_preset_names_the_override() -> None:
    (fault,) = faults_of("plain.yaml", "model=bgi")
    assert (fault.code, fault.span, fault.hint) == (
        "TG030",
        Span("override", 1, 7, 3, "model=bgi"),
        "near: big\nthere are: big, small",
    )


@pytest.mark.usefixtures("presets")
def test_an_open_choice_is_made_on_the_command_line(folder: Path) -> None:
    write(folder, BROKEN)
    assert composed("open.yaml", "model=big").data == {"model": {"id": "owner/big", "revision": "main"}}


def test_a_value_that_a_preset_leaves_open_must_be_given(presets: Path) -> None:
    write(presets, {"spec.yaml": "defaults: [{train: open}]\n", "train/open.yaml": "method: sft\nlearning_rate: ???\n"})
    (fault,) = faults_of("spec.yaml")
    assert (fault.code, fault.path, fault.span) == (
        "TG034", "train.learning_rate", Span("train/open.yaml", 2, 16, 3, "learning_rate: ???"))  # fmt: skip
    assert composed("spec.yaml", "train.learning_rate=1e-4").data["train"] == {
        "method": "sft", "learning_rate": Decimal("0.0001")}  # fmt: skip


def test_in_a_spec_without_a_list_a_group_choice_sets_the_value(folder: Path) -> None:
    write(folder, {"spec.yaml": "model: small\n", **PRESETS})
    assert composed("spec.yaml", "model=big").data == {"model": "big"}


def test_references_take_the_value_of_another_key(folder: Path) -> None:
    write(folder, {"spec.yaml": 'a: {rate: 1e-4, size: 8}\nb: ${a.rate}\nc: ["x${a.size}"]\nd: ${a}\n'})
    data = composed("spec.yaml").data
    assert (data["b"], data["c"]) == (Decimal("0.0001"), ["x8"])
    assert data["d"] == {"rate": Decimal("0.0001"), "size": 8}


def test_references_count_from_the_mapping_around_and_follow_one_another(folder: Path) -> None:
    text = "a: {rate: 0.5, same: '${.rate}', out: {top: '${..rate}', whole: '${b}'}}\nb: ['${a}', 2]\n"
    write(folder, {"spec.yaml": text.replace("'${a}', 2", "1, '${.0}'") + "c: '${d.out.whole.1}-${a.rate}'\nd: ${a}\n"})
    data = composed("spec.yaml").data
    inner = {"top": Decimal("0.5"), "whole": [1, 1]}
    assert data["a"] == data["d"] == {"rate": Decimal("0.5"), "same": Decimal("0.5"), "out": inner}
    assert data["c"] == "1-0.5"


@pytest.mark.parametrize("text", ["${nowhere}", "${oc.env:HOME}", "${b}", "${", "${a.b.c}"])
def test_a_reference_that_leads_nowhere_is_told_at_its_place(folder: Path, text: str) -> None:
    write(folder, {"spec.yaml": f"a: 1\nb: '{text}'\n"})
    (fault,) = faults_of("spec.yaml")
    assert fault.code == "TG035"
    assert fault.span is not None
    assert (fault.span.line, fault.span.column) == (2, 4)


def test_a_sweep_is_the_product_of_its_values_in_their_order(presets: Path) -> None:
    members, faults = compose_many(
        Path("plain.yaml"), ["model=small,big", "train.learning_rate=range(0.1,0.4,0.1)", "study=y"]
    )
    assert not faults
    assert [member.name for member in members] == [
        f"model={model},train.learning_rate={rate}" for model in ("small", "big") for rate in ("0.1", "0.2", "0.3")
    ]
    assert [member.document.data["train"]["learning_rate"] for member in members[:3]] == [  # type: ignore[index]  # plain data
        Decimal("0.1"), Decimal("0.2"), Decimal("0.3")]  # fmt: skip
    assert {str(member.document.data["study"]) for member in members} == {"y"}


@pytest.mark.usefixtures("presets")
@pytest.mark.parametrize(
    ("override", "other"),
    [
        ("alpha=1,2", "give the axis a list: 'alpha=[1, 2]'"),
        ("arms.x.alpha=1,2", "give the axis a list: 'arms.x.alpha=[1, 2]'"),
        ("train.steps=1,2", "write an arm for each value: arms: {a: {train: {steps: 1}}, b: {train: {steps: 2}}}"),
    ],
)
def test_a_sweep_without_m_is_refused_with_both_ways_out(override: str, other: str) -> None:
    fault = next(each for each in faults_of("plain.yaml", override) if each.code == "TG024")
    assert fault.hint == f"add -m for one study per value\nor {other}"


@pytest.mark.usefixtures("presets")
def test_a_fault_of_all_members_is_told_once() -> None:
    members, faults = compose_many(Path("plain.yaml"), ["stduy=a,b,c", "model=small"])
    assert not members
    assert len({fault.message for fault in faults}) == 1


def test_a_sweep_of_too_many_members_is_refused(presets: Path) -> None:
    members, faults = compose_many(Path("plain.yaml"), ["study=range(200)", "++a=range(200)"])
    assert not members
    assert [fault.message for fault in faults] == ["this sweep has 40,000 members"]


def test_a_preset_in_a_folder_of_its_group_is_named_with_the_folder(folder: Path) -> None:
    write(folder, {"cluster/slurm/site.yaml": "partition: gpu\n"})
    assert {"one-gpu", "slurm/site"} <= set(preset_names("cluster", folder / "spec.yaml"))
    assert find_preset("cluster", "slurm/site", folder / "spec.yaml") == folder / "cluster/slurm/site.yaml"
