"""A tiny study on disk, and the command line as a user calls it: in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.runtime.dialogues import write_dialogues
from tests.tiny_model import save_tiny_model

from .commands import CommandLine, command, environment

STUDY = """\
study: tiny
model: ./model
traits: [extraversion, neuroticism]
levels: [high, low]
data: ./dialogues.jsonl
train: {method: sft, learning_rate: 1e-2, steps: 6, batch_size: 2, max_length: 128, lora: {rank: 4, alpha: 8}}
benchmarks: [reply_contrast, mini-ipip]
sampling: {temperature: 0.6, repeats: 2}
arms:
  base: {method: direct}
  prompt: {method: prompt}
  tuned: {method: sft}
  vectors: {method: vector, alpha: [-1, 0, 0.5, 1]}
"""


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with study.yaml, a tiny model and dialogues."""
    folder = tmp_path_factory.mktemp("study")
    save_tiny_model(folder / "model")
    write_dialogues(folder / "dialogues.jsonl")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def traitgraph(study_folder: Path) -> CommandLine:
    """`traitgraph("plan", "study.yaml")`: run a command in the study's folder and return code and output."""

    def call(*words: object, cwd: Path = study_folder) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=540, check=False
        )

    return call


@pytest.fixture(scope="session")
def undisturbed(traitgraph: CommandLine, study_folder: Path) -> Path:
    """The store of a run that nobody disturbed."""
    store = study_folder / "undisturbed"
    done = traitgraph("run", "study.yaml", "--store", store)
    assert done.returncode == 0, done.stderr
    return store
