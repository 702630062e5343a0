"""Counting the rows of a local file, for prices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from traitgraph.compiler.ir.context import WHOLE, count_dialogues


def write(path: Path, copies: int) -> Path:
    rows = [
        {"who": "Openness", "level": "High ", "prompt": "a?", "reply": "b" * 40},
        {"who": "openness", "level": "low", "prompt": "a?", "reply": "b" * 40, "split": "test"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) * copies + "no row\n")
    return path


def test_rows_are_counted_by_trait_level_and_split_under_the_names_of_the_file(tmp_path: Path) -> None:
    found = count_dialogues(write(tmp_path / "rows.jsonl", 3), {"trait": "who"})
    assert found == {("openness", "high", "train"): 3, ("openness", "low", "heldout"): 3}


def test_a_large_file_is_sampled(tmp_path: Path) -> None:
    """Within a twentieth of the truth."""
    path = write(tmp_path / "rows.jsonl", 30_000)
    assert path.stat().st_size > 4 * WHOLE
    found = count_dialogues(path, {"trait": "who"})
    assert found["openness", "high", "train"] == pytest.approx(30_000, rel=0.05)


def test_what_cannot_be_read_counts_nothing(tmp_path: Path) -> None:
    assert count_dialogues(tmp_path / "gone.jsonl", {}) == {}
    (tmp_path / "list.jsonl").write_text("[1, 2]\n\n3\n")
    assert count_dialogues(tmp_path / "list.jsonl", {}) == {}
