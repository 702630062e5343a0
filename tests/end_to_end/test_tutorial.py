"""The tutorial, followed word for word by a newcomer, on a tiny model in place of the bundled one."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.tiny_model import save_tiny_model

from .commands import command, environment

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
STEP = re.compile(r"(?:`(?P<file>[\w.]+)`(?:, [^`]*?)?(?: be)?:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```", re.M | re.S)


def steps() -> list[tuple[str, str]]:
    """What a reader does, in order: ('write talk.yaml', its text) and ('call', a command)."""
    found = []
    for match in STEP.finditer(PAGE.read_text(encoding="utf-8")):
        if match["kind"] == "bash":
            found += [("call", line.partition("  #")[0].strip()) for line in match["text"].splitlines()]
        elif match["kind"] != "sh":  # the installation
            assert match["file"], f"no name is said for {match['text'][:60]}"
            found.append((f"write {match['file']}", match["text"]))
    return found


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """Command -> how it went, all in one folder; a repeated command keeps its last outcome."""
    folder = tmp_path_factory.mktemp("empty")
    save_tiny_model(folder / "model")
    done = {}
    for what, text in steps():
        if what != "call":
            (folder / what.removeprefix("write ")).write_text(text, encoding="utf-8")
        else:
            words = shlex.split(text)
            assert words[0] == "traitgraph"
            done[text] = subprocess.run(
                command(*words[1:]), cwd=folder, env=environment(), capture_output=True, text=True, check=False
            )
        spec = folder / "talk.yaml"
        if spec.exists():
            spec.write_text(spec.read_text().replace("model: smollm2-135m", "model: ./model      "), encoding="utf-8")
    return done


def test_every_command_of_the_tutorial_goes_well(followed: dict[str, subprocess.CompletedProcess[str]]) -> None:
    assert len([what for what, _ in steps() if what == "call"]) == 10
    assert {text: done.stderr for text, done in followed.items() if done.returncode} == {}


def test_it_does_what_the_tutorial_says(followed: dict[str, subprocess.CompletedProcess[str]]) -> None:
    said = {text.split()[1]: done for text, done in followed.items()}
    asked_anew = next(done for text, done in followed.items() if "parties.json" in text)
    assert "    loss " in said["logs"].stdout
    assert said["results"].stdout.count("\n") > 2
    kinds = set(re.findall(r"\] done +assess (\S+)", asked_anew.stderr))
    assert kinds == {"parties"}, "only the new questionnaire is administered"
    assert "report: " in asked_anew.stderr
    assert (Path(said["materialize"].stdout.strip()).name).startswith("extraversion-high-alpha-1")
