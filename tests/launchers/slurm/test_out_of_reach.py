"""Commands about a SLURM run on a machine that has no SLURM end with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.cli.main import main
from traitgraph.launchers.slurm.site.scheduler import is_installed

from .reach import lacking

SPEC = str(Path(__file__).parents[3] / "examples" / "quickstart.yaml")


def test_cancel_says_that_slurm_cannot_be_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_installed():
        lacking("submitit is not installed")
    words = [SPEC, "+cluster=one-gpu", "--store", str(tmp_path)]
    run = tmp_path / "runs" / "by-hand"
    assert main(["run", *words, "--launcher", "slurm", "--export", str(run)]) == 0
    monkeypatch.setenv("PATH", "/nowhere")
    capsys.readouterr()
    assert main(["cancel", *words]) == 2
    assert capsys.readouterr().err.startswith("traitgraph cancel: no squeue on the PATH: ")
