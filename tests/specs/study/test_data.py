"""What a study may name as data: files of several forms, folders that `datasets` has saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.study.data import FileDataSpec, HubDataSpec

SPEC = """\
study: named
model: {id: o/model}
traits: [openness]
levels: [high]
data: DATA
train: {method: sft, learning_rate: 1e-4, steps: 10}
benchmarks: [mini-ipip]
arms: {tuned: {method: sft}}
"""


def data_of(folder: Path, written: str) -> object:
    (folder / "named.yaml").write_text(SPEC.replace("DATA", written))
    (found,) = load_study(folder / "named.yaml").resolved_arms()[0].data
    return found


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "inner/rows.csv"])
def test_a_relative_path_counts_from_the_spec_with_or_without_its_dot(tmp_path: Path, name: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / name).write_text("")
    for written in (name, f"./{name}", f"{{path: {name}}}"):
        found = data_of(tmp_path, written)
        assert isinstance(found, FileDataSpec)
        assert (found.path, found.name) == (str(tmp_path / name), "rows")


def test_a_preset_goes_before_a_file_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "rows.csv").write_text("")
    (tmp_path / "data" / "rows.csv.yaml").write_text("id: o/rows\n")
    assert isinstance(data_of(tmp_path, "rows.csv"), HubDataSpec)
    assert isinstance(data_of(tmp_path, "./rows.csv"), FileDataSpec)


@pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
def test_a_saved_folder_is_data(tmp_path: Path, name: str) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / name).write_text("{}")
    found = data_of(tmp_path, "./saved")
    assert isinstance(found, FileDataSpec)
    assert found.path == str(tmp_path / "saved")
