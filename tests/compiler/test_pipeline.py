"""The pipeline as a whole: what holds for any study and any store, and the printer of intermediate forms."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.compiler.pipeline import PASSES, draft_after
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.study.cluster import Cluster, Resources

from .fields import STUDY
from .invariants import check_keys, check_shape, check_tasks
from .specs import SWEEP, context, keys_by_label, plan_of, study_of

SELF_CONTAINED = [name for name in STUDY["arms"] if name not in ("local", "measured")]
"""Arms that need no file beside `rows.jsonl` and `other.jsonl`; `tuned` uses every key of the study."""


@settings(max_examples=25)
@given(
    names=st.lists(st.sampled_from(SELF_CONTAINED), min_size=1, max_size=5, unique=True),
    held=st.integers(0, 2**16),
    minutes=st.sampled_from([0.1, 5.0, 1e4]),
)
def test_any_arms_against_any_store_give_a_plan_that_can_run(names: list[str], held: int, minutes: float) -> None:
    """The store holds an arbitrary half of the jobs: what is left is packed once each, after what it needs."""
    text = yaml.safe_dump(
        {**STUDY, "arms": {name: STUDY["arms"][name] for name in sorted({*names, "tuned"})}}, sort_keys=False
    )
    plan = plan_of(text, present=lambda kind, key: (int(key, 16) ^ held) % 3 == 0, task_minutes=minutes)
    check_shape(plan.draft)
    check_keys(plan.draft)
    check_tasks(plan.draft)
    assert plan.counts.present + plan.counts.missing == plan.counts.jobs
    assert {cell.job for cell in plan.cells} <= {key.hex() for key in plan.draft.keys}


def test_equal_studies_give_equal_plans() -> None:
    assert plan_of(SWEEP).job_table() == plan_of(SWEEP).job_table()


def test_the_printer_leads_with_the_first_sentence_of_the_pass() -> None:
    text = draft_after(study_of(SWEEP), context(), "share_equal_jobs")
    assert text.startswith("# share_equal_jobs: Keep the first of all jobs with one key")
    assert "stage train" in text
    assert "task " not in text


def test_an_unknown_pass_is_refused_with_the_near_ones() -> None:
    with pytest.raises(SpecError, match="there is no pass 'share'"):
        draft_after(study_of(SWEEP), context(), "share")


def test_every_pass_says_what_it_does_with_a_before_and_an_after() -> None:
    for each in PASSES:
        assert each.__doc__ is not None
        assert "before:" in each.__doc__


def test_on_a_cluster_tasks_are_about_half_as_long_as_the_time_limit_of_their_kind() -> None:
    """However they are packed, jobs keep their keys."""
    long = SWEEP.replace("alpha: [0, 0.5, 1]", "alpha: {from: 0.1, to: 2.0, step: 0.1}").replace("arc_easy", "gsm8k")
    long = long.replace("owner/model", "owner/model-8b")
    found = {}
    for minutes in (20, 60, 600):
        cluster = Cluster(default=Resources(minutes=minutes), kinds={"train": Resources(minutes=2 * minutes)})
        plan = plan_of(long, cluster=cluster, device="a100")
        tasks = [task for task in plan.job_table().tasks if task.id.partition("-")[2].startswith("assess")]
        found[minutes] = len(tasks)
        assert keys_by_label(plan) == keys_by_label(plan_of(long))
        assert sum(task.minutes or 0 for task in tasks) / len(tasks) < 0.8 * minutes
    assert found[20] > found[60] > found[600]


def test_kinds_with_other_time_limits_are_packed_to_them() -> None:
    kinds = {"train": Resources(minutes=1)}
    cluster = Cluster(default=Resources(minutes=10_000), kinds=kinds, signal_seconds=5)
    large = SWEEP.replace("owner/model", "owner/model-8b").replace("steps: 10", "steps: 1000")
    tasks = plan_of(large, cluster=cluster, device="a100").job_table().tasks
    stages = [task.id.rpartition("-")[0] for task in tasks]
    assert (stages.count("01-train"), stages.count("02-assess")) == (4, 1)
