"""A questionnaire of the user's own is found by its name: beside the spec, in their folder, or in the library."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.source.library import LIBRARY

BOTH = "[bfi, {kind: questionnaire, name: again, items: bfi}]"


def items_of(folder: Path, benchmarks: str) -> list[Path]:
    spec = folder / "spec.yaml"
    spec.write_text(f"study: s\nmodel: o/m\nmethod: direct\nbenchmarks: {benchmarks}\n")
    return [Path(each.items) for each in load_study(spec).arms[0].benchmarks]  # type: ignore[attr-defined]


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text('{"name": "mine"}')
    return path


def test_the_nearest_one_is_found_and_names_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In $XDG_CONFIG_HOME for every spec, beside the spec before that, and both before the library."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("bfi", "mini-ipip"):
        folder = tmp_path / name
        folder.mkdir()
        theirs = put(tmp_path / "config" / "traitgraph" / "questionnaire" / f"{name}.json") if name == "bfi" else None
        library = LIBRARY / "questionnaire" / f"{name}.json"
        assert items_of(folder, f"[{name}]") == [theirs or library]
        beside = put(folder / "questionnaire" / f"{name}.json")
        assert items_of(folder, f"[{name}]") == [beside]
    assert len(set(items_of(tmp_path / "bfi", BOTH))) == 1


def test_the_folder_is_in_the_home_where_no_variable_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    theirs = put(tmp_path / ".config" / "traitgraph" / "questionnaire" / "bfi.json")
    assert items_of(tmp_path, "[bfi]") == [theirs]


def test_one_that_is_not_there_is_told_with_the_place_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(SpecError) as raised:
        items_of(tmp_path, BOTH)
    told = str(raised.value)
    assert told.count("questionnaire/bfi.json beside the spec, or ~/.config/traitgraph/questionnaire/bfi.json") == 2
