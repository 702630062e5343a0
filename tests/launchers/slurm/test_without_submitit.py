"""Where submitit is not installed the commands about SLURM say what to install; no SLURM is needed for that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from traitgraph.cli.main import main
from traitgraph.launchers.slurm.site.scheduler import SchedulerError
from traitgraph.launchers.slurm.submit.export import export
from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError, launch
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store

from .studies import CLUSTER, chain, run_of

SPEC = str(Path(__file__).parents[3] / "examples" / "quickstart.yaml")
HINT = "pip install 'traitgraph[slurm]'"


@pytest.fixture(autouse=True)
def without_submitit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)


@pytest.mark.parametrize(
    "words",
    [("run", "--launcher", "slurm"), ("doctor",), ("wait",), ("retry",), ("cancel",)],
    ids=lambda words: words[0],
)
def test_a_command_about_slurm_ends_with_2_and_says_what_to_install(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = words
    assert main([name, SPEC, "+cluster=one-gpu", "--store", str(tmp_path), *options]) == 2
    assert HINT in capsys.readouterr().err


def test_scripts_can_be_looked_at_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", SPEC, "+cluster=one-gpu", "--store", str(tmp_path), "--launcher", "slurm", "--dry-run"]
    assert main(words) == 0
    assert "#!/bin/bash" in capsys.readouterr().out


def test_the_status_of_a_run_is_told_from_its_files(store: Store, trace: Path, tmp_path: Path) -> None:
    status = read_status(store, run_of(export(chain(trace), store, CLUSTER, tmp_path / "exported").parent))
    assert HINT in status.notes[0]
    assert {task.state for task in status.tasks} == {"later"}


def test_a_launch_from_python_is_refused_with_the_same_words(
    store: Store, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").write_text("")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises((SubmissionRefusedError, SchedulerError), match=r"traitgraph\[slurm\]"):
        launch(chain(trace), store, CLUSTER)
