"""A report lies where its study is named, and one of other values lies beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from traitgraph.launchers.reporting import report_folder
from traitgraph.runtime.store import Store


def name(tmp_path: Path, *overrides: str, study: str = "sweep") -> str:
    return report_folder(Store(tmp_path), study, overrides).name


def test_a_study_has_a_folder_of_its_name(tmp_path: Path) -> None:
    assert name(tmp_path) == "sweep"
    assert name(tmp_path, study="my study!") == "my-study"


@pytest.mark.parametrize(
    ("overrides", "folder"),
    [
        (["+alpha=2"], "sweep+alpha=2"),
        (["train.epochs=1", "alpha=2"], "sweep+alpha=2+train.epochs=1"),
        (["~onto", "++alpha=-1"], "sweep+alpha=-1+~onto"),
    ],
)
def test_overrides_give_a_report_of_its_own_whatever_their_order(
    overrides: list[str], folder: str, tmp_path: Path
) -> None:
    assert name(tmp_path, *overrides) == name(tmp_path, *reversed(overrides)) == folder


def test_overrides_that_change_no_result_write_the_same_report(tmp_path: Path) -> None:
    assert name(tmp_path, "cluster=one-gpu", "+tracking.wandb.mode=online", "description=again") == "sweep"


def test_overrides_that_no_file_name_can_hold_are_told_apart(tmp_path: Path) -> None:
    names = {name(tmp_path, f"traits=[openness{mark}]") for mark in ("", ",extraversion", " ,extraversion")}
    long = {name(tmp_path, f"description2={'x' * 200}{mark}") for mark in "ab"}
    assert (len(names), len(long)) == (3, 2)
    assert all(re.fullmatch(r"[A-Za-z0-9._=+-]{1,120}", each) for each in names | long)
