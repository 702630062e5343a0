"""A file that is no study is told as what it is, with the command that takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.cli.main import main

STUDY = "study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [mini-ipip]\n"
RECIPE = "base: ./llama\nvectors: [{model: ./tuned}]\n"
MERGEKIT = "merge_method: linear\nmodels: [{model: ./a}, {model: ./b}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {"study.yaml": STUDY, "recipe.yaml": RECIPE, "kit.yaml": MERGEKIT}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["plan", "study.yaml", "-o", "plan.json"]) == 0
    assert main(["lock", "study.yaml", "-o", "lock.json"]) == 0
    capsys.readouterr()
    return tmp_path


@pytest.mark.parametrize(
    ("call", "told", "next_call"),
    [
        ("check plan.json", "plan.json is a saved plan, not a study", "run plan.json"),
        ("plan plan.json", "plan.json is a saved plan, not a study", "run plan.json"),
        ("status plan.json", "plan.json is a saved plan, not a study", "run plan.json"),
        ("merge plan.json -o out", "plan.json is a saved plan, not a recipe for one merge", "run plan.json"),
        ("run lock.json", "lock.json is a lock, not a study", "lock SPEC --check -o lock.json"),
        ("check recipe.yaml", "recipe.yaml is a recipe for one merge, not a study", "merge recipe.yaml -o DIR"),
        ("plan kit.yaml alpha=1", "kit.yaml is a recipe of mergekit's, not a study", "merge kit.yaml -o DIR"),
        ("merge study.yaml -o out", "study.yaml is a study, not a recipe for one merge", "run study.yaml"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_another_file_of_ours_is_one_error(
    call: str, told: str, next_call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(call.split()) == 2
    said = capsys.readouterr().err
    assert said.count("error[") == 1
    assert f"error[TG012]: {told}\n" in said
    assert f"traitgraph {next_call}\n" in said


@pytest.mark.usefixtures("folder")
def test_a_study_may_be_written_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("study.json").write_text(
        '{"study": "s", "model": "smollm2-135m", "method": "direct", "benchmarks": ["mini-ipip"]}', encoding="utf-8"
    )
    assert main(["check", "study.json"]) == 0
