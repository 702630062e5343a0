"""Rows of results through the command line: one measured value each, every axis a column, every value of its type."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from traitgraph.api.results import results

from .commands import CommandLine

STUDY = """\
study: tidy
model: ./model
traits: [extraversion, neuroticism]
levels: [high]
data: ./dialogues.jsonl
train: {method: sft, learning_rate: 1e-2, steps: 1, batch_size: 2, max_length: 128, lora: {rank: 2, alpha: 4}}
benchmarks: [mini-ipip]
sampling: {temperature: 0.6, repeats: 1}
arms:
  base: {method: direct}
  told: {method: {kind: prompt, style: adjectives, intensity: [a bit, very]}}
  steered: {method: {kind: steer, layer: [1, 2], coefficient: [0.5, 1]}}
  both: {method: compose, alpha: {extraversion: [0.30, 1], neuroticism: -1}}
  pruned: {method: vector, alpha: 0.30, merge: [ties, {kind: dare, density: 0.5}, {kind: dare, density: 0.25}]}
"""
AXES = (
    "model", "data", "trait", "level", "context", "merge", "onto", "intensity", "layer", "coefficient", "alpha",
    "gamma", "seed",
    "alpha:extraversion", "alpha:neuroticism", "merge.density",
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(traitgraph: CommandLine, study_folder: Path) -> Path:
    """A folder with the spec, and a store that holds its results."""
    (study_folder / "tidy.yaml").write_text(STUDY)
    done = traitgraph("run", "tidy.yaml", "--store", "tidy")
    assert done.returncode == 0, done.stderr
    return study_folder


@pytest.fixture(scope="module")
def rows(traitgraph: CommandLine, measured: Path) -> list[dict[str, Any]]:
    """The rows as JSON."""
    found: list[dict[str, Any]] = json.loads(traitgraph("results", "tidy.yaml", "--store", "tidy", "--json").stdout)
    return found


def points(rows: list[dict[str, Any]], arm: str) -> set[tuple[tuple[str, object], ...]]:
    """The coordinates of an arm's rows, those that apply."""
    return {tuple((axis, row[axis]) for axis in AXES if row[axis] is not None) for row in rows if row["arm"] == arm}


def test_every_axis_is_a_column_with_a_typed_value_and_null_where_it_does_not_apply(rows: list[dict[str, Any]]) -> None:
    assert {row["method"] for row in rows} == {"direct", "prompt", "steer", "compose", "vector"}
    assert points(rows, "base") == {(("model", "model"),)}
    assert {tuple(dict(point).items())[3:] for point in points(rows, "told")} == {
        (("intensity", "a bit"),), (("intensity", "very"),)
    }  # fmt: skip
    steered = [dict(point) for point in points(rows, "steered")]
    assert {(each["layer"], each["coefficient"], "alpha" in each) for each in steered} == {
        (layer, coefficient, False) for layer in (1, 2) for coefficient in (0.5, 1)
    }  # fmt: skip
    both = {(each["alpha:extraversion"], each["alpha:neuroticism"]) for each in map(dict, points(rows, "both"))}
    assert both == {(0.3, -1), (1, -1)}
    pruned = {(each["merge"], each["merge.density"], each["alpha"]) for each in map(dict, points(rows, "pruned"))}
    assert {("dare", 0.5, 0.3), ("dare", 0.25, 0.3)} < pruned
    for row in rows:
        assert all(isinstance(row[name], int | None) for name in ("layer", "seed", "repeat", "n"))
        assert all(isinstance(row[name], int | float | None) for name in ("alpha", "coefficient", "gamma", "value"))
        assert "" not in row.values()


def test_the_csv_has_the_same_rows_and_the_decimals_of_the_spec(
    traitgraph: CommandLine, measured: Path, rows: list[dict[str, Any]]
) -> None:
    printed = traitgraph("results", "tidy.yaml", "--store", "tidy", "--csv").stdout
    read = list(csv.DictReader(io.StringIO(printed)))
    assert tuple(read[0]) == tuple(rows[0])
    for one, other in zip(read, rows, strict=True):
        assert {name: type(other[name])(text) if text else None for name, text in one.items()} == other
    assert {row["coefficient"] for row in read} == {"", "0.5", "1"}
    assert traitgraph("results", "tidy.yaml", "--store", "tidy", "-o", "rows.csv").returncode == 0
    assert (measured / "rows.csv").read_bytes().decode() == printed


def test_the_parquet_file_has_the_same_rows(
    traitgraph: CommandLine, measured: Path, rows: list[dict[str, Any]]
) -> None:
    from pyarrow import parquet

    done = traitgraph("results", "tidy.yaml", "--store", "tidy", "-o", "rows.parquet")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    table = parquet.read_table(measured / "rows.parquet")
    assert table.to_pylist() == rows
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    whole, real = ("layer", "seed", "repeat", "n"), ("onto", "coefficient", "alpha", "gamma", "value", "stderr")
    assert {types[name] for name in whole} == {"int64"}
    assert {types[name] for name in (*real, "alpha:neuroticism", "merge.density", "effective_alpha")} == {"double"}
    assert {types[name] for name in ("method", "data", "intensity", "merge", "same_as")} == {"string"}


def test_a_frame_has_the_same_types_and_can_be_grouped(measured: Path, rows: list[dict[str, Any]]) -> None:
    found = results(measured / "tidy.yaml", measured / "tidy")
    frame = found.frame()
    assert list(frame.columns) == list(rows[0])
    assert {str(frame[name].dtype) for name in ("layer", "seed", "repeat", "n")} == {"Int64"}
    assert {str(frame[name].dtype) for name in ("alpha", "coefficient", "alpha:neuroticism")} == {"float64"}
    steered = frame[(frame["arm"] == "steered") & (frame["metric"] == "extraversion")]
    assert steered.groupby(["trait", "layer", "coefficient"]).size().to_list() == [1] * 8
    assert found[0]["seed"] is None
    assert {row["alpha"] * 2 for row in found if row["alpha"] is not None} == {0.6}


def test_an_axis_of_one_study_is_selected_by_its_column(traitgraph: CommandLine, rows: list[dict[str, Any]]) -> None:
    for selector, arm in (("alpha:extraversion=0.3", "both"), ("merge.density<0.4,merge=dare", "pruned")):
        printed = traitgraph("results", "tidy.yaml", "--store", "tidy", "--json", "--select", selector)
        assert {row["arm"] for row in json.loads(printed.stdout)} == {arm}, printed.stderr
    unknown = traitgraph("results", "tidy.yaml", "--store", "tidy", "--select", "alpha:openness=1")
    assert unknown.returncode == 2
    assert "near: alpha:extraversion" in unknown.stderr or "alpha:neuroticism" in unknown.stderr


def test_same_as_selects_the_first_row_by_its_columns(traitgraph: CommandLine, rows: list[dict[str, Any]]) -> None:
    """At alpha 0 every merge is the base, whose own arm is left out here."""
    words = ("tidy.yaml", "--store", "tidy", "~arms.base", "arms.pruned.alpha=0")
    found = json.loads(traitgraph("results", *words, "--json").stdout)
    (same,) = {row["same_as"] for row in found} - {None}
    assert "merge=ties" in same
    assert "merge.density=" in same
    first = json.loads(traitgraph("results", *words, "--json", "--select", same).stdout)
    assert {row["job"] for row in first} == {row["job"] for row in rows if row["arm"] == "base"}
    assert len(first) == len([row for row in rows if row["arm"] == "base"])


def test_a_file_that_cannot_be_written_is_told(traitgraph: CommandLine, measured: Path) -> None:
    for name, told in (("rows.xlsx", "there are: .csv, .json, .parquet"), ("gone/rows.csv", "cannot write gone/rows")):
        done = traitgraph("results", "tidy.yaml", "--store", "tidy", "-o", name)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(measured.glob(".rows*"))


def test_a_missing_pyarrow_is_told_with_what_installs_it(
    measured: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from traitgraph import UsageError

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"not installed: pyarrow; next: pip install pyarrow"):
        results(measured / "tidy.yaml", measured / "tidy").write(tmp_path / "rows.parquet")
    assert not list(tmp_path.iterdir())
