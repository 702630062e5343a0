"""The examples of traits outside the Big Five, with a tiny model in place of the real one and few steps."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model

from .commands import CommandLine

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALLER = {
    "own_trait": {
        "smollm2-135m": "./model",
        "steps: 12, batch_size: 6": "steps: 2, batch_size: 2",
        "[10, 15]": "[1, 2]",
    },
    "sac": {"smollm2-135m": "./model", "max_new_tokens: 60": "max_new_tokens: 6"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, changes in SMALLER.items():
        spec = (EXAMPLES / f"{name}.yaml").read_text()
        for old, new in changes.items():
            assert spec.count(old) == 1
            spec = spec.replace(old, new)
        (tmp_path / f"{name}.yaml").write_text(spec)
    for name in ("data", "papers"):
        shutil.copytree(EXAMPLES / name, tmp_path / name)
    save_tiny_model(tmp_path / "model")
    return tmp_path


def rows(traitgraph: CommandLine, spec: str, folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(traitgraph("results", spec, "--csv", cwd=folder).stdout)))


def test_a_trait_of_ones_own_is_told_trained_steered_and_measured(traitgraph: CommandLine, folder: Path) -> None:
    done = traitgraph("run", "own_trait.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    scores = [row for row in rows(traitgraph, "own_trait.yaml", folder) if row["metric"] == "sycophancy"]
    assert {row["n"] for row in scores} == {"12"}
    assert {(row["arm"], row["trait"], row["level"]) for row in scores} == {
        ("base", "", ""),
        *((arm, "sycophancy", level) for arm in ("told", "vectors", "steered") for level in ("high", "low")),
    }


def test_one_of_sixteen_traits_is_run_at_one_intensity(traitgraph: CommandLine, folder: Path) -> None:
    done = traitgraph("run", "sac.yaml", "--select", "trait=warmth,intensity=5", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = rows(traitgraph, "sac.yaml", folder)
    assert {(row["arm"], row["trait"], row["level"], row["intensity"]) for row in found} == {
        ("graded", "warmth", "", "5")
    }
