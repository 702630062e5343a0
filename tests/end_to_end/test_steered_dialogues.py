"""The example of steered dialogues, with a tiny model in place of the real one and few steps."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model

from .commands import CommandLine

ROOT = Path(__file__).parents[2]
SMALLER = {
    "model: smollm2-135m": "model: ./model",
    "steps: 12, batch_size: 6": "steps: 2, batch_size: 2",
    "max_new_tokens: 40": "max_new_tokens: 6",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spec = (ROOT / "examples" / "steered_dialogues.yaml").read_text()
    for old, new in SMALLER.items():
        assert old in spec
        spec = spec.replace(old, new)
    (tmp_path / "study.yaml").write_text(spec)
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "data")
    save_tiny_model(tmp_path / "model")
    return tmp_path


def test_experts_are_trained_dialogues_written_and_models_trained_on_them(
    traitgraph: CommandLine, folder: Path
) -> None:
    """Every scene is answered under each pull; a second run finds all of it."""
    done = traitgraph("run", "study.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (folder / ".traitgraph/generate").glob("*/generation.json")]
    assert sorted((record["level"], record["scenarios"]) for record in records) == [
        ("high", 32),
        ("high", 32),
        ("low", 32),
        ("low", 32),
    ]
    assert all(record["written"] + len(record["empty"]) == 32 for record in records)
    printed = traitgraph("results", "study.yaml", "--csv", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    subjects = {
        (row["arm"], row["method"], row["data.gamma"], row["level"]) for row in rows if row["metric"] == "extraversion"
    }
    assert {subject[:2] for subject in subjects} == {("base", "direct"), ("tuned", "sft")}
    assert len(subjects) == 5
    again = traitgraph("run", "study.yaml", cwd=folder)
    assert "16 in .traitgraph, 0 to run" in again.stderr
