"""A sweep is one study with the arms of all its members."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.files import write
from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.source.diagnostics import SpecError

SPEC = """\
study: swept
model: llama-3.1-8b-instruct
traits: [openness]
data: big5-chat
method: vector
train: {method: sft, learning_rate: 1e-5, epochs: 1}
alpha: 1
benchmarks: [mini-ipip]
"""


@pytest.fixture
def spec(folder: Path) -> Path:
    return write(folder, {"spec.yaml": SPEC})


def test_every_member_is_an_arm_named_after_what_is_swept(spec: Path) -> None:
    study = load_sweep(spec, ["alpha=range(0.1,0.4,0.1)", "model=qwen2.5-7b-instruct,llama-3-8b-instruct"])
    assert study.study == "swept"
    assert [arm.name for arm in study.arms][:2] == [
        "vector+alpha=0.1+model=qwen2.5-7b-instruct",
        "vector+alpha=0.1+model=llama-3-8b-instruct",
    ]
    assert [str(arm.alpha[0]) for arm in study.arms] == ["0.1", "0.1", "0.2", "0.2", "0.3", "0.3"]


def test_members_are_selected_by_what_is_swept(spec: Path) -> None:
    study = load_sweep(spec, ["alpha=-1,1", "train.learning_rate=1e-5,1e-4"])
    assert [arm.name for arm in study.arms] == [
        f"vector+alpha={alpha}+learning_rate={rate}" for alpha in ("-1", "1") for rate in ("0.00001", "0.0001")
    ]
    selected = parse_selector("arm=alpha=-1,arm=learning_rate=0.0001")
    (one,) = [arm for arm in study.arms if all(each.meets(arm.name) for each in selected.conditions)]
    assert one is study.arms[1]


def test_without_a_sweep_the_study_is_the_spec_itself(spec: Path) -> None:
    assert [arm.name for arm in load_sweep(spec, ["alpha=-1"]).arms] == ["vector"]


def test_a_fault_that_all_members_share_is_told_once(spec: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_sweep(spec, ["alpha=1,2,3", "+train.epcohs=2"])
    assert [fault.message for fault in caught.value.diagnostics].count("unknown key 'epcohs'") <= 1
    assert len(caught.value.diagnostics) == 1


@pytest.mark.parametrize(
    ("sweep", "message", "place"),
    [
        ("epochs=range(0,3)", "no key 'epochs' in the spec", "epochs"),
        ("epochs=0,1", "no key 'epochs' in the spec", "epochs"),
        ("+gamma=range(0,3)", "`gamma` has no effect on method `vector`", "gamma"),
        ("train.epochs=range(0,2)", "0 is too small: it must be more than 0", "range(0,2)"),
        ("train.epochs=10,0,1", "0 is too small: it must be more than 0", "0,1"),
    ],
)
def test_a_fault_of_a_sweep_stands_in_the_override_as_it_was_typed(
    spec: Path, sweep: str, message: str, place: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_sweep(spec, [sweep])
    (fault,) = caught.value.diagnostics
    assert fault.message == message
    assert fault.span is not None
    assert fault.span.text == sweep
    assert sweep[fault.span.column - 1 :].startswith(place)


def test_a_sweep_has_one_name(spec: Path) -> None:
    with pytest.raises(SpecError, match="a sweep is one study, and this one has 2 names: a, b"):
        load_sweep(spec, ["study=a,b"])
