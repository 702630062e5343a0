"""A corpus of faulty specs: each is told of within a second, without a traceback, in these words.

`NAME.yaml` is the spec, `NAME.txt` all that `traitgraph check` says about it: errors, of exit code 2, or warnings. A
first line `# call: ...` adds overrides to the call. `pytest tests/errors --rewrite-golden` writes the texts anew; read
the difference like code.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from traitgraph.cli.main import main

FOLDER = Path(__file__).parent
SPECS = sorted(FOLDER.glob("*.yaml"))
LONGEST = 10.0
"""Seconds, generous: what is refused hangs nowhere. `benchmarks/compile.py` has the real times."""

Said = tuple[int, str]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`traitgraph check` with these words, in the folder of the corpus: exit code and all that it says."""
    monkeypatch.chdir(FOLDER)

    def called(*words: str) -> Said:
        code = main(["check", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return called


def call_of(spec: Path) -> list[str]:
    first = spec.read_bytes().partition(b"\n")[0].decode("utf-8", errors="replace")
    return shlex.split(first.removeprefix("# call: ")) if first.startswith("# call: ") else []


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_a_faulty_spec_is_told_of_in_these_words(spec: Path, check: Callable[..., Said], rewrite_golden: bool) -> None:
    start = time.process_time()
    code, said = check(spec.name, *call_of(spec))
    seconds = time.process_time() - start
    golden = spec.with_suffix(".txt")
    if rewrite_golden:
        golden.write_text(said, encoding="utf-8")
    assert code == (2 if "error[" in said else 0)
    assert "[TG" in said, "a golden message says something"
    assert not any(word in said for word in ("pydantic", "Input should", "validation error", "Traceback"))
    assert said == golden.read_text(encoding="utf-8")
    assert seconds < LONGEST


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_message_about_the_language_has_a_place_and_a_path(spec: Path, check: Callable[..., Said]) -> None:
    """Those of a file that is no YAML, and of overrides on the command line, have none."""
    _, said = check(spec.name, *call_of(spec), "--json")
    for each in json.loads(said)["diagnostics"]:
        if each["code"] >= "TG100" and each["file"] is not None:
            assert min(each["line"], each["column"]) >= 1, each
            assert each["path"], each


def test_the_corpus_is_large_and_without_orphans() -> None:
    assert len(SPECS) >= 140
    assert {text.stem for text in FOLDER.glob("*.txt")} == {spec.stem for spec in SPECS}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing_here.yaml"], "error[TG001]: no such file: nothing_here.yaml"),
        (["empyt.yaml"], "near: empty.yaml"),
        (["."], "error[TG001]: . is a folder, not a spec file"),
    ],
)
def test_a_file_that_is_none(words: list[str], told: str, check: Callable[..., Said]) -> None:
    code, said = check(*words)
    assert code == 2
    assert told in said


HOSTILE = {
    "10 MB of open brackets": "[" * 10_000_000,
    "10 MB of open mappings": "{a: " * 2_500_000,
    "3 MB of open brackets": "[" * 3_000_000,
    "3 MB of dashes": "- " * 1_500_000,
    "a staircase of 1,000 steps": "".join(" " * step + "a:\n" for step in range(1000)),
    "3 MB in one word": "study: " + "x" * 3_000_000,
    "100,000 unknown keys": "".join(f"key{number}: 1\n" for number in range(100_000)),
    "a list of 150,000 alphas": "alpha: [" + "1, " * 150_000 + "1]",
    "an anchor for each line": "".join(f"k{n}: &a{n} x\n" for n in range(20_000)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_within_a_second_by_a_whole_process(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text(text, encoding="utf-8")
    before = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "traitgraph", "check", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * LONGEST,
    )
    seconds = time.perf_counter() - before
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1_000_000
    assert seconds < 3 * LONGEST
