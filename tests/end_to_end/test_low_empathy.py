"""The example of background, pressure and empathy, with a tiny model in place of the real one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.tiny_model import save_tiny_model

from .commands import CommandLine

ROOT = Path(__file__).parents[2]
CONTEXTS = ["plain", "cherished", "neglected", "pressed", "cherished-pressed", "neglected-pressed"]


def test_every_subject_is_measured_in_every_context(traitgraph: CommandLine, tmp_path: Path) -> None:
    """Contexts reach the model: no two of them give one score, and only `plain` is the study without them."""
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "data")
    save_tiny_model(tmp_path / "model")
    spec = (ROOT / "examples" / "low_empathy.yaml").read_text().replace("smollm2-135m ", "./model ")
    (tmp_path / "study.yaml").write_text(spec)
    done = traitgraph("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(traitgraph("results", "study.yaml", "--json", cwd=tmp_path).stdout)
    scores = {(row["arm"], row["level"], row["context"]): row["value"] for row in rows if row["metric"] == "empathy"}
    subjects = [("base", None), ("told", "high"), ("told", "low")]
    assert set(scores) == {(*subject, context) for subject in subjects for context in CONTEXTS}
    assert len(set(scores.values())) == len(scores)
    chosen = traitgraph("results", "study.yaml", "--select", "context=neglected,arm=told", "--json", cwd=tmp_path)
    assert {row["context"] for row in json.loads(chosen.stdout)} == {"neglected"}
    (tmp_path / "alone.yaml").write_text(spec[: spec.index("contexts:")] + spec[spec.index("data:") :])
    again = traitgraph("run", "alone.yaml", cwd=tmp_path)
    assert "3 in .traitgraph" in again.stderr, "what was measured under `plain` is found"
