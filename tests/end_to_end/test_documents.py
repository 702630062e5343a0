"""Every command that the README prints runs, and what it prints of files and output is what there is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from traitgraph.cli.main import COMMANDS

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Lines of the README's shell blocks, without their comments."""
    lines = [line.partition("  #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    inline = re.findall(r"`(traitgraph [a-z]+ examples/[^`]*)`", README)
    return [*filter(None, lines), *inline]


def call(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *shlex.split(line)]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the examples in it and nothing else: no command may write into the checkout."""
    shutil.copytree(PROJECT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("traitgraph ")])
def test_the_command_runs(line: str, folder: Path) -> None:
    done = call(line, folder)
    assert done.returncode == 0, done.stderr


def test_make_has_the_targets_that_the_readme_names() -> None:
    targets = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert targets == {"demo", "test"}
    for target in targets:
        shown = subprocess.run(["make", "-n", target], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert shown.returncode == 0, shown.stderr


def test_the_demo_is_the_quickstart() -> None:
    shown = subprocess.run(["make", "-n", "demo"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "traitgraph run examples/quickstart.yaml" in shown.stdout


def test_extras_that_the_readme_installs_exist() -> None:
    import tomllib

    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for line in commands() for extra in re.findall(r"traitgraph\[([\w,]+)\]", line)}
    assert named <= set(extras)


def test_the_spec_in_the_readme_is_the_example() -> None:
    """The file that a reader sees is the file that plans, but for comments."""
    shown, *_ = blocks("yaml")
    bare = [line.partition("  #")[0].rstrip() for line in shown.splitlines()]
    file = (PROJECT / "examples" / "alpha_sweep.yaml").read_text(encoding="utf-8")
    written = [line.partition("  #")[0].rstrip() for line in file.splitlines() if not line.startswith("#")]
    assert bare == written


def test_the_plan_and_the_message_in_the_readme_are_what_is_printed(folder: Path) -> None:
    plan, message = blocks("text")
    assert call("traitgraph plan examples/alpha_sweep.yaml", folder).stdout.strip() == plan.strip()
    wrong = folder / "sweep.yaml"
    text = (folder / "examples" / "alpha_sweep.yaml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("[high, low]", "[hihg, low]").replace("step: 0.1", "step: 0.3"), encoding="utf-8")
    assert call("traitgraph check sweep.yaml", folder).stderr.strip() == message.strip()


def test_the_table_of_commands_is_complete() -> None:
    named = set(re.findall(r"^\| `traitgraph ([a-z]+)", README, flags=re.MULTILINE))
    assert named == set(COMMANDS)
