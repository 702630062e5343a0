"""Every field of the language changes what is made, and the runtime reads every parameter that is in a job's key."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pytest

from tests.compiler.test_fields import LANGUAGE, NOT_HASHED
from tests.end_to_end.reading.sitecustomize import READS
from tests.judge_server import JudgeServer, judge_server
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.jobs import params
from traitgraph.specs.study.analyses import LayerSimilarity
from traitgraph.specs.study.benchmarks import BENCHMARKS, Measured
from traitgraph.specs.study.job_kinds import JobParams
from traitgraph.specs.study.training import Sampling

from .commands import command, environment
from .effects import effects, name_of, write_study
from .values import models_in

pytestmark = pytest.mark.xdist_group("every-field")


NO_EFFECT = {
    **dict.fromkeys(("Arm.name", "Benchmark.name", "Study.study", "Study.description"), "names things"),
    **dict.fromkeys(("Arm.zip", "Arm.excluded", "Arm.included", "Arm.rules"), "chooses points: tests/compiler"),
    **dict.fromkeys(("HubModelSpec.id", "HubModelSpec.revision"), "asks the hub: tests/runtime/models/test_models.py"),
    **dict.fromkeys(("HubDataSpec.id", "HubDataSpec.revision", "HubDataSpec.config", "HubDataSpec.split"),
                    "asks the hub: tests/runtime/data/test_dialogues.py"),
    **dict.fromkeys(("PackagedModelSpec.package", "PackagedModelSpec.file", "PackagedModelSpec.digest"),
                    "a GGUF file of a package: tests/runtime/models/test_real_model.py"),
    **dict.fromkeys(("Generation.expert", "Generation.decoding", "GeneratedDataSpec.generate", "Study.arms"),
                    "holds fields that have lines of their own"),
    **dict.fromkeys(("SftTraining.method", "DpoTraining.method"), "follows the method of the arm"),
    **dict.fromkeys(("Measured.kind", "Analysis.kind", "TaskArithmetic.kind"), "every kind is an arm's"),
    "Sampling.engine": "there is one of ours: tests/end_to_end/test_plugin_answers.py",
    "Steer.operation": "others than `add` are of other packages: tests/end_to_end/test_steering_operators.py",
    "Training.max_cut": "lets rows be cut or refuses: tests/runtime/training/test_training.py",
    "Vocabulary.levels": "one position a study: tests/end_to_end/test_own_vocabulary.py",
    "TraitWords.letter": "names a trait in questionnaires: tests/runtime/assessment/questionnaires",
    "TraitWords.facet_of": "only chooses traits: tests/specs/study/test_declared_vocabularies.py",
    "Arm.alpha_of": "filled in from alpha",
    "ModelSpec.parameters": "for prices only: tests/compiler/test_price.py",
    "ModelSpec.trust_remote_code": "runs code of others: tests/runtime/models/test_models.py",
    "Study.cluster": "where it runs: tests/launchers/slurm",
    "Study.tracking": "mirrors the run: tests/end_to_end/test_tracking.py",
    "Study.file": "where the spec lies: not written in it",
    "Study.overrides": "what was typed behind the file: told in the report",
}  # fmt: skip
"""Fields of the language that change nothing that is made, and why; or what shows it instead."""

UNREAD = {
    "conventions": "its choices stand in the other options once a plan is made",
    "method": "the class of the training tells it",
    "numbers": "marks which reader of answers a key means",
    "harness": "marks which version of lm-eval a key means",
}
"""Parameters that tell keys apart and that nobody has to read, by the name of the field."""

ELSEWHERE = ("HubModel", "HubData", "GgufModel", "PrepareParams", "OperatorSteering", "PluginAnalysis")
"""Models of what this study cannot have: the hub, a GGUF file, parts of other packages. They have own tests."""

RATERS = {"api": ("url", "model", "temperature"), "local": ("model", "temperature")}
"""What a job carries of a judge, by its kind."""


@dataclass
class Done:
    """The run of the study of all arms."""

    folder: Path
    judge: JudgeServer

    @cached_property
    def jobs(self) -> dict[str, list[str]]:
        """Arm -> the jobs of its results, in order."""
        printed = subprocess.run(
            command("results", "study.yaml", "--json"),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            check=True,
        )
        found: dict[str, dict[str, None]] = {}
        for row in json.loads(printed.stdout):
            found.setdefault(row["arm"], {})[row["job"]] = None
        return {arm: list(keys) for arm, keys in found.items()}

    @cached_property
    def artifacts(self) -> dict[str, Path]:
        """Key -> folder."""
        return {path.parent.name: path.parent for path in (self.folder / ".traitgraph").glob("*/*/manifest.json")}

    def made(self, arm: str, file: str) -> list[bytes]:
        """The files of an arm's results; or of all that they were made from, KIND/NAME."""
        kind, _, name = file.partition("/")
        keys = self.jobs[arm] if not file else [key for each in self.jobs[arm] for key in self.ancestors(each)]
        folders = [self.artifacts[key] for key in dict.fromkeys(keys)]
        chosen = [folder for folder in folders if not kind or folder.parent.name == kind]
        paths = [path for folder in chosen for path in sorted(folder.rglob(name or "*.json*"))]
        return [_without_times(path) for path in paths if path.name != "manifest.json"]

    def ancestors(self, key: str) -> Iterator[str]:
        """The job itself and all that it was made from."""
        yield key
        inputs = json.loads((self.artifacts[key] / "manifest.json").read_text())["row"]["inputs"]
        for each in (each for keys in inputs.values() for each in keys):
            yield from self.ancestors(each)


def _without_times(path: Path) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    record = json.loads(path.read_text())
    return json.dumps({name: value for name, value in record.items() if name not in ("seconds", "params")}).encode()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """One run through the command line, whose workers note what they read."""
    folder = tmp_path_factory.mktemp("effects")
    (folder / "reads").mkdir()

    def told(prompt: str) -> str:
        """A rating, and what the judge was told; the requests of one job, which come side by side, are alike."""
        body = judge.bodies[-1]
        return f"4 ({judge.paths[-1]} {body['model']} {body['temperature']} {judge.authorizations[-1]})"

    with judge_server(told) as judge:
        study = write_study(folder, effects(judge.url))
        path = os.pathsep.join(filter(None, (str(Path(__file__).parent / "reading"), os.environ.get("PYTHONPATH"))))
        watched = {READS: str(folder / "reads"), "PYTHONPATH": path, "A_JUDGES_KEY": "secret"}
        ran = subprocess.run(
            command("run", study),
            cwd=folder,
            env={**environment(), **watched},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-4000:]
        yield Done(folder, judge)


EFFECTS = effects("")


@pytest.mark.parametrize("number", range(len(EFFECTS)), ids=map(str, EFFECTS))
def test_a_changed_field_changes_what_is_made(number: int, done: Done) -> None:
    effect = effects(done.judge.url)[number]
    before, after = (done.made(name_of(arm), effect.file) for arm in effect.arms)
    assert after
    assert before != after


def test_a_judge_is_asked_as_the_spec_says(done: Done) -> None:
    """Each of its address, its model, its temperature and its key reaches the other side."""
    asked = zip(done.judge.paths, done.judge.bodies, done.judge.authorizations, strict=True)
    seen = {(path.removeprefix("/v1"), body["model"], body["temperature"], key) for path, body, key in asked}
    assert seen == {
        ("/one/chat/completions", "judge-1", 0.0, None),
        ("/two/chat/completions", "judge-1", 0.0, None),
        ("/one/chat/completions", "judge-2", 0.0, None),
        ("/one/chat/completions", "judge-1", 0.5, None),
        ("/one/chat/completions", "judge-3", 0.0, None),
        ("/one/chat/completions", "judge-4", 0.0, "Bearer secret"),
    }


def fields_of(*modules: ModuleType) -> set[str]:
    """Every field by the class that first has it."""
    found = {f"Sampling.{name}" for name in Sampling.model_fields}
    for module in modules:
        for name, each in inspect.getmembers(module, inspect.isclass):
            if (
                issubclass(each, Spec)
                and each.__module__ == module.__name__
                and name not in (*NOT_HASHED, "JudgeLimits")
            ):
                inherited = {field for base in each.__mro__[1:] for field in getattr(base, "model_fields", {})}
                found |= {f"{name}.{field}" for field in each.model_fields if field not in inherited}
    return found


def test_no_field_of_the_language_is_without_its_effect() -> None:
    """A field that changes nothing must not be accepted; a new one comes with its line in `effects`."""
    shown = {effect.field for effect in EFFECTS}
    assert not shown & set(NO_EFFECT)
    assert fields_of(*LANGUAGE) - shown == set(NO_EFFECT)


def test_the_runtime_reads_every_parameter_of_a_job(done: Done) -> None:
    """What is in a key and is read by nobody was asked for and not done."""
    reads = {tuple(each) for file in (done.folder / "reads").glob("*.json") for each in json.loads(file.read_text())}
    models = {
        model for kind in JobParams.__subclasses__() if kind.__module__ == params.__name__ for model in models_in(kind)
    }
    fields = {(model.__name__, name) for model in models for name in model.model_fields if name != "kind"}
    forms: dict[str, type[Measured]] = {**dict(BENCHMARKS.items()), "layer_similarity": LayerSimilarity}
    fields |= {(kind, name) for kind, form in forms.items() for name in form.in_jobs}
    fields |= {(kind, name) for kind, names in RATERS.items() for name in names}
    unread = {(model, name) for model, name in fields - reads if model not in ELSEWHERE and name not in UNREAD}
    assert not unread
