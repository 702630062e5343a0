"""Calls from Python: the same refusals as the command line, results as rows and frames, answers of one subject."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import traitgraph
from traitgraph.cli.main import main

SPEC = "study: s\nmodel: smollm2-135m\ntraits: [openness]\nmethod: {method}\nbenchmarks: [mini-ipip]\n"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of the base and two prompted subjects, in the working folder; without a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAITGRAPH_STORE", raising=False)
    text = SPEC.replace("method: {method}", "arms: {base: {method: direct}, told: {method: prompt}}")
    (tmp_path / "s.yaml").write_text(text)
    return tmp_path / "s.yaml"


@pytest.fixture
def measured(spec: Path) -> traitgraph.Plan:
    """The plan of the study, of which a store holds the assessment of the base and of the first prompted subject."""
    plan = traitgraph.plan(spec)
    rows = {row.key: row for row in plan.job_table().rows}
    with plan.store as store:
        for number, cell in enumerate(plan.cells[:2]):
            with store.publish(rows[cell.job]) as out:
                metric = {
                    "metric": "openness",
                    "repeat": 0,
                    "value": 3.5 + number,
                    "stderr": None,
                    "n": 4,
                    "role": "score",
                }
                (out / "metrics.jsonl").write_text(json.dumps(metric) + "\n")
                (out / "answers.jsonl").write_text(json.dumps({"item": number}) + "\n")
    return plan


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"workers": 0}, "--workers takes a number from 1 on"),
        ({"max_gpu_hours": float("nan")}, "--max-gpu-hours takes a number from 0 on"),
        ({"dry_run": True}, "--dry-run and --export go with --launcher slurm"),
        ({"launcher": "slurm", "dry_run": True}, "s.yaml names no cluster"),
    ],
)
def test_a_run_is_refused_as_on_the_command_line(options: dict[str, Any], told: str, spec: Path) -> None:
    with pytest.raises(traitgraph.UsageError, match=told):
        traitgraph.run(spec, **options)
    assert not (spec.parent / ".traitgraph").exists()


def test_what_would_stop_a_job_later_stops_the_run(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price above the limit, and data that lack what training needs."""
    with pytest.raises(traitgraph.SpecError, match="the limit is 1e-09"):
        traitgraph.run(spec, max_gpu_hours=1e-9, tell=None)
    training = "data: rows.jsonl\ntrain: {method: sft, learning_rate: 1e-3, steps: 2}\n"
    spec.write_text(SPEC.format(method="sft") + training)
    (spec.parent / "rows.jsonl").write_text("not JSON\n")
    with pytest.raises(traitgraph.SpecError, match="TG212"):
        traitgraph.run(spec, tell=None)
    assert "TG212" in {fault.code for fault in traitgraph.check(spec)}
    assert not list(spec.parent.glob(".traitgraph/runs/*"))


def test_a_saved_plan_is_not_selected_from(spec: Path) -> None:
    assert main(["plan", str(spec), "-o", "plan.json"]) == 0
    with pytest.raises(traitgraph.UsageError, match="a saved plan runs as it is"):
        traitgraph.run("plan.json", select="arm=base")


def test_a_plan_prints_as_the_command_prints(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(spec)]) == 0
    assert capsys.readouterr().out == f"{traitgraph.plan(spec)}\n"
    assert main(["plan", str(spec), "+cluster=one-gpu"]) == 0
    clustered = traitgraph.load_study(spec, ["+cluster=one-gpu"])
    assert "\narrays " in (shown := repr(traitgraph.plan(clustered)))
    assert capsys.readouterr().out == f"{shown}\n"


def test_a_store_is_the_one_of_the_environment_unless_it_is_named(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = spec.parent.resolve()
    assert traitgraph.plan(spec).store.root == here / ".traitgraph"
    monkeypatch.setenv("TRAITGRAPH_STORE", "mine")
    assert traitgraph.plan(spec).store.root == here / "mine"
    assert traitgraph.plan(spec, "yours").store.root == here / "yours"
    assert traitgraph.plan(traitgraph.plan(spec, "yours", select="arm=base")).select == ("arm=base",)


def test_results_are_rows_and_a_frame_with_what_is_missing(measured: traitgraph.Plan) -> None:
    rows = traitgraph.results(measured)
    assert [(row["arm"], row["value"]) for row in rows] == [("base", 3.5), ("told", 4.5)]
    assert (rows.absent, rows.asked, len(rows[:1])) == (1, 3, 1)
    assert repr(rows) == "<2 rows, 1 of 3 assessments missing>"
    frame = rows.frame()
    assert list(frame["value"]) == [3.5, 4.5]
    assert frame["alpha"].isna().all(), "a number where there is one, and nothing where there is none"
    assert len(traitgraph.results(measured, select="arm=base")) == 1


def test_answers_are_of_one_subject(measured: traitgraph.Plan) -> None:
    rows = traitgraph.results(measured)
    assert traitgraph.answers(measured, rows[1]) == [{"item": 1}]
    assert traitgraph.answers(measured.spec, "arm=base") == [{"item": 0}]
    with pytest.raises(traitgraph.UsageError, match=r"the selector names 2:\n  arm=told.*\n  arm=told"):
        traitgraph.answers(measured, "arm=told")
    with pytest.raises(traitgraph.UsageError, match="run the study first"):
        traitgraph.answers(measured, measured.cells[2]._asdict())


def test_a_report_needs_a_result_and_is_that_of_the_command_line(
    spec: Path, measured: traitgraph.Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(traitgraph.UsageError, match=r"no result of study s is in .*; run it first"):
        traitgraph.report(spec, "other")
    changed = traitgraph.load_study(spec, ["arms.told.method={kind: prompt, style: instruction}"])
    page = traitgraph.report(changed, tell=None)
    assert capsys.readouterr().err == ""
    assert page.parent.name.startswith("s+arms.told.method="), "overrides give a report of its own"
    assert main(["report", str(spec)]) == 0
    assert capsys.readouterr().out == f"{traitgraph.report(spec)}\n"


def test_status_counts_what_is_there(measured: traitgraph.Plan) -> None:
    status = traitgraph.status(measured)
    assert (status.ok, status.failures) == (True, ())
    assert {each.kind: each.present for each in status.kinds}["assess"] == 2
    assert status.missing == measured.counts.missing - 2
