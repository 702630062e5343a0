"""What a user meets before anything runs: help, exit codes, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from traitgraph.cli.main import COMMANDS

WRONG = """\
study: wrong
modle: smollm2-135m
traits: [extravertion]
method: vector
alpha: {from: 0, to: 1, stp: 0.1}
"""


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "traitgraph", *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_environment_names_the_store_and_the_call_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAITGRAPH_STORE", "mine")
    call("init", cwd=tmp_path)
    assert "no log of study study in mine" in call("logs", "study.yaml", "x", cwd=tmp_path).stderr
    assert "in yours" in call("logs", "study.yaml", "x", "--store", "yours", cwd=tmp_path).stderr
    monkeypatch.setenv("HOME", "/my/home")
    assert "in /my/home/x" in call("logs", "study.yaml", "x", "--store=~/x", cwd=tmp_path).stderr
    assert (
        "in ~nobody-has-this-name/x"
        in call("logs", "study.yaml", "x", "--store", "~nobody-has-this-name/x", cwd=tmp_path).stderr
    )


def test_logs_of_an_unknown_job_names_its_neighbours(tmp_path: Path) -> None:
    call("init", cwd=tmp_path)
    misspelt = call("logs", "study.yaml", "asess mini-ippi very extraversion", cwd=tmp_path)
    assert misspelt.returncode == 2
    assert "very extraversion'\n  near: assess mini-ipip prompt " in misspelt.stderr
    not_run = call("logs", "study.yaml", "assess mini-ipip", cwd=tmp_path).stderr
    assert "no run of this store has had it to do" in not_run


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = call("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert all(f"  {name} " in shown.stdout for name in COMMANDS)


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    from traitgraph import __version__

    shown = call("--version", cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (0, f"traitgraph {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, tmp_path: Path) -> None:
    shown = call(name, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"usage: traitgraph {name} ")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["schema"]])
def test_output_that_nobody_reads_is_no_failure(words: list[str], tmp_path: Path) -> None:
    """As in `traitgraph --help | head -1`, when head is gone first."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "traitgraph", *words], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_spec_in_place_of_a_command_is_told_the_command(tmp_path: Path) -> None:
    refused = call("my talk.yaml", "alpha=1", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        "traitgraph: 'my talk.yaml' is a spec, and no command; next: traitgraph run 'my talk.yaml' alpha=1\n"
    )


@pytest.mark.parametrize("name", ["talk", "talk.yaml", "talk.yml"])
def test_init_takes_the_name_of_the_study_or_of_its_file(name: str, tmp_path: Path) -> None:
    assert call("init", name, cwd=tmp_path).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"talk.yaml", "traitgraph.schema.json"}
    assert "\nstudy: talk\n" in "\n" + (tmp_path / "talk.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a/b"], "not a name for a study: 'a/b'; use letters, digits, '-', '_' and '.'"),
        (["taken"], "taken.yaml is there already; choose another name"),
        (["new", "--folder", "taken.yaml/studies"], "cannot make taken.yaml/studies: Not a directory"),
    ],
)
def test_init_says_why_it_writes_nothing(words: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "taken.yaml").write_text("mine")
    refused = call("init", *words, cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (2, f"traitgraph init: {told}\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("taken.yaml", "mine")]


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        (None, "cannot read the lock study.lock.json: No such file or directory; write it without --check"),
        ("{", "cannot read the lock study.lock.json: Expecting property name"),
        ("[]", "study.lock.json is no lock; write it without --check"),
    ],
)
def test_what_is_no_lock_is_compared_with_nothing(lock: str | None, told: str, tmp_path: Path) -> None:
    """Exit code 2, not the 1 of a difference."""
    call("init", cwd=tmp_path)
    if lock is not None:
        (tmp_path / "study.lock.json").write_text(lock)
    refused = call("lock", "study.yaml", "--check", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"traitgraph lock: {told}")


def test_results_of_nothing_are_no_success(tmp_path: Path) -> None:
    call("init", cwd=tmp_path)
    for form in ("--csv", "--json"):
        refused = call("results", "study.yaml", form, "--store", "mine", cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == (
            "traitgraph results: no result of study is in mine; next: traitgraph run study.yaml --store mine\n"
        )


def test_a_home_folder_is_found_wherever_a_path_may_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In overrides, quoted or in a shell that leaves them alone, and in paths of the command line."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "rows.jsonl").write_text('{"trait": "openness"}\n')
    (tmp_path / "study.yaml").write_text("study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [mini-ipip]\n")
    for override in ("model=~/nothing", "model=[~/nothing]", "model={path: ~/nothing}", "model='~/nothing'"):
        told = call("check", "~/study.yaml", override, cwd=tmp_path).stderr
        assert "there is no file or folder '~/nothing'" in told
        assert "rows.jsonl" in told, "what lies there"
    assert call("plan", "study.yaml", "--output=~/saved.json", cwd=tmp_path).returncode == 0
    assert (tmp_path / "saved.json").is_file()


def test_an_unknown_command_is_told_its_neighbour(tmp_path: Path) -> None:
    refused = call("chekc", cwd=tmp_path)
    assert refused.returncode == 2
    assert "near: check" in refused.stderr


def test_all_faults_of_a_file_are_reported_at_once_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    checked = call("check", "wrong.yaml", "--json", cwd=tmp_path)
    assert checked.returncode == 2
    report = json.loads(checked.stdout)
    assert report["ok"] is False
    assert set(report["diagnostics"][0]) == {
        "code", "severity", "message", "file", "line", "column", "path", "hint",
    }  # fmt: skip
    places = {(each["line"], each["column"]) for each in report["diagnostics"]}
    assert {(2, 1), (3, 10), (5, 25)} <= places


@pytest.mark.parametrize("name", ["check", "plan", "run", "status", "results", "report"])
def test_a_wrong_spec_exits_2_with_its_place_and_no_traceback(name: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    refused = call(name, "wrong.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "wrong.yaml:2:1" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / ".traitgraph").exists()


@pytest.mark.parametrize("name", ["check", "plan", "run"])
def test_a_missing_file_exits_2(name: str, tmp_path: Path) -> None:
    refused = call(name, "nowhere.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "nowhere.yaml" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_store_that_cannot_be_used_is_named_and_exits_2(tmp_path: Path) -> None:
    call("init", cwd=tmp_path)
    refused = call("run", "study.yaml", "--store", "study.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"traitgraph run: cannot write to the store {tmp_path / 'study.yaml'}: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_next_command_can_be_copied_into_a_shell(tmp_path: Path) -> None:
    made = call("init", "--folder", "my studies", cwd=tmp_path)
    assert "next: traitgraph plan 'my studies/study.yaml'\n" in made.stderr
    checked = call("check", "my studies/study.yaml", "levels=[high]", cwd=tmp_path)
    assert "next: traitgraph plan 'my studies/study.yaml' 'levels=[high]'\n" in checked.stderr


DATA_STUDY = """\
study: data
model: smollm2-135m
traits: [extraversion]
data: ./rows.jsonl
method: vector
train: {method: sft, learning_rate: 1e-3, steps: 2}
alpha: [1]
benchmarks: [reply_contrast]
"""
ROW = '{"trait": "extraversion", "level": "high", "prompt": "Hello?", "reply": "Hi there."}\n'


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROW, "no training row for extraversion low"),
        (ROW + ROW.replace("high", "low"), "no pair of replies, high and low, for extraversion"),
        (ROW.replace('"level": "high", ', ""), "error[TG212]: `level` is missing\n --> rows.jsonl:1:1\n"),
        ("not JSON\n", "error[TG212]: not JSON: expecting value\n --> rows.jsonl:1:1\n"),
    ],
)
def test_data_that_a_job_would_stumble_over_are_refused_before_the_run(rows: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(DATA_STUDY, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    refused = call("run", "study.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / ".traitgraph").exists()


GENERATING_STUDY = """\
study: generated
model: smollm2-135m
traits: [extraversion]
method: sft
train: {method: sft, learning_rate: 1e-3, steps: 2}
data:
  generate:
    model: smollm2-135m
    scenarios: {path: scenes.jsonl, fields: {prompt: scene}}
    combine: sum
    decoding: {temperature: 0, max_new_tokens: 8}
    expert:
      model: smollm2-135m
      data: rows.jsonl
      train: {method: sft, learning_rate: 1e-3, steps: 2}
      instruction: Hi.
benchmarks: [{kind: lm_eval, task: piqa}]
"""


def test_scenes_and_the_rows_of_experts_are_read_before_the_run(tmp_path: Path) -> None:
    """One expert serves both levels here, so it needs rows of both."""
    (tmp_path / "study.yaml").write_text(GENERATING_STUDY, encoding="utf-8")
    (tmp_path / "scenes.jsonl").write_text('{"scene": "A party."}\n{"narrative": "A train."}\n', encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(ROW, encoding="utf-8")
    refused = call("run", "study.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "error[TG212]: `scene` is missing\n --> scenes.jsonl:2:15\n" in refused.stderr
    assert "rows.jsonl: the data have no training row for extraversion low" in refused.stderr
