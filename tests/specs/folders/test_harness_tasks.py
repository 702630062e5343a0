"""Built-in tasks are keyed by the release and the files that define them, and found without importing the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from traitgraph.cli.main import main
from traitgraph.specs.folders.harness_tasks import family_of, harness_identity, tasks_folder

SPEC = "study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [{{{task}}}]\n"
INSTALLED = tasks_folder()


def installed(folder: Path, release: str, shots: int) -> Path:
    """A harness of another release: its metadata, and one task."""
    tasks = folder / "lm_eval" / "tasks" / "gsm8k"
    tasks.mkdir(parents=True)
    (folder / "lm_eval" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tasks / "gsm8k.yaml").write_text(f"task: gsm8k\nnum_fewshot: {shots}\n")
    information = folder / f"lm_eval-{release}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lm_eval\nVersion: {release}\n")
    return folder


def planned(tmp_path: Path, first: Path) -> tuple[str, str]:
    """Key and identity of gsm8k with a folder first on the path."""
    spec, plan = tmp_path / "s.yaml", tmp_path / "plan.json"
    spec.write_text(SPEC.format(task="kind: gsm8k"))
    command = [
        sys.executable,
        "-m",
        "traitgraph",
        "plan",
        str(spec),
        "-o",
        str(plan),
        "--store",
        str(tmp_path / "store"),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{first}{os.pathsep}{Path(__file__).parents[3]}"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    rows = json.loads(plan.read_text())["table"]["rows"]
    (found,) = [row for row in rows if row["kind"] == "assess"]
    return found["key"], found["params"]["benchmark"]["harness"]


def test_another_release_and_another_definition_are_other_jobs(tmp_path: Path) -> None:
    places = [
        installed(tmp_path / "a", "0.4.13", 5), installed(tmp_path / "b", "0.4.14", 5),
        installed(tmp_path / "c", "0.4.13", 8), installed(tmp_path / "d", "0.4.13", 5),
    ]  # fmt: skip
    first, release, definition, again = (planned(tmp_path, place) for place in places)
    assert first[1].startswith("lm_eval 0.4.13 ")
    assert len({first[0], release[0], definition[0]}) == 3
    assert again == first


def test_without_the_harness_the_plan_says_that_no_release_is_keyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("traitgraph.specs.source.library.find_spec", lambda name: None)
    harness_identity.cache_clear()
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC.format(task="kind: lm_eval, task: anything_at_all"))
    assert main(["plan", str(spec), "--store", str(tmp_path / "store")]) == 0
    told = "lm-eval is not installed here: the keys of these tasks name no release of it: anything_at_all"
    assert told in capsys.readouterr().err
    harness_identity.cache_clear()


@pytest.mark.parametrize("family", ["arc", "glue", "gsm8k", "leaderboard", "super_glue", "truthfulqa"])
def test_names_read_from_text_are_those_of_the_harness_own_index(family: str) -> None:
    from lm_eval.tasks import TaskManager

    assert INSTALLED is not None
    known = TaskManager(include_path=str(INSTALLED / family), include_defaults=False).all_tasks
    assert known
    assert {name for name in known if family_of(INSTALLED, name) is None} == set()
    assert family_of(INSTALLED, known[0]) is not None


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("kind: lm_eval, task: arc_chalenge", ["no task or group 'arc_chalenge'", "near: arc_challenge"]),
        ("kind: gsm8k, filters: [strikt-match]", ["unknown filter 'strikt-match'", "near: strict-match"]),
        ("kind: arc_easy, filters: [strict-match]", ["unknown filter 'strict-match'", "there are: none"]),
    ],
)
def test_a_slip_in_a_built_in_task_or_filter_is_told_at_its_place(
    task: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC.format(task=task))
    for command in (["check", str(spec)], ["run", str(spec), "--store", str(tmp_path / "store")]):
        assert main(command) == 2
        text = capsys.readouterr().err
        assert [words for words in [*told, "s.yaml:4:"] if words not in text] == []
    assert not (tmp_path / "store").exists()


def test_worked_examples_that_a_task_fixes_at_none_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC.format(task="kind: truthfulqa_mc2, shots: 3"))
    assert main(["check", str(spec)]) == 0
    text = capsys.readouterr().err
    assert "warning[TG214]: `shots: 3` has no effect on truthfulqa_mc2: the task fixes 0, as in lm-eval" in text


@pytest.mark.parametrize(
    "task", ["kind: gsm8k, filters: [strict-match]", "kind: gsm8k, shots: 3", "kind: mmlu, shots: 5"]
)
def test_what_the_harness_knows_is_no_fault(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC.format(task=task))
    assert main(["check", str(spec)]) == 0
    assert "no faults" in capsys.readouterr().err


def test_a_file_with_fewer_examples_than_shots_is_told_by_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "q.jsonl").write_text('{"q": "a"}\n{"q": "b"}\n')
    (folder / "t.yaml").write_text(
        "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: q.jsonl, train: q.jsonl}}\n"
        "test_split: test\nfewshot_split: test\n"
    )
    spec = tmp_path / "s.yaml"
    for shots, fewshot, code in ((1, "test", 0), (2, "test", 2), (2, "train", 0), (3, "train", 2)):
        text = (folder / "t.yaml").read_text()
        (folder / "t.yaml").write_text(f"{text.rpartition('fewshot_split')[0]}fewshot_split: {fewshot}\n")
        spec.write_text(SPEC.format(task=f"kind: lm_eval, task: t, folder: ./tasks, shots: {shots}"))
        assert main(["check", str(spec)]) == code
        told = f"`shots: {shots}` needs {shots + (fewshot == 'test')} examples, there are 2"
        assert (told in capsys.readouterr().err) == bool(code)
