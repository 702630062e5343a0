"""Packages of others, one file and one entry point each, as docs/extending/ shows them.

What they add is in the schema, the reference, the plan, the results and the report, through the command line.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.dialogues import write_dialogues
from tests.tiny_model import save_tiny_model
from traitgraph import plugins

from .commands import command, environment

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*DOCS.glob("extending/*.md"), DOCS / "data.md", DOCS / "vocabulary.md"]
STUDY = """\
study: extended
model: ./model
traits: [extraversion]
levels: [high, low]
data: ./dialogues.jsonl
train: {method: sft, learning_rate: 1e-2, steps: 2, batch_size: 2, max_length: 128, lora: {rank: 2, alpha: 4}}
benchmarks:
  - reply_contrast
  - {kind: exclamations, question: What do you do on Fridays?}
  - {kind: questionnaire, name: by_wording, items: mini-ipip, mode: wording}
  - {kind: questionnaire, name: by_words, items: mini-ipip, mode: interview, judge: {counts: party}}
sampling: {temperature: 0.6, repeats: 1, max_new_tokens: 4, engine: plain}
analyses: [{kind: span, scale: 4}]
arms:
  base: {method: direct, analyses: []}
  told: {method: {kind: slogan, times: 3}}
  sworn: {method: {kind: prompt, style: oath}}
  control: {method: {kind: random_direction, layer: 1, coefficient: [0.5, 1]}, seeds: [0, 1]}
  turned: {method: {kind: steer, layer: 1, coefficient: 1, operation: remove}}
  shuffled: {method: {kind: shuffled}}
  voted: {method: vector, merge: {kind: voted, density: 0.5}, alpha: 1}
  robots:
    method: {kind: prompt, style: description}
    vocabulary: {preset: robots, levels: {meek: -1, bold: 1}}
    traits: all
    levels: all
    benchmarks: [mini-ipip]
    analyses: []
"""
ADDED = ("slogan", "oath", "random_direction", "shuffled", "span", "remove", "voted", "exclamations")
ODD = '''
from decimal import Decimal
from typing import Literal

from pydantic import Field

from traitgraph.plugins import Prompt


class Odd(Prompt):
    """A field of a form that none of ours has."""

    style: Literal["odd"] = Field("odd", description="Odd.")
    since: Decimal = Field(description="An exact number.")
'''

Call = Callable[..., subprocess.CompletedProcess[str]]


def files() -> dict[str, str]:
    """The files that the pages show, by the name in their first line."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return {block.split()[1]: block for block in re.findall(r"^```python\n(# .*?)```", pages, re.DOTALL | re.MULTILINE)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study, and the packages of the pages as they stand when they are installed."""
    folder = tmp_path_factory.mktemp("extended")
    save_tiny_model(folder / "model")
    write_dialogues(folder / "dialogues.jsonl")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    info = folder / "site" / "extended-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extended\nVersion: 1.0\n")
    points = "[traitgraph.plugins]\n"
    for name, text in {**files(), "odd.py": ODD, "gone.py": "import a_package_that_is_gone\n"}.items():
        (info.parent / name).write_text(text, encoding="utf-8")
        points += f"{name.removesuffix('.py')} = {name.removesuffix('.py')}\n"
    (info / "entry_points.txt").write_text(points)
    return folder


@pytest.fixture(scope="module")
def call(folder: Path) -> Call:
    """A command in that folder, where the packages can be found."""
    env = {**environment(), "PYTHONPATH": str(folder / "site")}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), cwd=folder, env=env, capture_output=True, text=True, timeout=540, check=False
        )

    return run


def test_schema_and_reference_have_what_plugins_add(call: Call, folder: Path) -> None:
    schema = call("schema").stdout
    assert [name for name in ADDED if f'"{name}"' not in schema] == []
    words = [sys.executable, "-m", "traitgraph.specs.schema.reference"]
    env = {**environment(), "PYTHONPATH": str(folder / "site")}
    reference = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    assert [name for name in ADDED if f"### `{name}`" not in reference] == []
    assert '"robots"' in schema
    assert all(
        word in reference
        for word in ("Of packages: `robots`", "wording: the step whose wording is likeliest", "`counts`", "`plain`")
    )
    assert "| `times` | whole number > 0 | `1` | How often it is said. |" in reference


def test_a_plugin_that_cannot_be_imported_is_a_warning_and_hides_no_other(call: Call) -> None:
    done = call("check", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be loaded") == 1
    assert "warning: plugin 'gone' of gone cannot be loaded: No module named 'a_package_that_is_gone'" in done.stderr


def test_a_mistake_in_its_options_is_told_like_any_other(call: Call) -> None:
    done = call("check", "study.yaml", "arms.told.method.times=0")
    assert done.returncode == 2
    assert "error[TG104]: 0 is too small: it must be more than 0" in done.stderr
    odd = call("check", "study.yaml", "arms.sworn.method={kind: prompt, style: odd, since: [1]}").stderr
    assert "error[TG104]: Input should be an instance of Decimal, and not `[1]`" in odd, "a field of a form unlike ours"
    assert "no effect on method `random_direction`" in call("check", "study.yaml", "+arms.control.alpha=1").stderr


def test_what_plugins_add_is_planned_run_and_reported(call: Call, folder: Path) -> None:
    planned = json.loads(call("plan", "study.yaml", "--json").stdout)
    assert planned["counts"]["by_kind"]["random_direction"] == 2, "one job for each seed"
    assert planned["without_runtime"] == []
    done = call("run", "study.yaml")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(call("results", "study.yaml", "--csv").stdout)))
    scores = [row for row in rows if row["metric"] == "extraversion" and row["benchmark"] == "reply_contrast"]
    two = ("told", "sworn", "turned", "shuffled", "voted")
    assert Counter(row["arm"] for row in scores) == {"base": 1, "control": 4, **dict.fromkeys(two, 2)}
    assert len({row["value"] for row in scores}) == len(scores), "every subject is another one"
    measured = {row["benchmark"] for row in rows if row["metric"] in ("marks", "extraversion")}
    assert {"exclamations", "by_wording", "by_words"} <= measured
    spans = {row["arm"]: row["value"] for row in rows if row["benchmark"] == "span reply_contrast"}
    high, low = (float(row["value"]) for row in scores if row["arm"] == "told")
    assert float(spans["told"]) == pytest.approx(abs(high - low) / 4)
    report = (folder / ".traitgraph" / "reports" / "extended" / "report.html").read_text(encoding="utf-8")
    assert [name for name in (*ADDED, "robots: obedience bold") if name not in report] == []
    assert {row["level"] for row in rows if row["trait"] == "obedience"} == {"meek", "bold"}
    near = call("check", "study.yaml", "arms.robots.vocabulary=robts").stderr
    assert "unknown vocabulary 'robts'" in near
    assert "near: robots" in near


def test_what_others_may_import_is_there_and_the_same_for_type_checkers() -> None:
    tree = ast.parse(Path(plugins.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    typed = {each.asname: (node.module, each.name) for node in imports for each in node.names}
    assert typed == {name: (home, plugins.RENAMED.get(name, name)) for name, home in plugins.PLACES.items()}
    assert all(getattr(plugins, name) is not None for name in dir(plugins))
    with pytest.raises(AttributeError, match=r"traitgraph\.plugins has no 'Methods'; it has: Analysis"):
        plugins.Methods  # noqa: B018
