"""What a spec says to Hydra is read, or refused at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.files import write
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.diagnostics import SpecError

STUDY = """\
defaults: [{train: mine}, _self_]
study: swept
model: llama-3.1-8b-instruct
traits: [openness]
data: big5-chat
method: vector
alpha: 1
benchmarks: [mini-ipip]
"""
MINE = "method: sft\nlearning_rate: 1e-5\nepochs: 1\n"


@pytest.fixture
def spec(folder: Path) -> Path:
    return write(folder, {"study.yaml": STUDY, "train/mine.yaml": MINE})


def faults(spec: Path, *, sweep: bool = False) -> list[tuple[str, int, str]]:
    with pytest.raises(SpecError) as caught:
        load_sweep(spec, []) if sweep else load_study(spec)
    return [(each.code, each.span.line if each.span else 0, each.message) for each in caught.value.diagnostics]


@pytest.mark.parametrize("head", [True, False], ids=["with a defaults list", "without"])
def test_the_sweep_of_a_file_is_made_and_asked_for_by_m(spec: Path, head: bool) -> None:
    text = STUDY if head else STUDY.partition("\n")[2] + "train: {method: sft, learning_rate: 1e-5, epochs: 1}\n"
    spec.write_text(text + "hydra: {sweeper: {params: {alpha: '0.1,0.2', +seeds: 'range(0,2)'}}}\n")
    assert [arm.name for arm in load_sweep(spec, []).arms] == [
        f"vector+alpha={alpha}+seeds={seed}" for alpha in ("0.1", "0.2") for seed in (0, 1)
    ]
    assert [str(arm.alpha[0]) for arm in load_sweep(spec, ["alpha=0.3"]).arms] == ["0.3"] * 2
    line = len(spec.read_text().splitlines())
    assert faults(spec) == [("TG024", line, "this file asks for a sweep")]


@pytest.mark.parametrize("sweep", [True, False])
@pytest.mark.parametrize(
    ("block", "setting"),
    [
        ("{run: {dir: out}}", "hydra.run.dir"),
        ("{launcher: {cpus_per_task: 4}}", "hydra.launcher.cpus_per_task"),
        ("{sweeper: {store: elsewhere}}", "hydra.sweeper.store"),
        ("{mode: MULTIRUN}", "hydra.mode"),
        ("{sweeper: {params: [1]}}", "hydra.sweeper.params"),
        ("everything", "hydra"),
    ],
)
def test_other_settings_of_hydra_are_refused_at_their_line(spec: Path, block: str, setting: str, sweep: bool) -> None:
    spec.write_text(STUDY + f"hydra: {block}\n")
    assert ("TG111", 9, f"`{setting}` is read by Hydra applications only") in faults(spec, sweep=sweep)


def test_settings_of_hydra_in_a_preset_are_refused_at_their_line(spec: Path) -> None:
    Path("train/mine.yaml").write_text(MINE + "hydra: {job: {chdir: true}}\n")
    assert faults(spec) == [("TG111", 4, "`hydra.job.chdir` is read by Hydra applications only")]


@pytest.mark.parametrize("sweep", [True, False])
def test_a_sweep_in_a_preset_is_refused_at_its_line(spec: Path, sweep: bool) -> None:
    Path("train/mine.yaml").write_text(MINE + "hydra: {sweeper: {params: {alpha: '0.1,0.2'}}}\n")
    assert faults(spec, sweep=sweep) == [("TG111", 4, "`hydra.sweeper.params` is read in the spec itself only")]


def test_of_the_groups_of_hydra_only_our_sweeper_is_taken(spec: Path) -> None:
    taken = STUDY.replace("_self_]", "override hydra/sweeper: traitgraph, _self_]").replace(
        "override hydra/sweeper: traitgraph", "{override hydra/sweeper: traitgraph}"
    )
    spec.write_text(taken)
    assert load_study(spec).study == "swept"
    spec.write_text(taken.replace("sweeper: traitgraph", "launcher: joblib"))
    assert faults(spec) == [("TG111", 1, "`hydra/launcher` is read by Hydra applications only")]
