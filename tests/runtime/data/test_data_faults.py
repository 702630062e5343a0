"""A corpus of faulty data: one cause is one block, with its place and its repair, in these words.

`faults/NAME.SUFFIX` are the rows, `faults/NAME.txt` all that `traitgraph check study.yaml data=NAME.SUFFIX` says.
`--rewrite-golden` writes the texts anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.cli.main import main

FOLDER = Path(__file__).parent / "faults"
FILES = sorted(file for file in FOLDER.iterdir() if file.suffix not in (".txt", ".yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_faulty_data_are_told_of_in_these_words(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rewrite_golden: bool
) -> None:
    monkeypatch.chdir(FOLDER)
    assert main(["check", "study.yaml", f"data={file.name}"]) == 2
    said = capsys.readouterr().err
    golden = file.with_suffix(".txt")
    if rewrite_golden:
        golden.write_text(said, encoding="utf-8")
    assert "error[TG212]" in said
    assert "Traceback" not in said
    assert said == golden.read_text(encoding="utf-8")
