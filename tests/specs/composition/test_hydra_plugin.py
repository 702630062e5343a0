"""What other Hydra applications see of us, each in a process of its own, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.specs.files import write

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

LAUNCHER = """\
from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher


class Other(Launcher):
    def setup(self, *, hydra_context, task_function, config): pass
    def launch(self, job_overrides, initial_job_idx): return []


ConfigStore.instance().store(group="hydra/launcher", name="other", node={"_target_": "hydra_plugins.other.Other"})
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


@pytest.mark.parametrize("typed", [(), ("hydra.sweeper.params.alpha='0.5,1.0,2.0'",)])
def test_the_sweep_of_the_file_is_made(application: Path, typed: tuple[str, ...]) -> None:
    block = "hydra: {sweeper: {params: {alpha: '0.5,1.0'}}}\n"
    (application / "study.yaml").write_text(STUDY + block)
    done = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=plan", *typed)
    assert done.returncode == 0, done.stderr
    arms = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  vector+")]
    assert arms == ["vector+alpha=0.5", "vector+alpha=1.0", "vector+alpha=2.0"][: 3 if typed else 2]


def test_what_is_typed_takes_the_place_of_the_sweep_of_the_file(application: Path) -> None:
    (application / "study.yaml").write_text(STUDY + "hydra: {sweeper: {params: {alpha: '0.5,1.0'}}}\n")
    done = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=plan", "alpha=3,4")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  vector+")] == [
        "vector+alpha=3",
        "vector+alpha=4",
    ]


def test_a_key_that_the_sweep_of_the_file_adds_may_be_typed_too(application: Path) -> None:
    (application / "study.yaml").write_text(STUDY + "hydra: {sweeper: {params: {+gamma: '0.5,1.0'}}}\n")
    done = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=check", "+description=a,b")
    both = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=check", "+gamma=3,4")
    assert "takes the place" not in done.stderr + both.stderr


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("hydra/launcher=other", "hydra/launcher=other"),
        ("+hydra.sweeper.max_batch_size=3", "hydra.sweeper.max_batch_size"),
    ],
)
def test_settings_that_the_sweeper_does_not_use_are_refused_by_name(application: Path, setting: str, told: str) -> None:
    (application / "hydra_plugins").mkdir()
    (application / "hydra_plugins" / "other.py").write_text(LAUNCHER)
    done = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=plan", setting, "alpha=1,2")
    assert done.returncode == 2
    assert f"traitgraph does not use {told}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_next_step_that_is_printed_is_one_of_the_application(application: Path) -> None:
    done = start(application, "-m", "hydra/sweeper=traitgraph", "hydra.sweeper.command=plan", "alpha=1,2")
    (step,) = [line.partition("next: ")[2] for line in done.stderr.splitlines() if "next: " in line]
    assert step.startswith("python app.py -m ")
    assert step.endswith("hydra.sweeper.command=run")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as in an activated environment
    again = subprocess.run(
        ["sh", "-c", step.replace("=run", "=check")], cwd=application, env={**os.environ, "PATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
