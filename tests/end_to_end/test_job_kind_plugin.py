"""A kind of job of another package is planned, packed, run, reported and asked for like one of ours."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model

from .commands import command, environment

STUDY = """\
study: noisy
model: ./model
traits: [extraversion]
benchmarks: [mini-ipip]
sampling: {temperature: 0.6, repeats: 1}
cluster: {kinds: {disturb: {minutes: 5}}}
arms:
  base: {method: direct}
  noise: {method: {kind: noise, size: 0.3}}
"""
POINTS = """\
[traitgraph.methods]
noise = job_kind_plugin:Noise
[traitgraph.lowerings]
noise = job_kind_plugin:lower_noise
"""
KIND = "[traitgraph.jobs]\ndisturb = job_kind_plugin:DISTURB\n"


def installed(folder: Path, points: str) -> dict[str, str]:
    """An environment in which the package stands, with these entry points."""
    info = folder / "site" / "noise-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noise\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    shutil.copy(Path(__file__).with_name("job_kind_plugin.py"), info.parent)
    return {**environment(), "PYTHONPATH": str(info.parent)}


def call(folder: Path, points: str, *words: object) -> subprocess.CompletedProcess[str]:
    environment = installed(folder, points)
    return subprocess.run(
        command(*words), cwd=folder, env=environment, capture_output=True, text=True, timeout=540, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tiny_model(tmp_path / "model")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def test_it_is_planned_run_and_told_like_one_of_ours(folder: Path) -> None:
    points = POINTS + KIND
    planned = json.loads(call(folder, points, "plan", "study.yaml", "--json").stdout)
    assert planned["counts"]["by_kind"] == {"disturb": 2, "assess": 3, "collect": 1}
    assert planned["without_runtime"] == []
    assert [task["id"] for task in planned["tasks"]][:2] == ["01-disturb-000", "02-assess-000"]

    done = call(folder, points, "run", "study.yaml")
    assert done.returncode == 0, done.stderr
    status = call(folder, points, "status", "study.yaml")
    assert status.returncode == 0, status.stderr
    assert "disturb" in status.stdout
    rows = list(csv.DictReader(io.StringIO(call(folder, points, "results", "study.yaml", "--csv").stdout)))
    scores = {row["level"]: row["value"] for row in rows if row["metric"] == "extraversion.expected"}
    assert len(set(scores.values())) == 3, "the noise reached the weights, drawn anew for each level"
    report = (folder / ".traitgraph" / "reports" / "noisy" / "report.html").read_text(encoding="utf-8")
    assert "disturb" in report


def test_a_method_whose_kind_of_job_no_package_gives_is_refused(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY.replace("cluster: {kinds: {disturb: {minutes: 5}}}\n", ""))
    refused = call(folder, POINTS, "plan", "study.yaml")
    assert refused.returncode == 2
    assert "no package gives the job kind `disturb` (entry-point group traitgraph.jobs)" in refused.stderr
    refused = call(folder, POINTS + KIND.replace("DISTURB", "disturb"), "plan", "study.yaml")
    assert "the entry point 'disturb' (group traitgraph.jobs) must name the JobKind 'disturb', not" in refused.stderr
