"""Every command of docs/slurm.md, in its order, on a real SLURM; and the results are those of a local run.

The study is `examples/quickstart.yaml` itself, with a tiny model in place of the real one and two steps of training.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import save_tiny_model
from traitgraph.launchers.slurm.layout.script import PROBE_MINUTES

from .cluster import SlurmCluster

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "slurm.md").read_text()
SMALLER = ("train.steps=2", "train.batch_size=2", "sampling.repeats=1")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(blocks("console")).splitlines()
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The quickstart study with its data, the document's cluster file, and a tiny model."""
    spec = (ROOT / "examples" / "quickstart.yaml").read_text()
    changes = {
        "smollm2-135m": "./model",
        "steps: 12, batch_size: 6": "steps: 2, batch_size: 2",
        "repeats: 5": "repeats: 1",
    }
    for old, new in changes.items():
        assert spec.count(old) == 1
        spec = spec.replace(old, new)
    cluster, named = blocks("yaml")
    (tmp_path / "study.yaml").write_text(spec + named)
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "my-cluster.yaml").write_text(cluster)
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "data")
    save_tiny_model(tmp_path / "model")
    return tmp_path


def call(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    if words[0] == "traitgraph":
        words = [sys.executable, "-m", *words]
    patient = "--watch" in words or "wait" in words
    return subprocess.run(
        [*words, *(["--every", "1"] if patient else [])],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_document_takes_a_user_from_the_doctor_to_the_report(slurm: SlurmCluster, folder: Path) -> None:
    local = call(["traitgraph", "run", "study.yaml", "--store", "here"], folder)
    assert local.returncode == 0, local.stderr
    expected = call(["traitgraph", "results", "study.yaml", "--csv", "--store", "here"], folder)
    for words in commands():
        done = call(words, folder)
        if words[1] == "doctor":
            only_gpus_are_pretended(json.loads(call([*words, "--json"], folder).stdout))
            continue
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        if words[1] == "results":
            assert done.stdout == expected.stdout
            assert len(done.stdout.splitlines()) > 300
        if words[1] == "report":
            assert (folder / done.stdout.strip()).is_file()


def only_gpus_are_pretended(said: dict[str, Any]) -> None:
    """The document's tasks ask for a GPU, and torch finds that those of the test's nodes are none."""
    assert {"name", "ok", "found", "repair"} == said["checks"][0].keys()
    assert {check["name"] for check in said["checks"] if not check["ok"]} <= {"GPUs"}, said


def test_the_document_names_every_command_about_runs() -> None:
    named = {words[1] for words in commands() if words[0] == "traitgraph"}
    assert {"doctor", "plan", "run", "status", "logs", "wait", "retry", "cancel", "results", "report"} <= named


def test_the_document_says_what_a_probe_asks_for() -> None:
    assert PROBE_MINUTES == 5
    assert "asks for five minutes" in DOCUMENT


@pytest.mark.parametrize("name", ["one-gpu", "four-gpus", "mig", "no-accounting", "preemptible"])
def test_each_cluster_file_that_ships_with_us_is_named_and_gives_scripts(name: str, folder: Path) -> None:
    assert f"`{name}`" in DOCUMENT
    done = call(["traitgraph", "run", "study.yaml", f"cluster={name}", "--launcher", "slurm", "--dry-run"], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("#!/bin/bash") == 3
