"""A saved plan is executed exactly as it was made, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.views.saved import SavedPlan, check_fit, read_plan, save_plan
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.source.diagnostics import SpecError

from .specs import SWEEP, keys_of, named_digest, plan_of

LOCAL = SWEEP.replace("owner/dialogues", "rows.jsonl")


def _saved(tmp_path: Path) -> SavedPlan:
    plan = plan_of(LOCAL, present=lambda kind, key: kind in ("train", "vector"))
    file = tmp_path / "plan.json"
    file.write_text(save_plan(plan).model_dump_json(), encoding="utf-8")
    saved = read_plan(file)
    assert saved.table == plan.job_table()
    assert list(saved.cells) == plan.cells
    return saved


def test_a_plan_comes_back_from_its_file_and_fits(tmp_path: Path) -> None:
    saved = _saved(tmp_path)
    assert set(saved.relied_on.values()) == {"train", "vector"}, "all that it counts as done, and nothing else"
    check_fit(saved, lambda kind, key: True, named_digest)


def test_a_plan_is_refused_when_what_it_counts_on_is_gone_from_the_store(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"the store no longer holds what the plan counts on: train .* and 5 more"):
        check_fit(_saved(tmp_path), lambda kind, key: False, named_digest)


@pytest.mark.parametrize("kind", ["train", "vector", "merge", "assess", "collect"])
def test_a_plan_with_nothing_to_do_is_refused_when_one_thing_that_it_counts_as_done_is_gone(kind: str) -> None:
    plan = plan_of(LOCAL, present=lambda kind, key: True)
    saved, gone = save_plan(plan), min(keys_of(plan, kind))
    assert saved.table.rows == ()
    check_fit(saved, lambda kind, key: True, named_digest)
    with pytest.raises(SpecError, match=rf"the store no longer holds what the plan counts on: {kind} {gone[:8]}\n"):
        check_fit(saved, lambda kind, key: key != gone, named_digest)


def test_a_plan_of_a_selection_relies_on_what_it_selects_and_on_what_that_reads() -> None:
    done = {"train", "vector", "assess"}
    selector = parse_selector("alpha=1,trait=extraversion,level=high")
    plan = plan_of(LOCAL, select=(selector,), present=lambda kind, key: kind in done)
    assert sorted(save_plan(plan).relied_on.values()) == ["assess", "assess", "vector"]


def test_a_plan_is_refused_when_a_file_has_changed_or_is_gone(tmp_path: Path) -> None:
    def gone(path: Path) -> str:
        raise FileNotFoundError(path)

    saved = _saved(tmp_path)
    with pytest.raises(SpecError, match=r"rows\.jsonl has changed since the plan was made"):
        check_fit(saved, lambda kind, key: True, lambda path: "0" * 32)
    with pytest.raises(SpecError, match=r"rows\.jsonl is gone"):
        check_fit(saved, lambda kind, key: True, gone)


@pytest.mark.parametrize("held", [(), ("train",)], ids=["to run", "done"])
def test_a_plan_is_refused_by_a_program_with_another_version_of_a_kind(
    held: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save_plan(plan_of(LOCAL, present=lambda kind, key: kind in held))
    monkeypatch.setattr(TrainParams, "version", 2)
    with pytest.raises(SpecError, match="the plan has version 1 of the job kind 'train', this program has 2"):
        check_fit(saved, lambda kind, key: True, named_digest)


def test_a_plan_is_refused_by_another_version_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = save_plan(plan_of(LOCAL))
    monkeypatch.setattr("traitgraph.compiler.views.saved.__version__", "9.9")
    with pytest.raises(SpecError, match=f"traitgraph {saved.program} made the plan, this is 9.9"):
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
