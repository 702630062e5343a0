"""A report lies where its study is named, and one of other values lies beside it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from traitgraph.api.planning import plan_study
from traitgraph.api.results import report_faults, report_folder, write_study_report
from traitgraph.cli.main import main
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.study.study import Study


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


@pytest.fixture
def rendered(tmp_path: Path) -> Iterator[tuple[Study, Plan, Store, Path]]:
    """A study of one assessment, its plan, its store, and its report."""
    spec = tmp_path / "spec.yaml"
    spec.write_text("study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [mini-ipip]\n")
    study = load_study(spec)
    with Store(tmp_path / "store") as store:
        plan = plan_study(study, store)
        (cell,) = plan.cells
        row = next(row for row in plan.job_table().rows if row.key == cell.job)
        with store.publish(row) as out:
            metric = {"metric": "extraversion", "repeat": 0, "value": 3.25, "stderr": None, "n": 4, "role": "score"}
            (out / "metrics.jsonl").write_text(json.dumps(metric) + "\n")
            (out / "answers.jsonl").write_text("")
        yield study, plan, store, write_study_report(study, plan, store).parent


def test_a_changed_report_is_named_and_rendered_again(rendered: tuple[Study, Plan, Store, Path]) -> None:
    study, plan, store, folder = rendered
    assert report_faults(folder) == []
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "results.csv").write_text((folder / "results.csv").read_text().replace("3.25", "9.25"))
    (folder / "report.html").unlink()
    assert report_faults(folder) == [
        "report.html: No such file or directory", "results.csv: its content has changed"]  # fmt: skip
    write_study_report(study, plan, store)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert report_faults(folder) == []


def test_a_file_in_the_place_of_a_report_is_named_and_set_aside(
    rendered: tuple[Study, Plan, Store, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study, plan, store, folder = rendered
    shutil.rmtree(folder)
    folder.write_text("mine")
    assert main(["verify", "--store", str(store.root)]) == 1
    assert "changed: report s: something stands where its folder belongs" in capsys.readouterr().err
    assert write_study_report(study, plan, store).is_file()
    assert [path.read_text() for path in (store.root / "damaged").iterdir()] == ["mine"]


def test_a_seal_that_cannot_be_read_is_a_fault_and_one_of_an_earlier_version_says_nothing(
    rendered: tuple[Study, Plan, Store, Path],
) -> None:
    folder = rendered[-1]
    for changed in ("{", "[]", '{"files": [1]}', "{}"):
        (folder / "made-from.json").write_text(changed)
        assert report_faults(folder) == ["made-from.json: its content has changed"]
    (folder / "made-from.json").unlink()
    assert report_faults(folder) == ["made-from.json: missing"]
    (folder / "made-from.json").write_text('"0123456789abcdef"')
    assert report_faults(folder) == []


def test_verify_names_a_changed_report(
    rendered: tuple[Study, Plan, Store, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    *_, store, folder = rendered
    assert main(["verify", "--store", str(store.root)]) == 0
    (folder / "results.csv").write_text("")
    assert main(["verify", "--store", str(store.root)]) == 1
    assert "changed: report s: results.csv: its content has changed" in capsys.readouterr().err
