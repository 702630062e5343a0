"""What other Hydra applications see of us, each in a process of its own, as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import write

APPLICATION = """\
import sys
import hydra


@hydra.main(config_path=".", config_name="study", version_base="1.3")
def main(config):
    print(config.model.id if "id" in config.model else config.model)
    ours = {name for name in sys.modules if name.startswith("traitgraph.")}
    sys.exit(bool(ours - {"traitgraph.specs", "traitgraph.specs.library"}))


main()
"""
STUDY = """\
defaults:
  - model: llama-3.1-8b-instruct
  - _self_
study: swept
traits: [openness]
data: big5-chat
method: vector
train: {method: sft, learning_rate: 1e-5, epochs: 1}
alpha: 1
benchmarks: [mini-ipip]
"""


@pytest.fixture
def application(folder: Path) -> Path:
    """A Hydra application whose primary config is a spec."""
    write(folder, {"study.yaml": STUDY, "app.py": APPLICATION})
    return folder


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", *arguments, "hydra.run.dir=out", "hydra.sweep.dir=out"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_any_application_finds_our_presets_and_imports_nothing_of_ours(application: Path) -> None:
    done = start(application)
    assert (done.returncode, done.stdout.strip()) == (0, "meta-llama/Llama-3.1-8B-Instruct"), done.stderr


def test_the_sweeper_compiles_all_members_into_one_graph(application: Path) -> None:
    """Three alphas of ten vectors: the training of each vector is one job, not three."""
    done = start(
        application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=plan", "alpha=range(0.1,0.4,0.1)"
    )
    assert done.returncode == 0, done.stderr
    counts = {line.split()[0]: line for line in done.stdout.splitlines() if line.split()}
    assert "2" in counts["train"].split()
    assert "6" in counts["merge"].split()


def test_the_sweeper_leaves_with_our_exit_code_and_message(application: Path) -> None:
    done = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=check", "+alhpa=1,2")
    assert done.returncode == 2
    assert "near: alpha" in done.stderr
    assert "Traceback" not in done.stderr
