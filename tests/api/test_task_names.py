"""A built-in task that the installed lm-eval does not have stops a run before its first job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from traitgraph.api.preflight import check_tasks
from traitgraph.cli.main import main
from traitgraph.specs.jobs.params import JobRow, JobTable
from traitgraph.specs.source.hashing import digest


def table_of(tasks: Sequence[str], definition: str | None = None) -> JobTable:
    rows = tuple(
        JobRow(
            key=digest("row", task),
            kind="assess",
            version=1,
            params={"benchmark": {"kind": "lm_eval", "task": task, "definition": definition}},
            inputs={},
            label=task,
        )
        for task in tasks
    )
    return JobTable(study="s", locations={}, rows=rows, tasks=())


def test_tasks_and_groups_of_the_harness_are_known() -> None:
    check_tasks(table_of(["arc_easy", "openbookqa", "mmlu_anatomy", "leaderboard"]))


def test_a_task_with_a_folder_is_not_looked_up_in_the_harness() -> None:
    check_tasks(table_of(["arc_easyy"], definition=digest("path", "x")))


def test_an_unknown_task_is_refused_with_near_names_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text("study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: {kind: lm_eval, task: arc_easyy}\n")
    assert main(["run", str(spec), "--store", str(tmp_path / "store")]) == 2
    assert "no task or group 'arc_easyy'" in capsys.readouterr().err
    assert not (tmp_path / "store" / "runs").exists()
