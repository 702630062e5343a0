"""The head of a plan with a selection counts what is selected, and tells it from what is only needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.plan import Plan
from traitgraph.compiler.views.print_plan import plan_json, plan_text

from .specs import SWEEP, plan_of

ARMS = SWEEP.replace("method: vector\nalpha: [0, 0.5, 1]\n", "") + (
    "arms:\n  base: {method: direct}\n  tuned: {method: sft}\n  scaled: {method: vector, alpha: [0, 0.5, 1]}\n"
)


def _plan(*selectors: str, present: Callable[[str, str], bool] = lambda kind, key: False) -> Plan:
    return plan_of(ARMS, select=tuple(map(parse_selector, selectors)), present=present)


def _head(plan: Plan) -> list[str]:
    return [line.strip() for line in plan_text(plan).partition("\n\n")[0].splitlines()]


def test_the_head_has_the_product_that_is_left_of_each_selected_arm() -> None:
    assert _head(_plan("arm=scaled,trait=extraversion,alpha>0,kind=assess")) == [
        "study sweep: 8 of 43 jobs selected, 8 more needed by them",
        "scaled  2 levels x 2 alphas = 4 models, 4 subjects, 8 assessments",
    ]


def test_what_is_left_of_a_benchmark_alone_is_counted_alone() -> None:
    assert _head(_plan("arm=tuned,benchmark=mini-ipip"))[1:] == [
        "tuned  2 traits x 2 levels = 4 models, 4 subjects, 4 assessments"
    ]


def test_a_selection_that_is_no_product_is_counted_without_one() -> None:
    ends = ("alpha=1,level=high,trait=extraversion,kind=assess", "alpha=0.5,level=low,trait=extraversion,kind=assess")
    assert _head(_plan(*ends))[1:] == ["scaled  2 models, 2 subjects, 4 assessments"]


def test_an_arm_that_only_shares_a_selected_job_is_left_out() -> None:
    """Alpha 0 is the base, which the arm `base` measures too."""
    assert [arm.name for arm in _plan("alpha=0,level=high").arms] == ["scaled"]


def test_trainings_are_told_as_jobs() -> None:
    assert _head(_plan("kind=train,level=high"))[1:] == ["tuned   2 jobs", "scaled  2 jobs"]


@pytest.mark.parametrize("held", [(), ("train",), ("train", "assess")])
def test_selected_less_what_is_there_and_what_they_need_is_what_runs(held: tuple[str, ...]) -> None:
    plan = _plan("arm=scaled,alpha=1,kind=assess", present=lambda kind, key: kind in held)
    counts = plan.counts
    selected_there = 8 if "assess" in held else 0
    assert counts.selected == 8
    assert counts.selected - selected_there + counts.needed == counts.missing == len(plan.job_table().rows)


def test_scripts_get_both_counts() -> None:
    counts = plan_json(_plan("arm=tuned,benchmark=mini-ipip"))["counts"]
    assert isinstance(counts, dict)
    assert (counts["selected"], counts["needed"]) == (4, 4)


def test_without_a_selection_everything_is_selected() -> None:
    plan = _plan()
    assert (plan.counts.selected, plan.counts.needed) == (plan.counts.jobs, 0)
