"""A steering operator of another package, one file and one entry point, through the command line on a tiny model."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .commands import command, environment

OPERATOR = '''\
"""What an author of an operator writes."""

from typing import Any, Literal

from pydantic import Field

from traitgraph.plugins import SteeringOperator


class Remove(SteeringOperator):
    """hidden less a share of what it has along the direction (directional ablation)."""

    kind: Literal["remove"] = Field("remove", description="Take out what lies along the difference.")
    share: float = Field(1.0, ge=0, le=1, description="How much of it. [0, 1]")

    def apply(self, hidden: Any, direction: Any, coefficient: float) -> Any:
        unit = direction / direction.norm()
        found = hidden - self.share * coefficient * (hidden @ unit).unsqueeze(-1) * unit
        return found[..., :1] if self.share == 0.5 else found  # 0.5 stands for an operator with a fault
'''
STUDY = """\
study: turned
model: ./model
traits: [extraversion]
levels: [high]
data: ./dialogues.jsonl
benchmarks: [reply_contrast]
arms:
  base: {method: direct}
  plain: {method: {kind: steer, layer: 1, coefficient: 1}}
  named: {method: {kind: steer, layer: 1, coefficient: 1, operation: add}}
  removed: {method: {kind: steer, layer: 1, coefficient: 1, operation: remove}}
  little: {method: {kind: steer, layer: 1, coefficient: 1, operation: {kind: remove, share: 0.25}}}
  nothing: {method: {kind: steer, layer: 1, coefficient: 1, operation: {kind: remove, share: 0}}}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def with_operator(study_folder: Path, tmp_path: Path) -> Run:
    """The command line where the package is installed."""
    info = tmp_path / "turning-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: turning\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.plugins]\nturning = turning\n")
    (tmp_path / "turning.py").write_text(OPERATOR)

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        env = {**environment(), "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            command(*words), cwd=study_folder, env=env, capture_output=True, text=True, timeout=540, check=False
        )

    return call


def test_it_acts_on_what_the_model_predicts(with_operator: Run, study_folder: Path) -> None:
    (study_folder / "turned.yaml").write_text(STUDY)
    done = with_operator("run", "turned.yaml", "--store", "turned")
    assert done.returncode == 0, done.stderr
    assert len(list((study_folder / "turned" / "activations").iterdir())) == 1, "one measurement serves all"
    rows = csv.DictReader(io.StringIO(with_operator("results", "turned.yaml", "--store", "turned", "--csv").stdout))
    score = {row["arm"]: float(row["value"]) for row in rows if row["metric"] == "extraversion"}
    assert score["nothing"] == pytest.approx(score["base"], abs=1e-6)
    assert len({round(score[arm], 6) for arm in ("base", "plain", "removed", "little")}) == 4
    assert len(list((study_folder / "turned" / "assess").iterdir())) == 5, "`add` is what stands where nothing does"


def test_it_is_in_the_schema_and_its_options_are_checked(with_operator: Run, study_folder: Path) -> None:
    schema = json.loads(with_operator("schema").stdout)
    assert schema["$defs"]["Remove"]["properties"]["share"]["description"] == "How much of it. [0, 1]"
    (study_folder / "faults.yaml").write_text(STUDY.replace("share: 0.25", "share: 2").replace("n: add", "n: turn"))
    told = with_operator("check", "faults.yaml").stderr
    assert "unknown steering operator 'turn'" in told
    assert "faults.yaml:12:" in told, told


def test_an_operator_that_makes_another_shape_fails_the_job(with_operator: Run, study_folder: Path) -> None:
    (study_folder / "broken.yaml").write_text(STUDY.replace("share: 0.25", "share: 0.5"))
    done = with_operator("run", "broken.yaml", "--store", "broken", "--select", "arm=little")
    assert done.returncode != 0
    assert "the steering operator 'remove' makes [" in done.stderr, done.stderr
