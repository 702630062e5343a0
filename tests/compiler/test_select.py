"""The language of `--select`: what each form selects, and what a wrong one says."""

from __future__ import annotations

import pytest

from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.plan import Plan
from traitgraph.specs.source.diagnostics import SpecError

from .specs import SWEEP, plan_of

ARMS = SWEEP.replace("method: vector\nalpha: [0, 0.5, 1]\n", "") + (
    "arms:\n  base: {method: direct}\n  scaled: {method: vector, alpha: [0, 0.5, 1]}\n"
)


def _plan(*selectors: str, text: str = ARMS) -> Plan:
    return plan_of(text, select=tuple(map(parse_selector, selectors)))


def _labels(*selectors: str, kind: str = "assess") -> set[str]:
    return {row.label for row in _plan(*selectors).job_table().rows if row.kind == kind}


def test_all_conditions_must_hold() -> None:
    assert _labels("trait=neuroticism,level=low,alpha>0.5,benchmark=arc_easy") == {
        "assess arc_easy neuroticism low alpha 1"
    }


def test_values_are_alternatives_and_numbers_compare_as_numbers() -> None:
    assert len(_labels("alpha=0.50|1.0,benchmark=mini-ipip,level=high")) == 4


def test_selections_together_select_what_any_of_them_does() -> None:
    assert _labels("arm=base,benchmark=mini-ipip", "alpha=1,trait=extraversion,level=high,benchmark=mini-ipip") == {
        "assess mini-ipip",
        "assess mini-ipip extraversion high alpha 1",
    }


def test_a_shared_job_is_selected_under_the_name_of_every_arm_that_asks_for_it() -> None:
    """Alpha 0 is the base: selecting it in one arm selects the job of the other."""
    assert _labels("alpha=0,trait=extraversion,level=high") == {"assess mini-ipip", "assess arc_easy"}


def test_what_selected_jobs_need_runs_too() -> None:
    kinds = _plan("alpha=0.5,trait=extraversion,level=high,kind=assess").counts.missing_by_kind
    assert kinds == {"train": 1, "vector": 1, "merge": 1, "assess": 2}


def test_plus_adds_what_follows() -> None:
    kinds = _plan("kind=train,trait=extraversion,level=high+").counts.missing_by_kind
    assert kinds == {"train": 1, "vector": 1, "merge": 2, "assess": 4}


def test_a_collection_follows_only_if_all_that_it_collects_is_there() -> None:
    """Neither analyses nor assessments alone pull in the rest of the study."""
    text = ARMS.replace("alpha: [0, 0.5, 1]}", "alpha: [0, 0.5, 1], analyses: vector_similarity}")
    kinds = _plan("kind=vector+", text=text).counts.missing_by_kind
    assert kinds == {"train": 4, "vector": 4, "merge": 8, "assess": 16, "analyse": 1}
    assert _plan("kind=vector+", "arm=base", text=text).counts.missing_by_kind == kinds | {"assess": 18}


def test_each_alpha_of_a_composed_subject_is_compared_as_a_number() -> None:
    text = SWEEP.replace("method: vector\nalpha: [0, 0.5, 1]", "method: compose").replace("[mini-ipip, {", "[{")
    text += "alpha: {extraversion: [0.1, 0.2], neuroticism: 0.5}\n"
    assert _plan("alpha=0.10", text=text).counts.selected_by_kind == {"merge": 4, "assess": 4}
    assert _plan("alpha<0.2", text=text).counts.selected_by_kind == {"merge": 4, "assess": 4}
    assert _plan("alpha!=0.10", text=text).counts.selected_by_kind == {"merge": 4, "assess": 4}


def test_a_key_is_known_by_its_start() -> None:
    row = plan_of(ARMS).job_table().rows[0]
    assert [each.key for each in _plan(f"key={row.key[:8]}").job_table().rows] == [row.key]


def test_an_unequal_condition_refuses_every_value() -> None:
    assert _labels("alpha!=0|0.5,benchmark=mini-ipip,trait!=neuroticism,level=high") == {
        "assess mini-ipip extraversion high alpha 1"
    }


AXES = """\
study: axes
model: owner/model
traits: [openness, extraversion]
levels: [high, low]
data: [owner/dialogues, owner/talks]
train: {method: sft, learning_rate: 1e-4, steps: 10}
benchmarks: [mini-ipip]
arms:
  told: {method: {kind: prompt, style: adjectives, intensity: [a bit, very]}}
  shifted: {method: {kind: steer, layer: [10, 20], coefficient: [0.4, 2]}}
  scaled: {method: vector, alpha: [0.5, 1], merge: [{kind: ties, density: 0.2}, {kind: ties, density: 0.3}]}
  carried: {method: vector, alpha: 0.5, onto: {model: owner/role, alpha: [0, 1]}}
"""


def _selected(selector: str, text: str = AXES) -> dict[str, int]:
    return _plan(selector, text=text).counts.selected_by_kind


@pytest.mark.parametrize(
    ("selector", "kinds"),
    [
        ("method=prompt", {"assess": 8}),
        ("method=prompt intensity=very", {"assess": 4}),
        ("method=steer", {"activations": 4, "assess": 32}),
        ("method=vector", {"train": 8, "vector": 9, "merge": 48, "assess": 48}),
        ("intensity=a bit", {"assess": 4}),
        ("layer=10", {"assess": 16}),
        ("layer<20,coefficient>1", {"assess": 8}),
        ("onto=1", {"merge": 8, "assess": 8}),
        ("data=talks,method!=steer", {"train": 4, "vector": 4, "merge": 24, "assess": 24}),
        ("merge=ties,level=low", {"merge": 16, "assess": 16}),
        ("merge=ties density=0.3", {"merge": 16, "assess": 16}),
        ("alpha=2", {"assess": 16}),
    ],
)
def test_every_axis_has_a_name_and_a_method_is_known_by_its_first_word(selector: str, kinds: dict[str, int]) -> None:
    assert _selected(selector) == kinds


@pytest.mark.parametrize("selector", ["layer=10,trait=openness", "intensity=very", "onto=0", "data=talks,merge=ties"])
def test_the_cells_of_a_selection_are_those_of_its_assessments(selector: str) -> None:
    plan = _plan(selector, text=AXES)
    draft = plan.draft
    asked = {draft.keys[row].hex() for row in draft.wanted or () if draft.locate(row)[0].kind == "assess"}
    assert {cell.job for cell in plan.cells} == asked


def test_an_analysis_is_selected_by_what_its_subjects_share() -> None:
    text = AXES.replace("alpha: [0.5, 1],", "alpha: [0.5, 1], analyses: [vector_similarity],")
    plan = _plan("kind=analyse,data=talks", text=text)
    assert [cell.benchmark for cell in plan.cells] == ["vector_similarity"]
    assert plan.counts.selected_by_kind == {"analyse": 1}


def test_cells_follow_from_jobs_as_jobs_do() -> None:
    cells = _plan("kind=train,data=talks,trait=openness,level=high+", text=AXES).cells
    assert {(cell.coordinates["trait"], cell.coordinates["level"]) for cell in cells} == {("openness", "high")}
    assert {cell.arm for cell in cells} == {"scaled", "carried"}


def test_cells_are_selected_like_jobs() -> None:
    cells = _plan("trait=extraversion,alpha>=0.5,benchmark=mini-ipip").cells
    found = {(cell.coordinates["trait"], cell.coordinates["alpha"]) for cell in cells}
    assert found == {("extraversion", "0.5"), ("extraversion", "1")}
    assert len(cells) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trat=openness", "unknown name 'trat' in a selection"),
        ("openness", "not a condition: 'openness'"),
        ("alpha>high", "'high' is not a number"),
        ("trait=", "not a condition: 'trait='"),
    ],
)
def test_a_wrong_selection_says_what_is_wrong_with_it(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_selector(text)
    assert [each.message for each in caught.value.diagnostics] == [message]


def test_a_name_alone_is_what_a_shell_leaves_of_a_comparison_without_quotes() -> None:
    """`--select alpha>0.5` writes into a file 0.5."""
    with pytest.raises(SpecError) as caught:
        parse_selector("alpha")
    assert str(caught.value.diagnostics[0].hint).endswith(
        "'trait=openness,alpha>0.5'; in quotes: a shell takes < and > for itself"
    )


def test_every_fault_of_a_selection_is_told_with_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        parse_selector("trait=openness, levl=high, alpha<x")
    spans = [each.span for each in caught.value.diagnostics]
    assert [(span.column, span.length) for span in spans if span] == [(17, 9), (28, 7)]
