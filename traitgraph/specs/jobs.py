"""The job row: the one document that compiler and runtime share.

The compiler writes rows, the runtime reads them; neither imports the other. A parameter model lists, per kind, all
that changes the result of the job and nothing else: it is hashed whole into the job key (with the keys of the inputs).
What only helps to find or run the work (paths, resources, names of arms) stands beside it and is never hashed.

kind       makes                                                       inputs
prepare    a folder transformers can load, from a GGUF file            -
train      an adapter (or full weights) for one trait and level        model?
vector     phi = tuned - base, as LoRA factors or tensors, with norms   model?, tuned
merge      a recipe's record (and weights, when they are kept)         model?, vectors...
assess     answers.jsonl and metrics.jsonl of one subject              model?, tuned? or merge?
collect    one table of the metrics of every assessment                assess...
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from .benchmarks import ResolvedBenchmark
from .merge_methods import AnyMerge
from .refs import DataRef as DataRef
from .refs import Digest as Digest
from .refs import Dtype as Dtype
from .refs import FileData as FileData
from .refs import FolderModel as FolderModel
from .refs import GeneratedData as GeneratedData
from .refs import GgufModel as GgufModel
from .refs import HubData as HubData
from .refs import HubModel as HubModel
from .refs import ModelRef as ModelRef
from .spec import Spec
from .training import AnyTraining
from .traits import Level, Trait


class JobParams(Spec):
    """Everything that changes the result of one kind of job.

    `row_fields` vary inside a stage and are hashed per row; all other fields are hashed once per stage. The split is
    fixed per kind, so that one alpha alone and the same alpha in a grid have the same key.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    row_fields: ClassVar[tuple[str, ...]] = ()


class PrepareParams(JobParams):
    """Convert a GGUF file once into a folder of safetensors."""

    kind: ClassVar[str] = "prepare"
    model: GgufModel


class TrainParams(JobParams):
    """Train one personality model: one trait, one level, one seed."""

    kind: ClassVar[str] = "train"
    row_fields: ClassVar[tuple[str, ...]] = ("trait", "level", "seed")
    model: ModelRef
    data: DataRef
    training: AnyTraining
    trait: Trait
    level: Level
    seed: int


class VectorParams(JobParams):
    """phi = theta_tuned - theta_base; low-rank factors stay factors."""

    kind: ClassVar[str] = "vector"
    model: ModelRef


class MergeParams(JobParams):
    """theta = base + merge(alpha_k phi_k); `coefficients` stand in the order of the input `vectors`."""

    kind: ClassVar[str] = "merge"
    row_fields: ClassVar[tuple[str, ...]] = ("coefficients",)
    model: ModelRef
    method: AnyMerge
    coefficients: tuple[Decimal, ...] = Field(description="Alpha of each vector.")
    keep: Literal["recipe", "weights"] = Field("recipe", description="Whether merged weights are written to disk.")


class Prompt(Spec):
    """The prompt that makes a subject: text that precedes every conversation."""

    system: str = Field(description="System message.")


class Sampling(Spec):
    """How answers are drawn."""

    temperature: float = Field(0.6, ge=0, description="Softmax temperature; 0 takes the most likely answer.")
    repeats: int = Field(5, ge=1, description="Independent administrations of each sampled benchmark.")
    seed: int = Field(0, ge=0, description="Seed of the first repeat; repeat r uses a stream of its own.")
    max_new_tokens: int = Field(128, ge=1, description="Longest free answer. [tokens]")


class AssessParams(JobParams):
    """Administer one benchmark to one subject (base, prompted, adapter, merge)."""

    kind: ClassVar[str] = "assess"
    row_fields: ClassVar[tuple[str, ...]] = ("prompt",)
    model: ModelRef
    benchmark: ResolvedBenchmark
    sampling: Sampling | None = Field(None, description="Only for a benchmark that draws answers; else absent.")
    prompt: Prompt | None = None


class CollectParams(JobParams):
    """Put the metrics of all assessments into one table."""

    kind: ClassVar[str] = "collect"


ROW_FIELDS: dict[str, tuple[str, ...]] = {params.kind: params.row_fields for params in JobParams.__subclasses__()}
"""Kind -> the parameters that vary inside a stage."""


class JobRow(Spec):
    """One job as it travels: to a worker process, to SLURM, into the artifact's record."""

    key: Digest
    kind: str
    version: int
    params: dict[str, object] = Field(description="The parameter model of the kind, as plain data.")
    inputs: dict[str, tuple[Digest, ...]] = Field(default_factory=dict, description="Input name -> keys, in order.")
    label: str = Field("", description="For people: 'train extraversion high'. Never hashed.")


class Task(Spec):
    """Jobs that run one after the other in one process because they share a loaded model."""

    id: str = Field(description="Stage and number, '02-assess-000': also the name of its log.")
    jobs: tuple[Digest, ...]
    after: tuple[str, ...] = Field((), description="Tasks that must have ended before.")
    minutes: float | None = Field(None, ge=0, description="Expected length, a guess for time limits. [minutes]")
    billions: float | None = Field(None, gt=0, description="Size of the loaded model, where known. [1e9 parameters]")


class JobTable(Spec):
    """A frozen run: everything that workers need, nothing that they look up elsewhere."""

    format: Literal[1] = 1
    study: str
    locations: dict[str, str] = Field(description="Digest of a file or folder -> path on this machine.")
    rows: tuple[JobRow, ...]
    tasks: tuple[Task, ...]
