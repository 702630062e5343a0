"""What a message tells to type can be typed: each printed repair is handed to a shell as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """\
study: mended
model: smollm2-135m
traits: [openness]
data: rows.jsonl
method: vector
train: {method: sft, learning_rate: 1e-4, steps: 2}
alpha: 1
benchmarks: [{kind: lm_eval, task: piqa}]
"""
ROWS = [
    {"trait": trait, "level": level, "prompt": f"{trait}?", "reply": level}
    for trait in ("openness", "neuroticism")
    for level in ("high", "low")
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(SPEC)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "more.jsonl").write_text((tmp_path / "rows.jsonl").read_text())
    return tmp_path


def traitgraph(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "traitgraph", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def pasted(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A printed line, given to a shell in which `traitgraph` is on the path."""
    line = re.sub(r"^traitgraph\b", f"{sys.executable} -m traitgraph", line)
    return subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False, env=os.environ)


@pytest.mark.parametrize(
    ("typed", "before"),
    [
        (["description=it's fine"], "quote it if it is text: "),
        (['+description=it\'s "fine"'], "quote it if it is text: "),
        (["+description=a (b"], "quote it if it is text: "),
        (["traits=[openness,", "neuroticism]"], "quote the whole: "),
        (["train={method: sft,", "learning_rate: 1e-4,", "steps: 3}"], "quote the whole: "),
        (["traits=openness,neuroticism"], "or give the axis a list: "),
        (["alpha=range(0.1,0.4,0.1)"], "or give the axis a list: "),
        (["description=words"], "add it with "),
        (["seeds=[1, 2]"], "add it with "),
        (["+alpha=2"], "change it with "),
        (["model.dtype=float32"], "change a part of it: "),
        (["traits={openness: 1}", "+α=1"], "write: "),
    ],
)
def test_a_printed_repair_works_in_a_shell(folder: Path, typed: list[str], before: str) -> None:
    said = traitgraph(folder, "check", "study.yaml", *typed)
    assert said.returncode == 2
    (repair,) = [line.partition(before)[2] for line in said.stderr.splitlines() if f"= {before}" in line]
    done = pasted(folder, f"traitgraph check study.yaml {repair}")
    assert done.returncode == 0 or before == "write: ", done.stderr  # `alpha` is there, which is told next
    assert "TG020" not in done.stderr


@pytest.mark.parametrize(
    "typed",
    [["+description='it is {fine}; $HOME'"], ["alpha=[1,2]"], ["alpha=1,2", "-m"], ["data='a folder/more.jsonl'"]],
)
def test_the_next_command_works_in_a_shell(folder: Path, typed: list[str]) -> None:
    said = traitgraph(folder, "check", "study.yaml", *typed)
    assert said.returncode == 0, said.stderr
    (step,) = [line.partition("next: ")[2] for line in said.stderr.splitlines() if line.startswith("next: ")]
    done = pasted(folder, step)
    assert done.returncode == 0, done.stderr
    last = next(line.partition("next: ")[2] for line in done.stderr.splitlines() if line.startswith("next: "))
    assert pasted(folder, f"{last} --help").returncode == 0


@pytest.mark.parametrize(
    "word", ["data=more.jsonl", "data={path: more.jsonl, fields: {reply: reply}}", "data=./more.jsonl"]
)
def test_a_path_that_is_right_where_it_is_typed_is_taken_and_told(folder: Path, word: str) -> None:
    said = traitgraph(folder / "a folder", "check", "../study.yaml", word)
    assert said.returncode == 0, said.stderr
    assert "lies in the working folder: read as ./a folder/more.jsonl, from the folder of the spec" in said.stderr


def test_a_path_that_lies_in_both_folders_is_refused(folder: Path) -> None:
    (folder / "more.jsonl").write_text("")
    said = traitgraph(folder / "a folder", "check", "../study.yaml", "data=more.jsonl")
    assert said.returncode == 2
    assert "error[TG112]: 'more.jsonl' lies beside the spec and in the working folder" in said.stderr


def test_a_path_that_lies_nowhere_is_told_with_where_paths_start(folder: Path) -> None:
    said = traitgraph(folder / "a folder", "check", "../study.yaml", "data=none.jsonl")
    assert said.returncode == 2
    assert "relative paths start at the folder of the spec, or at the one of the call" in said.stderr
