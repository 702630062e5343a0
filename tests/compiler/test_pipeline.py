"""The pipeline as a whole: what holds for any study and any store, and the printer of intermediate forms."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.compiler.pipeline import PASSES, draft_after
from traitgraph.specs.diagnostics import SpecError

from .fields import STUDY
from .invariants import check_keys, check_shape, check_tasks
from .specs import SWEEP, context, plan_of, study_of

SELF_CONTAINED = [name for name in STUDY["arms"] if name not in ("local", "measured")]
"""Arms that need no file beside `rows.jsonl` and `other.jsonl`; `tuned` uses every key of the study."""


@settings(max_examples=25, deadline=None)
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
