"""The status of a selection counts what is selected and what that needs, not the whole study."""

from __future__ import annotations

from pathlib import Path

from tests.compiler.specs import SWEEP, plan_of
from traitgraph.api.status import study_status
from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.runtime.store.store import Store


def test_the_status_of_a_selection_is_about_its_jobs_alone(tmp_path: Path) -> None:
    chosen = (parse_selector("trait=extraversion,level=high,alpha=1,benchmark=arc_easy"),)
    plan = plan_of(SWEEP, select=chosen, present=lambda kind, key: kind == "train")
    status = study_status(plan, Store(tmp_path))
    assert {each.kind: (each.jobs, each.present) for each in status.kinds} == {
        "vector": (1, 0),
        "merge": (1, 0),
        "assess": (1, 0),
    }
    assert status.missing == len(plan.job_table().rows) == 3


def test_the_status_of_a_study_is_about_all_its_jobs(tmp_path: Path) -> None:
    plan = plan_of(SWEEP, present=lambda kind, key: kind == "train")
    status = study_status(plan, Store(tmp_path))
    assert {each.kind: each.jobs for each in status.kinds} == plan.counts.by_kind
    assert status.missing == plan.counts.missing


def test_asking_for_the_status_writes_nothing(tmp_path: Path) -> None:
    """The store of a colleague, or none at all, can be asked."""
    study_status(plan_of(SWEEP), Store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()
