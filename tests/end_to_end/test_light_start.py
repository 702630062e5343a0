"""Checking and planning need neither torch nor a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

BLOCKED = ("torch", "transformers", "peft", "trl", "datasets", "lm_eval", "numpy", "matplotlib", "submitit", "wandb")

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
    expected = {"TG212"} if "papers" in spec else set()  # the wording of the BFI is its owners'
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

from traitgraph.specs.instruments import Instrument


class Mood(Instrument):
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
