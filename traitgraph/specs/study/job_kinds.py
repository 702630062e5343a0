"""One record for each kind of job: what the compiler, the worker, the launchers and the report know of it.

A package outside adds a kind by a record in the module that its entry point names. The models of the parameters stand
in `specs/jobs/params.py` and the functions in the runtime: both are named here as text and imported on first use. A
cluster file names kinds; else this knows nothing of how a study is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import ClassVar

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.registry import Registry, UnknownNameError


class JobParams(Spec):
    """Everything that changes the result of one kind of job.

    `row_fields` vary inside a stage and are hashed per row; all other fields are hashed once per stage. The split is
    fixed per kind, so that one alpha alone and the same alpha in a grid have the same key.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    row_fields: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class JobKind:
    """What one kind of job is."""

    name: str
    model: str
    """'module:Class' of its parameters, a `JobParams`: what is hashed, the version of the kind and its row fields."""
    function: str
    """'module:function' that runs it, called with a `JobContext` and the parameters."""
    makes: str
    """For people: what lies in the artifact."""
    inputs: tuple[str, ...] = ()
    """Names of the inputs that it may have."""
    order: int = 55
    """Of stages that could run now, the lowest comes first."""
    is_means: bool = False
    """Whether a job without a reader answers no question, and is left out."""
    packs_with: str = ""
    """Kind whose tasks its jobs share; empty: its own."""
    is_training: bool = False
    """Whether several processes, on one node or more, can share a job, which keeps a record of its losses."""
    seconds: tuple[float, float] = (1, 60)
    """What a job takes whatever the model's size, at least and at most; ours."""

    @cached_property
    def params(self) -> type[JobParams]:
        """The model of its parameters. Raises ImportError or AttributeError where there is none of that name."""
        module, _, name = self.model.partition(":")
        found: type[JobParams] = getattr(import_module(module), name)
        return found

    @property
    def version(self) -> int:
        """Part of every key: it rises when the same parameters lead to another result."""
        return self.params.version

    @property
    def row_fields(self) -> tuple[str, ...]:
        """Parameters that vary inside a stage."""
        return self.params.row_fields

    @property
    def group(self) -> str:
        """The kind after which the tasks that hold its jobs are named."""
        return self.packs_with or self.name


_PARAMS, _RUNTIME = "traitgraph.specs.jobs.params", "traitgraph.runtime"

_BUILT_IN = (
    JobKind(
        "prepare", f"{_PARAMS}:PrepareParams", f"{_RUNTIME}.models.loading:prepare",
        "a folder that transformers can load, from a GGUF file",
        order=0, is_means=True, seconds=(10, 90),
    ),
    JobKind(
        "generate", f"{_PARAMS}:GenerateParams", f"{_RUNTIME}.decoding.job:generate",
        "dialogues of a trait and level, written with an expert",
        inputs=("model", "expert_model", "expert", "anti"), order=10, is_means=True, seconds=(1, 10),
    ),
    JobKind(
        "train", f"{_PARAMS}:TrainParams", f"{_RUNTIME}.training.training:train",
        "an adapter (or full weights) for one trait and level",
        inputs=("model", "data"), order=20, is_means=True, is_training=True, seconds=(5, 40),
    ),
    JobKind(
        "train_joint", f"{_PARAMS}:TrainJointParams", f"{_RUNTIME}.training.training:train",
        "one adapter for all levels of a trait, or for all traits",
        inputs=("model", "data"), order=30, is_means=True, packs_with="train", is_training=True, seconds=(5, 40),
    ),
    JobKind(
        "activations", f"{_PARAMS}:ActivationsParams", f"{_RUNTIME}.subjects.activations:activations",
        "mean activations of a trait, highest level minus lowest, at each layer",
        inputs=("model", "data"), order=40, is_means=True, seconds=(1, 10),
    ),
    JobKind(
        "neurons", f"{_PARAMS}:NeuronsParams", f"{_RUNTIME}.subjects.neurons:neurons",
        "statistics of the MLP's gates at both levels of a trait",
        inputs=("model", "data"), order=50, is_means=True, seconds=(1, 10),
    ),
    JobKind(
        "vector", f"{_PARAMS}:VectorParams", f"{_RUNTIME}.vectors.vectors:vector",
        "phi = tuned - base, as LoRA factors or tensors, with norms",
        inputs=("model", "tuned", "tuned_model", "opposite"), order=60, is_means=True, packs_with="assess",
        seconds=(1, 20),
    ),
    JobKind(
        "merge", f"{_PARAMS}:MergeParams", f"{_RUNTIME}.merging.recipe:merge",
        "a recipe's record (and weights, when they are kept)",
        inputs=("model", "vectors", "onto"), order=70, packs_with="assess", seconds=(0.01, 1),
    ),
    JobKind(
        "assess", f"{_PARAMS}:AssessParams", f"{_RUNTIME}.assessment.job:assess",
        "answers.jsonl and metrics.jsonl of one subject",
        inputs=("model", "tuned", "merge", "activations", "neurons", "data", "examples", "judge_model"),
        order=80, seconds=(0.5, 5),
    ),
    JobKind(
        "analyse", f"{_PARAMS}:AnalyseParams", f"{_RUNTIME}.analyses.job:analyse",
        "metrics.jsonl of a comparison across subjects",
        inputs=("vectors", "assess"), order=90,
    ),
    JobKind(
        "collect", f"{_PARAMS}:CollectParams", f"{_RUNTIME}.results.collect:collect",
        "one table of the metrics of every assessment",
        inputs=("assess", "analyse"), order=100, seconds=(0.5, 10),
    ),
)  # fmt: skip

KINDS: Registry[JobKind] = Registry("job kind", "traitgraph.jobs", _BUILT_IN, base=JobKind)


def kind_of(name: str) -> JobKind:
    """The record of a kind. Raises UnknownNameError, and TypeError when a package gives something else."""
    kind: object = KINDS.get(name)
    if not isinstance(kind, JobKind) or kind.name != name:
        raise TypeError(f"the entry point '{name}' (group {KINDS.group}) must name the JobKind '{name}', not {kind!r}")
    return kind


def is_training(name: str) -> bool:
    """Whether jobs of a kind train a model; a kind that nobody knows does not."""
    return (kind := _kind_if_known(name)) is not None and kind.is_training


def place_of(name: str) -> int:
    """The place of a kind among those that could run; a kind that nobody knows comes last."""
    return kind.order if (kind := _kind_if_known(name)) else 1_000


def row_fields_of(name: str) -> tuple[str, ...]:
    """Parameters of a kind that vary inside a stage; none of a kind that nobody knows."""
    return kind.row_fields if (kind := _kind_if_known(name)) else ()


def _kind_if_known(name: str) -> JobKind | None:
    try:
        return kind_of(name)
    except (UnknownNameError, TypeError):
        return None
