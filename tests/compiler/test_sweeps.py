"""A sweep counts each study point once, and no two subjects of it have one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitgraph.api.tracking import fitting_name, subject_runs
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.results.table import ResultRow, coordinates
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .specs import context

TRAITS = tuple(BIG_FIVE.traits)

PROMPTED = """\
study: told
model: owner/model
traits: [openness]
method: {kind: prompt, style: instruction}
benchmarks: [mini-ipip]
sampling: {temperature: 0.6, repeats: 3}
"""
SCALED = """\
study: scaled
model: owner/model
traits: [openness]
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10}
benchmarks: [mini-ipip]
arms:
  base: {method: direct}
  fixed: {method: vector, alpha: 2}
  moved: {method: vector}
"""


def swept(folder: Path, text: str, *overrides: str) -> Plan:
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return compile_study(load_sweep(folder / "spec.yaml", overrides), context())


def faults(folder: Path, text: str, *overrides: str) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        swept(folder, text, *overrides)
    return [(fault.code, fault.message) for fault in caught.value.diagnostics]


def rows_of(plan: Plan) -> list[ResultRow]:
    """A row for each cell of a plan, as if every job had measured 1."""
    fields = {"repeat": None, "metric": "m", "value": 1.0, "stderr": None, "n": 1, "same_as": None, "role": "score"}
    return [cast("ResultRow", {**coordinates(cell), **fields}) for cell in plan.cells]


def assert_one_job_for_each_name(plan: Plan) -> None:
    """All coordinates of a row together name one job, in results and to a tracker."""
    jobs = {cell[:-1]: cell.job for cell in plan.cells}
    assert [jobs[cell[:-1]] for cell in plan.cells] == [cell.job for cell in plan.cells]
    runs = list(subject_runs(rows_of(plan)))
    assert len({run.id for run in runs}) == len({run.name for run in runs}) == len(runs)
    labels = plan.labels()
    assert len(set(labels)) == len(labels)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# What slugs alike: punctuation, case, accents, numbers in several spellings, long texts with one start.
TEXTS = st.one_of(
    st.text(st.sampled_from("aA.!?- éé1"), min_size=1, max_size=6),
    st.sampled_from(["1", "1.0", "true", "null", "x" * 70 + "!", "x" * 70 + "?", "./a/b", "./a-b", "日本", "a-1"]),
).filter(lambda text: text.strip() == text and not text.endswith("\\"))


@given(st.lists(TEXTS, min_size=2, max_size=5, unique=True))
def test_no_two_subjects_of_a_sweep_have_one_name(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    values = ",".join(quoted(f"{{level}} {text}") for text in texts)
    plan = swept(tmp_path_factory.mktemp("s"), PROMPTED, f"+method.template={values}", "sampling.temperature=0,0.5")
    assert_one_job_for_each_name(plan)
    assert len({cell.arm for cell in plan.cells}) == len(texts) * 2


def test_overrides_of_one_last_step_are_told_apart_by_their_whole_keys(tmp_path: Path) -> None:
    plan = swept(tmp_path, SCALED, "arms.fixed.alpha=1,2", "+arms.moved.alpha=1,2")
    assert [arm.name for arm in plan.arms] == [
        "base", "fixed+arms.fixed.alpha=1", "moved+arms.moved.alpha=1", "moved+arms.moved.alpha=2",
        "fixed+arms.fixed.alpha=2",
    ]  # fmt: skip
    assert_one_job_for_each_name(plan)


def test_an_arm_that_a_sweep_does_not_change_is_one_arm_under_its_own_name(tmp_path: Path) -> None:
    plan = swept(tmp_path, SCALED, "+alpha=0.5,1")
    assert [arm.name for arm in plan.arms] == ["base", "fixed", "moved+alpha=0.5", "moved+alpha=1"]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (PROMPTED, ["sampling.temperature=0.6,0.6"], "`sampling.temperature=0.6` stands twice in the sweep"),
        (PROMPTED, ["sampling.temperature=0.6,0.60"], "`sampling.temperature=0.6` stands twice in the sweep"),
        (PROMPTED, ["traits=openness,[openness]"], "`traits=[openness]` and `traits=openness` make the same study"),
        (PROMPTED, ["+levels=all,[high,low]"], "`+levels=[high,low]` and `+levels=all` make the same study"),
        (PROMPTED, ["+description=a,b"], "`+description=b` and `+description=a` make the same study"),
        (PROMPTED, ["traits=all,openness", "sampling.repeats=3,3"], "`sampling.repeats=3` stands twice in the sweep"),
        (SCALED, ["train.learning_rate=1e-4,0.0001", "+alpha=1"],
         "`train.learning_rate=0.0001` stands twice in the sweep"),
        (SCALED, ["+alpha=1", "+merge=ties,{kind: ties}"],
         "`+merge={kind:ties}` and `+merge=ties` make the same study"),
    ],
)  # fmt: skip
def test_a_value_that_makes_the_study_of_another_is_refused(
    tmp_path: Path, text: str, overrides: Sequence[str], message: str
) -> None:
    assert faults(tmp_path, text, *overrides) == [("TG105", message)]


@pytest.mark.parametrize(
    "overrides",
    [
        ["+alpha=0.1,0.2", "+alpha=0.3,0.4"],
        ["+alpha=1", "+alpha=1"],
        ["train.steps=3", "train={method: sft, learning_rate: 1e-5, steps: 4}"],
        ["train={method: sft, learning_rate: 1e-5, steps: 4}", "train.steps=3"],
        ["train.steps=3", "train=null"],
        ["train.steps=3", "~train.steps"],
        ["train.steps=3", "~train"],
    ],
)
def test_an_override_that_a_later_one_takes_back_is_refused(tmp_path: Path, overrides: Sequence[str]) -> None:
    assert "TG109" in [code for code, _ in faults(tmp_path, SCALED, *overrides)]
    assert "takes the place of" in str(faults(tmp_path, SCALED, *overrides))


@pytest.mark.parametrize(
    "overrides",
    [["~train", "+train={method: sft, learning_rate: 1e-5, steps: 4}"], ["train.steps=3", "train.learning_rate=1e-5"]],
)
def test_overrides_that_add_up_are_taken(tmp_path: Path, overrides: Sequence[str]) -> None:
    assert swept(tmp_path, SCALED, "+alpha=1", *overrides).arms


def test_a_tracker_gets_no_label_or_name_that_it_refuses(tmp_path: Path) -> None:
    """Labels of 64 characters and names of 128 at most; the five traits of a composed subject are more together."""
    composed = SCALED.partition("arms:")[0].replace("[openness]", "all") + "method: compose\n"
    plan = swept(tmp_path, composed, "+alpha=0.1,0.2", f"+description={quoted('words ' * 40)}")
    runs = list(subject_runs(rows_of(plan)))
    assert {tag for run in runs for tag in run.tags} == {*TRAITS, "high", "low"}
    long = [replace(run, name=run.name + "x" * 200, id=f"{place:08x}") for place, run in enumerate(runs)]
    assert len({fitting_name(run) for run in long}) == len(long)
    assert all(len(fitting_name(run)) <= 128 for run in long)
