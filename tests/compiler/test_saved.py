"""A saved plan is executed exactly as it was made, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.compiler.key import KINDS
from traitgraph.compiler.saved import SavedPlan, check_fit, read_plan, save_plan
from traitgraph.specs.diagnostics import SpecError
from traitgraph.specs.jobs import TrainParams

from .specs import SWEEP, named_digest, plan_of

LOCAL = SWEEP.replace("owner/dialogues", "rows.jsonl")


def _saved(tmp_path: Path) -> SavedPlan:
    plan = plan_of(LOCAL, present=lambda kind, key: kind in ("train", "vector"))
    file = tmp_path / "plan.json"
    file.write_text(save_plan(plan).model_dump_json(), encoding="utf-8")
    saved = read_plan(file)
    assert saved.table == plan.job_table()
    assert saved.result_cells() == plan.cells
    return saved


def test_a_plan_comes_back_from_its_file_and_fits(tmp_path: Path) -> None:
    saved = _saved(tmp_path)
    assert set(saved.relied_on.values()) == {"vector"}, "only what a missing job reads is relied on"
    check_fit(saved, lambda kind, key: True, named_digest)


def test_a_plan_is_refused_when_what_it_counts_on_is_gone_from_the_store(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the store no longer holds what the plan counts on: vector"):
        check_fit(_saved(tmp_path), lambda kind, key: False, named_digest)


def test_a_plan_is_refused_when_a_file_has_changed_or_is_gone(tmp_path: Path) -> None:
    def gone(path: Path) -> str:
        raise FileNotFoundError(path)

    saved = _saved(tmp_path)
    with pytest.raises(SpecError, match=r"rows\.jsonl has changed since the plan was made"):
        check_fit(saved, lambda kind, key: True, lambda path: "0" * 32)
    with pytest.raises(SpecError, match=r"rows\.jsonl is gone"):
        check_fit(saved, lambda kind, key: True, gone)


def test_a_plan_is_refused_by_a_program_with_another_version_of_a_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(LOCAL)
    saved = save_plan(plan)
    monkeypatch.setitem(KINDS, "train", type("Next", (TrainParams,), {"version": 2}))
    with pytest.raises(SpecError, match="the plan has version 1 of the job kind 'train', this program has 2"):
        check_fit(saved, lambda kind, key: True, named_digest)


def test_a_plan_that_was_edited_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(
        save_plan(plan_of(LOCAL)).model_dump_json().replace('"openness"', '"extraversion"').replace("0.5", "0.6")
    )
    with pytest.raises(SpecError, match="was changed after it was saved"):
        read_plan(file)


def test_another_file_is_no_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("{}")
    with pytest.raises(SpecError, match="is no saved plan"):
        read_plan(file)
