"""Messages about the language, whole: a spec above `---`, everything that is said about it below.

Rewrite them with `pytest --rewrite-golden` and review the difference like code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.specs.source.diagnostics import render_json, render_text

from .reading import read

GOLDEN = Path(__file__).parent.parent / "golden" / "messages"
CASES = sorted(GOLDEN.glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_message_is_the_golden_one(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewrite_golden: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    spec, _, expected = file.read_text(encoding="utf-8").partition("\n---\n")
    study, found = read(spec, Path())
    said = render_text(found)
    if rewrite_golden:
        file.write_text(f"{spec}\n---\n{said}", encoding="utf-8")
        expected = said
    assert said == expected
    assert found, "a golden message says something"
    if any(each.severity == "error" for each in found):
        assert study is None
    assert not any(word in said for word in ("pydantic", "Input should", "validation error", "Traceback"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_message_has_a_place_and_a_path(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, found = read(file.read_text(encoding="utf-8").partition("\n---\n")[0], Path())
    for each in render_json(found)["diagnostics"]:  # type: ignore[attr-defined]  # a list
        assert each["line"] >= 1
        assert each["column"] >= 1
        assert each["path"], each
