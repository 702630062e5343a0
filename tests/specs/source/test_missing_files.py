"""A path at which nothing is: told as a missing file, with the names that lie in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.source.hashing import digest_file


def fault_of(folder: Path, benchmark: str) -> tuple[str, str, str | None]:
    """Code, message and repair of the one fault of a study with this benchmark."""
    spec = folder / "spec.yaml"
    spec.write_text(f"study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: {benchmark}\n")
    with pytest.raises(SpecError) as raised:
        load_study(spec)
    (fault,) = raised.value.diagnostics
    return fault.code, fault.message, fault.hint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "items").mkdir()
    for name in ("tidiness.json", "a.json", "notes.txt"):
        (tmp_path / "items" / name).write_text("{}")
    return tmp_path


def test_a_questionnaire_by_path_is_a_file_that_is_not_there(folder: Path) -> None:
    assert fault_of(folder, "[{kind: questionnaire, items: items/tidyness.json}]") == (
        "TG108",
        "there is no file or folder 'items/tidyness.json'",
        "near: tidiness.json\nthere are: a.json, tidiness.json",
    )


def test_a_questionnaire_by_name_is_one_of_the_library(folder: Path) -> None:
    code, message, hint = fault_of(folder, "[{kind: questionnaire, items: mini-ippi}]")
    assert (code, message) == ("TG106", "unknown questionnaire 'mini-ippi'")
    assert hint is not None
    assert hint.startswith("near: mini-ipip\n")


def test_a_lexicon_is_told_with_the_files_beside_it(folder: Path) -> None:
    assert fault_of(folder, "[{kind: linguistic, lexicon: items/note.txt}]") == (
        "TG108",
        "there is no file or folder 'items/note.txt'",
        "near: notes.txt\nthere are: a.json, notes.txt, tidiness.json",
    )


def test_a_file_in_the_place_of_a_benchmark_is_told_how_it_is_written(folder: Path) -> None:
    assert fault_of(folder, "[items/tidiness.json]") == (
        "TG106",
        "unknown benchmark 'items/tidiness.json'",
        "a questionnaire in a file: {kind: questionnaire, items: items/tidiness.json}",
    )


@pytest.mark.parametrize("benchmark", ["questionnaire, items", "linguistic, prompts: [Hello?], lexicon"])
def test_a_pipe_or_a_device_is_refused_and_never_opened(folder: Path, benchmark: str) -> None:
    """Reading one might never end."""
    os.mkfifo(folder / "pipe.json")
    for path in ("./pipe.json", "/dev/zero"):
        code, message, _ = fault_of(folder, f"[{{kind: {benchmark}: {path}}}]")
        assert (code, message) == ("TG108", f"'{path}' is no plain file and no folder: a pipe, a device or a socket")


def test_data_and_specs_that_are_pipes_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "rows.jsonl")
    spec = folder / "spec.yaml"
    spec.write_text("study: s\nmodel: smollm2-135m\nmethod: sft\ndata: rows.jsonl\nbenchmarks: [mini-ipip]\n")
    with pytest.raises(SpecError, match=r"no plain file.*\n.*spec.yaml:4:7") as raised:
        load_study(spec)
    assert "TG108" in [each.code for each in raised.value.diagnostics]
    os.mkfifo(folder / "pipe.yaml")
    with pytest.raises(SpecError, match=r"pipe\.yaml is no plain file"):
        load_study(folder / "pipe.yaml")
    with pytest.raises(OSError, match="no plain file"):
        digest_file(folder / "rows.jsonl")
