"""Prices: what a plan costs, from work and hardware, and from the durations of jobs like its own."""

from __future__ import annotations

import pytest

from traitgraph.compiler.cost.estimate import Estimator
from traitgraph.compiler.cost.hardware import Range
from traitgraph.compiler.cost.price import check_budget, wall_seconds
from traitgraph.compiler.cost.work import TURN, Work, work_of
from traitgraph.compiler.ir.ir import TaskDraft, row_ids, shared_json
from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.plan import Plan
from traitgraph.compiler.views.print_plan import plan_text, price_json
from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.jobs.refs import GeneratedData
from traitgraph.specs.jobs.results import duration_names
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.study.job_kinds import row_fields_of
from traitgraph.specs.study.traits import LEVELS, TRAITS

from .specs import SWEEP, context, plan_of

BIG = SWEEP.replace("owner/model", "llama-3.1-8b-instruct")


def _task(name: str, *after: str) -> TaskDraft:
    return TaskDraft(name, "assess", row_ids(), after)


def test_wall_time_is_that_of_the_longest_chain() -> None:
    tasks = (_task("a"), _task("b"), _task("c", "a"))
    assert wall_seconds(tasks, {"a": 1, "b": 5, "c": 2}, None) == 5
    assert wall_seconds(tasks, {"a": 4, "b": 5, "c": 2}, None) == 6


def test_a_throttle_makes_tasks_wait_for_a_slot() -> None:
    tasks = tuple(_task(name) for name in "abcd")
    assert wall_seconds(tasks, dict.fromkeys("abcd", 10.0), 2) == 20
    assert wall_seconds(tasks, dict.fromkeys("abcd", 10.0), 1) == 40


def test_a_large_model_is_priced_on_gpus_and_a_small_one_on_the_cpu() -> None:
    large, small = plan_of(BIG).price, plan_of(SWEEP.replace("owner/model", "smollm2-135m")).price
    assert (large.device, small.device) == ("a100", "cpu")
    assert large.gpu_hours.low > 0
    assert small.gpu_hours == Range(0, 0)
    assert small.cpu_hours.low > 0


def test_a_faster_device_takes_less_time() -> None:
    slow, fast = plan_of(BIG, device="a100").price, plan_of(BIG, device="h200").price
    assert fast.gpu_hours.low < slow.gpu_hours.low
    assert fast.gpu_hours.high < slow.gpu_hours.high


def test_a_model_that_does_not_fit_one_gpu_is_priced_on_several() -> None:
    one, two = (
        plan_of(SWEEP, f"model={name}", device="a100").price
        for name in ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct")
    )
    assert two.gpu_hours.low > 8 * one.gpu_hours.low


def test_durations_in_the_store_go_before_guesses() -> None:
    guessed = plan_of(BIG)
    names = {f"{kind} @meta-llama/Llama-3.1-8B-Instruct": 100.0 for kind in ("train", "vector", "merge")}
    names |= {f"assess {kind} @meta-llama/Llama-3.1-8B-Instruct": 10.0 for kind in ("questionnaire", "lm_eval")}
    measured = plan_of(BIG, durations=names).price
    assert guessed.price.measured == 0
    assert measured.measured > 0.9
    assert measured.gpu_hours.high / measured.gpu_hours.low < 4


def test_the_store_and_the_plan_name_durations_alike() -> None:
    """The store knows jobs as JSON rows, the plan as stages: both must come to the same names."""
    plan = plan_of(BIG)
    for row in range(plan.draft.rows):
        stage, _ = plan.draft.locate(row)
        stored = JobRow.model_validate_json(plan.job_row(row).model_dump_json())
        shared = {name: value for name, value in stored.params.items() if name not in row_fields_of(stored.kind)}
        assert duration_names(stored.kind, shared) == duration_names(stage.kind, shared_json(stage))


def test_durations_of_another_model_say_nothing() -> None:
    assert plan_of(BIG, durations={"train": 1.0, "train @other": 1.0, "assess questionnaire": 1.0}).price.measured == 0


def test_the_download_is_that_of_the_weights_or_nothing_if_they_are_there() -> None:
    price = plan_of(BIG).price
    assert price.download_bytes == Range(0.0, 2 * 8030261248)
    assert plan_of(SWEEP.replace("owner/model", "smollm2-135m")).price.download_bytes == Range(0, 0)


def test_written_weights_need_disk_and_virtual_ones_do_not() -> None:
    virtual, written = plan_of(BIG).price.disk_bytes, plan_of(BIG, "+keep=weights").price.disk_bytes
    assert virtual.high < 8e9
    assert written.low > 8 * 2 * 8e9


def test_what_is_in_the_store_costs_nothing() -> None:
    price = plan_of(BIG, present=lambda kind, key: True).price
    assert price.gpu_hours == price.wall_hours == price.disk_bytes == Range(0, 0)


def test_a_budget_refuses_what_may_cost_more() -> None:
    price = plan_of(BIG).price
    check_budget(price, price.gpu_hours.high)
    with pytest.raises(SpecError, match=r"GPU hours on a100, the limit is 0\.01"):
        check_budget(price, 0.01)


def test_a_budget_counts_the_hours_of_a_plan_for_a_cpu() -> None:
    price = plan_of(SWEEP.replace("owner/model", "smollm2-135m")).price
    assert price.gpu_hours.high == 0
    check_budget(price, price.cpu_hours.high)
    with pytest.raises(SpecError, match=r"CPU hours on cpu, the limit is 0\.01"):
        check_budget(price, 0.01)


def test_large_tasks_are_cut_to_the_minutes_wanted() -> None:
    plan = plan_of(BIG, task_minutes=2)
    assert len(plan.tasks) > len(plan_of(BIG).tasks)
    assert all(task.minutes < 6 for task in plan.tasks)


LOCAL = BIG.replace("data: owner/dialogues", "data: {path: rows.jsonl}").replace("steps: 10", "epochs: 2")


@pytest.mark.parametrize("data", ["{path: rows.jsonl}", "{path: rows.jsonl, fields: {prompt: scene}}"])
def test_rows_of_a_local_file_are_counted(data: str) -> None:
    """Trainings of ten times the rows cost about ten times as much; the other jobs cost what they did."""

    def hours(rows: float) -> float:
        counts = {(trait, level, "train"): rows for trait in TRAITS for level in LEVELS}
        spec = LOCAL.replace("{path: rows.jsonl}", data)
        only = "kind=train"
        return plan_of(
            spec, count_rows=lambda path, fields: counts, select=(parse_selector(only),)
        ).price.gpu_hours.high

    few, many = hours(10_000), hours(100_000)
    assert 8 < many / few < 10.5


def test_scenes_are_counted_and_joint_trainings_take_both_levels() -> None:
    text = LOCAL.replace("data: {path: rows.jsonl}", GENERATED).replace(
        "method: vector\nalpha: [0, 0.5, 1]\n", "method: sft\n"
    )

    def hours(rows: float, kind: str) -> float:
        counts = {("extraversion", level, "train"): rows for level in LEVELS} | {("", "", "train"): rows}
        counts |= {("neuroticism", level, "train"): rows for level in LEVELS}
        selected = (parse_selector(f"kind={kind}"),)
        return plan_of(text, count_rows=lambda path, fields: counts, select=selected).price.gpu_hours.high

    for kind in ("train_joint", "generate"):
        assert hours(100_000, kind) > 5 * hours(10_000, kind)


@pytest.mark.parametrize(
    ("writer", "combine", "billions"),
    [
        ("8b", "combine: sum", 8 + 8),
        ("70b", "combine: sum", 70 + 8),
        ("70b", "combine: difference", 70 + 8),
        ("70b", "combine: difference\n    anti_expert: opposite", 70 + 8 + 8),
    ],
)
def test_whoever_steers_a_writer_is_paid_for_each_token_as_the_writer_is(
    writer: str, combine: str, billions: int
) -> None:
    def hours(writer: str, combine: str) -> float:
        data = GENERATED.replace("llama-3.1-8b", f"llama-3.1-{writer}", 1).replace("combine: sum", combine)
        text = LOCAL.replace("data: {path: rows.jsonl}", data)
        selected = (parse_selector("kind=generate"),)
        plan = plan_of(text, count_rows=lambda path, fields: MANY_SCENES, select=selected, device="h200")
        return plan.price.gpu_hours.middle

    alone = hours("8b", "combine: sum") / 16  # for a billion weights
    assert hours(writer, combine) == pytest.approx(billions * alone, rel=0.02)


def test_a_small_writer_with_a_large_expert_takes_the_download_and_the_memory_of_both() -> None:
    """Weights of 8 B and of 70 B in bfloat16 with a fifth of room: 187 GB, three GPUs of 80 GB."""
    head, _, trained = GENERATED.partition("      model: llama-3.1-8b-instruct\n")
    ready_made = head + "      model: llama-3.1-70b-instruct\n" + trained.splitlines(keepends=True)[-1]
    text = LOCAL.replace("data: {path: rows.jsonl}\n", ready_made)
    plan = plan_of(text, select=(parse_selector("kind=generate"),), device="a100")
    (stage,) = (stage for stage in plan.draft.stages if stage.kind == "generate")
    assert Estimator(plan.draft, context(device="a100")).devices(stage) == 3
    assert plan.price.download_bytes.high == pytest.approx(2 * (8e9 + 70e9), rel=0.02)


MANY_SCENES = {("", "", "train"): 1_000_000.0}
GENERATED = """\
data:
  generate:
    model: llama-3.1-8b-instruct
    scenarios: {path: other.jsonl}
    combine: sum
    decoding: {temperature: 0, max_new_tokens: 50}
    expert:
      model: llama-3.1-8b-instruct
      data: {path: rows.jsonl}
      train: {method: sft, learning_rate: 1e-4, epochs: 1}
      instruction: "{level} {trait}"
"""


def _work(plan: Plan, kind: str) -> Work:
    (stage,) = (stage for stage in plan.draft.stages if stage.kind == kind)
    return work_of(stage, plan.draft)


TUNED = SWEEP.replace("method: vector\nalpha: [0, 0.5, 1]\n", "method: {kind: sft, conditions: separate}\n")
TUNED = TUNED.replace("steps: 10", "epochs: 1, instruction: '{level} {trait}'")
JOINT = TUNED.replace("separate", "joint")
PAIRS = [(trait, level) for trait in TRAITS for level in LEVELS]


def test_one_training_on_all_conditions_learns_ten_times_as_much_as_one_on_a_condition() -> None:
    big5 = "data=big5-chat"
    one, all_ten = _work(plan_of(TUNED, big5), "train"), _work(plan_of(JOINT, big5), "train_joint")
    assert all_ten.learnt.middle == pytest.approx(10 * one.learnt.middle)


@pytest.mark.parametrize(("text", "conditions"), [(TUNED, 1), (JOINT, 4)])
def test_generated_rows_are_those_of_the_limit_for_each_condition(text: str, conditions: int) -> None:
    """A file of 700 scenes for training and 300 held-out ones, cut at 100: 70 replies to learn from."""
    scenes = {("", "", "train"): 700, ("", "", "heldout"): 300}
    spec = text.replace("data: owner/dialogues\n", GENERATED.replace("combine", "limit: 100\n    combine"))
    draft = plan_of(spec, count_rows=lambda path, fields: scenes).draft
    (stage,) = (each for each in draft.stages if isinstance(each.template.get("data"), GeneratedData))
    assert work_of(stage, draft).learnt.middle == pytest.approx(70 * conditions * TURN.middle)


def test_measures_of_neurons_and_activations_read_the_rows_that_there_are() -> None:
    text = SWEEP.replace("data: owner/dialogues", "data: {path: rows.jsonl}").replace("alpha: [0, 0.5, 1]\n", "")
    text = text.replace("train: {method: sft, learning_rate: 1e-4, steps: 10}\n", "")
    steer = text.replace("method: vector", "method: {kind: steer, layer: 3, coefficient: 1}")
    npti = text.replace("method: vector", "method: npti\ngamma: 1")

    def read(spec: str, kind: str, rows: float) -> float:
        counts = {(*pair, "train"): rows for pair in PAIRS}
        return _work(plan_of(spec, count_rows=lambda path, fields: counts), kind).read.middle

    for spec, kind in ((steer, "activations"), (npti, "neurons")):
        assert read(spec, kind, 500) == pytest.approx(10 * read(spec, kind, 50))


JUDGED = """\
study: s
model: owner/model
traits: [extraversion, neuroticism]
method: prompt
sampling: {repeats: 5}
benchmarks:
  - {kind: questionnaire, items: mini-ipip, mode: interview, judge: {url: "https://a.example/v1", model: big}}
  - {kind: open_questions, questions: {path: rows.jsonl}, judge: {url: "https://a.example/v1", model: big}}
  - {kind: questionnaire, name: here, items: mini-ipip, mode: interview, judge: {local: owner/judge}}
"""
QUESTIONS = {("extraversion", "", "train"): 7.0, ("neuroticism", "", "heldout"): 3.0}


def test_calls_of_a_judge_behind_an_interface_are_items_by_subjects_by_repeats() -> None:
    """4 subjects, 20 items and 10 questions, 5 repeats; a local judge costs no call."""
    plan = plan_of(JUDGED, count_rows=lambda path, fields: QUESTIONS)
    assert "API calls  600 to big at https://a.example/v1\n" in plan_text(plan)
    assert price_json(plan)["api_calls"] == [{"model": "big", "url": "https://a.example/v1", "calls": [600.0, 600.0]}]


def test_judged_answers_that_are_there_cost_no_call() -> None:
    assert plan_of(JUDGED, present=lambda kind, key: True).judge_calls == []


def test_a_number_of_questions_that_is_not_known_gives_a_range_of_calls() -> None:
    ((_, _, calls),) = plan_of(JUDGED, count_rows=lambda path, fields: {}).judge_calls
    assert calls.low < calls.high
