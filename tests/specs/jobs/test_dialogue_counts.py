"""Counting the rows of a local file, for prices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.data.test_forms import write_csv, write_parquet, write_splits
from traitgraph.compiler.ir.context import CELLS, WHOLE, count_dialogues


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


def test_tables_and_lists_are_counted_as_lines_are(tmp_path: Path) -> None:
    """Also inside a field; a saved folder with splits has them from there."""
    rows = [
        {"meta": {"who": who}, "who": who, "level": level, "split": split, "prompt": "a\nb", "reply": "c" * 40}
        for who, level, split, number in (("Openness", "High", "train", 3), ("openness", "low", "test", 2))
        for _ in range(number)
    ]
    wanted = {("openness", "high", "train"): 3, ("openness", "low", "heldout"): 2}
    (tmp_path / "rows.json").write_text(json.dumps(rows, indent=1))
    assert count_dialogues(tmp_path / "rows.json", {"trait": "meta.who"}) == wanted
    write_parquet(tmp_path / "rows.parquet", rows)
    assert count_dialogues(tmp_path / "rows.parquet", {"trait": "meta.who"}, "parquet") == wanted
    flat = [{key: value for key, value in row.items() if key != "meta"} for row in rows]
    write_splits(
        tmp_path / "saved", [{**row, "split": "heldout" if row["split"] == "test" else "train"} for row in flat]
    )
    assert count_dialogues(tmp_path / "saved", {"trait": "who"}, "arrow") == wanted
    write_csv(tmp_path / "rows.csv", flat)
    assert count_dialogues(tmp_path / "rows.csv", {"trait": "who"}, "csv") == wanted
    write_csv(tmp_path / "rows.csv", flat * 16_000)
    assert (tmp_path / "rows.csv").stat().st_size > CELLS
    found = count_dialogues(tmp_path / "rows.csv", {"trait": "who"}, "csv")
    assert found["openness", "high", "train"] == pytest.approx(48_000, rel=0.01)


def test_what_cannot_be_read_counts_nothing(tmp_path: Path) -> None:
    assert count_dialogues(tmp_path / "gone.jsonl", {}) == {}
    (tmp_path / "list.jsonl").write_text("[1, 2]\n\n3\n")
    assert count_dialogues(tmp_path / "list.jsonl", {}) == {}
