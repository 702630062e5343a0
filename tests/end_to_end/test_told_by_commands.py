"""What commands tell of a damaged or a strange artifact, of a difference, and by a bar while they work."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.runtime.store.rows import put, row
from traitgraph.cli.main import main
from traitgraph.cli.output import bytes_bar
from traitgraph.runtime.store.store import Store
from traitgraph.specs.schema.schema import starter_spec
from traitgraph.specs.source.hashing import digest


def test_verify_sets_aside_what_is_damaged_and_leaves_alone_what_another_version_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither is a success; `--keep` moves nothing."""
    with Store(tmp_path / "store") as store:
        damaged, strange = put(store, row("damaged")), put(store, row("strange"))
    (damaged / "result.txt").chmod(0o600)
    (damaged / "result.txt").write_bytes(b"forty-one")
    fields = json.loads((strange / "manifest.json").read_text())
    fields |= {"format": 2, "versions": {"traitgraph": "9.0"}}
    fields["seal"] = digest("manifest", {name: value for name, value in fields.items() if name != "seal"})
    (strange / "manifest.json").write_text(json.dumps(fields))

    assert main(["verify", "--store", str(store.root), "--keep"]) == 1
    kept = capsys.readouterr().err
    assert f"damaged: vector {damaged.name[:8]}: result.txt: its content has changed\n" in kept
    assert f"left alone: vector {strange.name[:8]}: written by traitgraph 9.0, in a form that " in kept
    assert "2 artifacts, 9 bytes read, 1 damaged, 1 left alone\n" in kept
    assert "moved to" not in kept
    assert main(["verify", "--store", str(store.root)]) == 1
    assert f"moved to {store.root / 'damaged'}; run the study again" in capsys.readouterr().err
    assert (damaged.exists(), strange.exists()) == (False, True)
    assert main(["verify", "--store", str(store.root)]) == 1
    assert "1 artifacts, 0 bytes read, 0 damaged, 1 left alone\n" in capsys.readouterr().err


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(starter_spec("study"))
    return path


def test_status_gives_machines_what_is_missing_of_each_kind(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(spec), "--json", "--store", str(spec.parent / "store")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["study"], found["missing"], found["failures"]) == ("study", 7, [])
    assert {kind: each["jobs"] for kind, each in found["kinds"].items()} == {"prepare": 1, "assess": 5, "collect": 1}


def test_a_report_of_nothing_is_refused_with_the_call_that_comes_first(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = spec.parent / "store"
    assert main(["report", str(spec), "--store", str(store)]) == 2
    told = f"traitgraph report: no result of study study is in {store}; next: traitgraph run {spec} --store {store}\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("words", [["levels=[high]"], ["-m"], ["--select", "level=high"], ["--launcher", "slurm"]])
def test_a_saved_plan_takes_nothing_that_would_change_it(
    words: list[str], spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, store = str(spec.parent / "plan.json"), spec.parent / "store"
    assert main(["plan", str(spec), "--store", str(store), "-o", plan]) == 0
    capsys.readouterr()
    # At no price: were it not refused, it would not run for minutes.
    assert main(["run", plan, *words, "--store", str(store), "--max-gpu-hours", "0"]) == 2
    assert "a saved plan runs as it is: no overrides" in capsys.readouterr().err
    assert not store.exists()


def test_diff_gives_machines_what_it_tells_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(starter_spec("study"))
    new.write_text(starter_spec("study").replace("temperature: 0.6", "temperature: 0.7"))
    words = ["diff", str(old), str(new), "--store", str(tmp_path / "store")]
    assert main([*words, "--json", "--exit-code"]) == 1
    first, second = json.loads(capsys.readouterr().out)["rekeyed"]
    assert first["changes"] == [{"path": "sampling.temperature", "old": 0.6, "new": 0.7}]
    assert (first["jobs"], second["follows"]) == (5, ["assess"])
    assert main(words) == 0
    assert "~ 5 assess: sampling.temperature: 0.6 -> 0.7\n" in capsys.readouterr().out


class Terminal(io.StringIO):
    """Standard error of somebody who looks."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_shows_how_many_bytes_are_done_and_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Terminal()
    monkeypatch.setattr(sys, "stderr", heard)
    monkeypatch.setenv("TERM", "xterm")
    with bytes_bar("merging") as progress:
        progress(500_000, 1_000_000, "model.norm.weight")
    assert all(part in heard.getvalue() for part in ("merging", "0.5/1.0 MB", "model.norm.weight"))
