"""The difference of two studies names the field that is the cause; explain does so for one job."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.views.diff import diff_json, diff_plans, diff_text
from traitgraph.compiler.views.explain import explain_job, find_job
from traitgraph.compiler.views.lock import lock_differences, lock_document, unpinned
from traitgraph.specs.source.diagnostics import SpecError

from .specs import SWEEP, keys_by_label, named_digest, plan_of, study_of


def _diff(*overrides: str, text: str = SWEEP) -> str:
    return diff_text(diff_plans(plan_of(SWEEP), plan_of(text, *overrides)))


def test_a_changed_field_is_named_once_with_both_values_and_what_follows_from_it() -> None:
    assert _diff("train.learning_rate=2e-4") == (
        "2 jobs are the same\n"
        "~ 4 train: training.learning_rate: 0.0001 -> 0.0002\n"
        "~ 4 vector: follows from train\n"
        "~ 8 merge: follows from vector\n"
        "~ 16 assess: follows from merge\n"
        "~ 1 collect: follows from assess\n"
    )


def test_new_points_of_a_grid_are_new_jobs_and_re_key_none() -> None:
    zero = "(alpha 0 counts once)"
    assert _diff("alpha=[0,0.5,1,1.5]").splitlines() == [
        f"  vector: 2 traits x 2 levels x 3 alphas = 12 conditions: 9 models, 9 subjects, 18 assessments {zero}",
        f"          -> 2 traits x 2 levels x 4 alphas = 16 conditions: 13 models, 13 subjects, 26 assessments {zero}",
        "",
        "34 jobs are the same",
        "~ 1 collect: follows from assess",
        "+ 4 merge",
        "+ 8 assess",
    ]


def test_a_change_that_changes_no_result_says_so() -> None:
    assert _diff(text="# only a comment\n" + SWEEP) == "no result changes: all 35 jobs are the same\n"


def test_the_difference_as_data() -> None:
    document = diff_json(diff_plans(plan_of(SWEEP), plan_of(SWEEP, "train.steps=20")))
    assert document["rekeyed"][0] == {  # type: ignore[index]  # a list
        "kind": "train",
        "jobs": 4,
        "changes": [{"path": "training.steps", "old": 10, "new": 20}],
        "follows": [],
        "example": "train extraversion high",
    }


def test_explain_tells_who_asks_for_a_job_and_what_it_rests_on() -> None:
    plan = plan_of(SWEEP)
    key = keys_by_label(plan)["merge extraversion high alpha 0.5"]
    text = explain_job(plan, find_job(plan, key[:10]))
    assert text.startswith(f"{key}  merge extraversion high alpha 0.5\n  has to run\n")
    assert "asked for by: vector\n" in text
    assert '  coefficients = ["0.5"]\n' in text
    assert "vector extraversion high  (has to run)" in text
    assert "assess mini-ipip extraversion high alpha 0.5" in text


def test_explain_names_the_field_in_which_a_job_differs_from_the_nearest_in_the_store() -> None:
    stored = plan_of(SWEEP, "train.learning_rate=3e-4").job_table().rows
    plan = plan_of(SWEEP)
    text = explain_job(plan, find_job(plan, "train neuroticism low"), stored)
    assert "it differs in:\n    training.learning_rate: 0.0003 -> 0.0001\n" in text


@pytest.mark.parametrize("wanted", ["train neuroticism low", "low neuroticism train", "TRAIN low neuro"])
def test_a_job_is_found_by_its_key_its_label_or_words_of_it(wanted: str) -> None:
    plan = plan_of(SWEEP)
    key = keys_by_label(plan)["train neuroticism low"]
    assert find_job(plan, wanted) == find_job(plan, key) == find_job(plan, key[:8].upper())


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("zz", "no job of the study has the key or label 'zz'"),
        ("training neuroticism low", "near: train neuroticism low"),
        ("vector", "'vector' means 4 jobs of the study"),
        ("vector", r"[0-9a-f]{8}  vector extraversion low  \(has to run\)"),
        ("", "'' means 35 jobs of the study"),
    ],
)
def test_explain_tells_what_there_is_for_a_name_of_no_job_or_of_several(wanted: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        find_job(plan_of(SWEEP), wanted)


TWICE = """\
study: twice
traits: openness
levels: high
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10}
benchmarks: mini-ipip
arms:
  small: {model: owner/small-1B, method: sft}
  large: {model: owner/large-2B, method: sft}
  preferred: {model: owner/large-2B, method: dpo, train: {method: dpo}}
"""


def test_labels_say_in_what_namesakes_differ() -> None:
    labels = keys_by_label(plan_of(TWICE))
    assert set(labels) >= {
        "train openness high on small-1B",
        "train openness high on large-2B",
        "train openness high by dpo on large-2B",
        "assess mini-ipip openness high tuned on small-1B",
    }
    assert "train openness high" in keys_by_label(plan_of(TWICE, "~arms.large", "~arms.preferred"))


def test_a_lock_lists_sources_and_marks_what_is_not_pinned() -> None:
    lock = lock_document(plan_of(SWEEP), {"torch": "2.13.0"})
    assert unpinned(lock) == ["data of lm-eval's arc_easy at main", "owner/dialogues at main", "owner/model at main"]
    pinned = lock_document(plan_of(SWEEP, f"model={{id:owner/model,revision:{'a' * 40}}}"), {"torch": "2.13.0"})
    assert unpinned(pinned) == ["data of lm-eval's arc_easy at main", "owner/dialogues at main"]


def test_locks_of_equal_plans_are_equal_and_others_tell_the_difference() -> None:
    one, two = (lock_document(plan_of(SWEEP), {"torch": version}) for version in ("2.13.0", "2.14.0"))
    assert lock_document(plan_of(SWEEP), {"torch": "2.13.0"}) == one
    assert lock_differences(one, two) == ["libraries.torch: 2.13.0 -> 2.14.0"]


def test_a_changed_file_or_source_is_told_by_its_name_wherever_it_lies() -> None:
    local = SWEEP.replace("owner/dialogues", "rows.jsonl")
    one = lock_document(plan_of(local), {})
    moved = {**one, "files": {key: place.replace("/tmp", "/home") for key, place in one["files"].items()}}  # type: ignore[attr-defined]  # plain data
    assert lock_differences(one, moved) == []

    def edited(path: Path) -> str:
        return named_digest(path.with_name("edited")) if path.name == "rows.jsonl" else named_digest(path)

    other = lock_document(compile_study(study_of(local), Context(digest_of=edited)), {})
    before, after = named_digest(Path("rows.jsonl")), named_digest(Path("edited"))
    told = lock_differences(one, other)
    assert f"files.rows.jsonl: {before} -> {after}" in told
    assert {line.partition(":")[0] for line in told} == {"files.rows.jsonl", "jobs.digest"}
    assert "sources.owner/model.dtype: bfloat16 -> float32" in lock_differences(
        one, lock_document(plan_of(local, "model={id:owner/model,dtype:float32}"), {})
    )
