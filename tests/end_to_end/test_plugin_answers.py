"""A package adds a mode of questionnaires, a judge and an engine, with one entry point; all are run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.runtime.questionnaires import write_questionnaire
from tests.tiny_model import save_tiny_model

from .commands import command, environment

PACKAGE = '''
from typing import ClassVar

from pydantic import Field

from traitgraph.specs.study.benchmarks import Mode
from traitgraph.specs.study.judges import JudgeSpec
from traitgraph.specs.study.training import AnswerEngine


def agree(context, loaded, params, benchmark):
    from traitgraph.runtime.assessment.measurement import Measurement
    from traitgraph.runtime.assessment.questionnaires.modes import domain_means, items_of

    questionnaire = items_of(context, benchmark)
    rows = [{"item": each.id, "repeat": 0, "trait": each.trait, "keyed": each.keyed, "answer": 4,
             "scale": questionnaire.response_scale.ends} for each in questionnaire.items]
    return Measurement(rows, domain_means(questionnaire, ((each, 0, 4) for each in questionnaire.items)))


AGREEABLE = Mode("agreeable", "every answer is a 4", "my_answers:agree", longest_answer=0, reads_numbers=False)


class Constant(JudgeSpec):
    """A judge that always says the same."""

    kind: ClassVar[str] = "constant"
    key: ClassVar[str] = "says"
    function: ClassVar[str] = "my_answers:open_constant"
    says: str = Field(description="What it says.")


def open_constant(context, judge):
    class Saying:
        def reply(self, context, prompts, kept):
            kept.add({name: judge.says for name in prompts if name not in kept.texts})

    return Saying()


class Parrot(AnswerEngine):
    """An engine that writes one number, and finds all options equally likely."""

    name: ClassVar[str] = "parrot"

    def write(self, loaded, prompts, *, temperature, max_new_tokens, stream, on_batch=None):
        from traitgraph.runtime.models.generation import Written

        return [Written("5", True) for _ in prompts]

    def likelihoods(self, loaded, requests, on_batch=None):
        from traitgraph.runtime.models.likelihood import Likelihood

        return [Likelihood((-1.0,), True) for _ in requests]
'''

POINTS = """\
[traitgraph.plugins]
my_answers = my_answers
"""

STUDY = """\
study: own
model: ./model
method: direct
benchmarks:
  - {kind: questionnaire, name: agreed, items: ./four.json, mode: agreeable}
  - {kind: questionnaire, name: judged, items: ./four.json, mode: interview, judge: {says: '2'}}
  - {kind: questionnaire, name: written, items: ./four.json, mode: generate}
  - {kind: questionnaire, name: chosen, items: ./four.json}
sampling: {temperature: 0.6, repeats: 1, engine: parrot}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that uses all three, and the package installed in a folder `site`."""
    found = tmp_path_factory.mktemp("answers")
    info = found / "site" / "my_answers-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-answers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (info.parent / "my_answers.py").write_text(PACKAGE)
    save_tiny_model(found / "model")
    write_questionnaire(found / "four.json")
    (found / "study.yaml").write_text(STUDY)
    return found


def called(folder: Path, *words: str, succeeds: bool = True) -> str:
    """What a command prints where the package is installed."""
    path = os.pathsep.join(filter(None, (str(folder / "site"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command(*words),
        cwd=folder,
        env={**environment(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stderr[-4000:]
    return done.stdout if succeeds else done.stderr


def test_all_are_run_and_reported(folder: Path) -> None:
    called(folder, "run", "study.yaml")
    rows = json.loads(called(folder, "results", "study.yaml", "--json"))
    found = {
        (row["benchmark"], float(row["value"]))
        for row in rows
        if row["metric"] == "extraversion" and row["benchmark"] != "chosen"
    }
    questionnaire = json.loads((folder / "four.json").read_text())
    keyed = [item["keyed"] for item in questionnaire["items"] if item["domain"] == "E"]
    ends = questionnaire["response_scale"]["min"] + questionnaire["response_scale"]["max"]
    means = {
        name: sum(answer if key > 0 else ends - answer for key in keyed) / len(keyed)
        for name, answer in (("agreed", 4), ("judged", 2), ("written", 5))
    }
    assert found == set(means.items())
    chosen = next(row for row in rows if row["benchmark"] == "chosen" and row["metric"] == "extraversion.expected")
    assert float(chosen["value"]) == pytest.approx(ends / 2), "the engine finds all options equally likely"
    report = next((folder / ".traitgraph" / "reports").glob("*/report.html")).read_text()
    assert all(name in report for name in means)


def test_they_are_in_schema_reference_and_plan(folder: Path) -> None:
    schema = called(folder, "schema")
    assert all(word in schema for word in ("agreeable", "every answer is a 4", '"says"', "parrot"))
    script = "from traitgraph.specs.schema.reference import pages; print(*pages().values())"
    path = os.pathsep.join(filter(None, (str(folder / "site"), os.environ.get("PYTHONPATH"))))
    args, env = [command()[0], "-c", script], {**environment(), "PYTHONPATH": path}
    text = subprocess.run(args, env=env, capture_output=True, text=True, check=True).stdout
    assert all(word in text for word in ("agreeable: every answer is a 4.", "`says`", "`parrot`"))
    assert json.loads(called(folder, "plan", "study.yaml", "--json"))["study"] == "own"


def test_what_a_judge_says_and_which_engine_answers_are_in_the_key(folder: Path) -> None:
    (folder / "other.yaml").write_text(STUDY.replace(", engine: parrot", "").replace("says: '2'", "says: '3'"))
    said = called(folder, "diff", "study.yaml", "other.yaml")
    assert "sampling.engine: parrot" in said
    assert "benchmark.judge.says: 2 -> 3" in said


def test_an_unknown_mode_and_a_judge_too_many_are_told(folder: Path) -> None:
    text = STUDY.replace("mode: agreeable", "mode: agreable").replace(
        "mode: generate", "mode: generate, judge: {says: x}"
    )
    (folder / "wrong.yaml").write_text(text)
    said = called(folder, "check", "wrong.yaml", succeeds=False)
    assert "'agreable' is not allowed here" in said
    assert "near: agreeable" in said
    assert "`judge` has no effect with `mode: generate`" in said
