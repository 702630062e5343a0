"""The job row: the one document that compiler and runtime share.

The compiler writes rows, the runtime reads them; neither imports the other. A parameter model lists, per kind, all
that changes the result of the job and nothing else: it is hashed whole into the job key (with the keys of the inputs).
What only helps to find or run the work (paths, resources, names of arms) stands beside it and is never hashed. What
else there is to know of a kind of job stands in `specs/study/job_kinds.py`.
"""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, PlainSerializer

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.study.job_kinds import JobParams
from traitgraph.specs.study.merge_methods import MERGE_METHODS, MergeMethod
from traitgraph.specs.study.method import STEERING_OPERATORS, SteeringOperator
from traitgraph.specs.study.training import AnyTraining, Sampling
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait

from .refs import DataRef, Digest, FileData, GgufModel, HubData, ModelRef, ResolvedBenchmark

Number = Annotated[Decimal, PlainSerializer(number_text, return_type=str, when_used="json")]
"""An exact number, from the study to the arithmetic; text only in a row, in its canonical form: '0.3'."""


class Demonstrations(Spec):
    """Replies of a trait and level that stand in a prompt for {examples}."""

    data: DataRef
    trait: Trait
    level: Level
    count: int = Field(ge=1, description="How many replies.")
    seed: int = Field(description="Seed of the draw.")


class Prompt(Spec):
    """The prompt that makes a subject, and the context around it: text that precedes every conversation."""

    system: str = Field(description="The text; empty where there is a context alone.")
    place: Literal["user"] | None = Field(
        None, description="user: in front of every user message; absent: the system message."
    )
    examples: Demonstrations | None = Field(None, description="What stands for {examples} in the text.")
    before_system: str | None = Field(None, description="Text of a context: the head of the system message.")
    before_user: str | None = Field(None, description="Text of a context: the head of every user message.")


class Steering(Spec):
    """Activations shifted by coefficient * direction after one block, counted from 1."""

    layer: int
    coefficient: Number
    positions: Literal["all", "prompt", "response"]
    normalise: bool


class OperatorSteering(Steering):
    """Activations changed by another operator than `add`, which rows leave out: their keys are older than operators."""

    operation: Annotated[SteeringOperator, Choice(STEERING_OPERATORS, strict=False)]


class NeuronSteering(Spec):
    """Neurons of a trait's pole turned up by gamma, those of the other pole turned off (NPTI)."""

    level: Level
    opposite: Level | None = Field(None, description="The other pole; absent: low for high, high for low.")
    gamma: Number
    neurons: int
    difference: float
    share: float
    midpoint: float
    steepness: float
    seed: int


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


class TrainJointParams(JobParams):
    """Train one model for every level of a trait, or of all traits; `training.instruction` tells them apart."""

    kind: ClassVar[str] = "train_joint"
    row_fields: ClassVar[tuple[str, ...]] = ("trait", "seed")
    model: ModelRef
    data: DataRef
    training: AnyTraining
    trait: Trait | None = Field(None, description="Absent: rows of all traits.")
    traits: tuple[Trait, ...] | None = Field(None, description="All traits; absent: those of the Big Five with rows.")
    seed: int


class GenerateParams(JobParams):
    """One steered reply to each scenario for a trait and level: logits of the model and of an expert, combined."""

    kind: ClassVar[str] = "generate"
    row_fields: ClassVar[tuple[str, ...]] = ("trait", "level", "instruction", "opposite", "persona")
    model: ModelRef
    expert: ModelRef = Field(description="Base of the expert, or the expert itself when there is no input `expert`.")
    scenarios: Annotated[FileData | HubData, Field(discriminator="kind")]
    limit: int | None = Field(None, description="Only the first n scenarios.")
    combine: Literal["sum", "difference"]
    gamma: Number = Field(description="Strength of the expert.")
    filter_p: float | None = Field(None, description="Nucleus that the model's distribution is cut to first.")
    temperature: float
    top_p: float | None = None
    max_new_tokens: int
    seed: int
    trait: Trait
    level: Level
    instruction: str = Field(description="User message that the expert sees before the dialogue.")
    opposite: str | None = Field(None, description="That of the anti-expert; absent: the model itself is subtracted.")
    persona: Prompt | None = Field(None, description="Prompt that the writing model sees.")


class ActivationsParams(JobParams):
    """Mean activations at the highest level less those at the lowest, for one trait, after every block."""

    kind: ClassVar[str] = "activations"
    row_fields: ClassVar[tuple[str, ...]] = ("trait",)
    model: ModelRef
    data: DataRef
    read_out: Literal["response", "prompt", "last_prompt"]
    trait: Trait


class NeuronsParams(JobParams):
    """How often and how strongly each gate unit fires under prompts of the highest and of the lowest level."""

    kind: ClassVar[str] = "neurons"
    row_fields: ClassVar[tuple[str, ...]] = ("trait", *BIG_FIVE.ends)
    model: ModelRef
    data: DataRef = Field(description="Questions that are answered.")
    limit: int | None = Field(None, description="Only the first n questions of the trait.")
    repetition_penalty: float
    max_new_tokens: int
    quantile: float = Field(description="Quantile of the activations above zero that is measured.")
    trait: Trait
    high: Prompt = Field(description="Of the highest level.")
    low: Prompt = Field(description="Of the lowest level.")


class VectorParams(JobParams):
    """phi = theta_tuned - theta_base; low-rank factors stay factors.

    With the input `opposite`: theta_tuned - theta_opposite. With `tuned` a ready-made model instead of an input.
    """

    kind: ClassVar[str] = "vector"
    model: ModelRef
    tuned: ModelRef | None = Field(None, description="A ready-made tuned model of the same base.")
    names: dict[str, str] | None = Field(None, description="Start of a tensor's name in the base -> in `tuned`.")


class MergeParams(JobParams):
    """theta = base + merge(alpha_k phi_k); `coefficients` stand in the order of the input `vectors`."""

    kind: ClassVar[str] = "merge"
    row_fields: ClassVar[tuple[str, ...]] = ("coefficients", "onto")
    model: ModelRef
    method: Annotated[MergeMethod, Choice(MERGE_METHODS, strict=False)] = Field(description="With all its options.")
    coefficients: tuple[Number, ...] = Field(description="Alpha of each vector.")
    onto: Number | None = Field(None, description="Factor on the input `onto`, added to the base before the merge.")
    keep: Literal["recipe", "weights"] = Field("recipe", description="Whether merged weights are written to disk.")
    names: dict[str, str] | None = Field(
        None, description="Start of a tensor's name in the vectors -> its start in the model, where they differ."
    )


class AssessParams(JobParams):
    """Measure one subject (base, prompted, adapter, merge) with one benchmark."""

    kind: ClassVar[str] = "assess"
    row_fields: ClassVar[tuple[str, ...]] = ("prompt", "steering", "neurons")
    model: ModelRef
    benchmark: ResolvedBenchmark
    sampling: Sampling | None = Field(None, description="Only for a benchmark that draws answers; else absent.")
    prompt: Prompt | None = None
    steering: Steering | OperatorSteering | None = Field(None, description="How the input `activations` is applied.")
    neurons: NeuronSteering | None = Field(None, description="How the input `neurons` is applied.")


class VectorSimilarity(Spec):
    """Cosine of every two vectors, over all weights or layer by layer."""

    kind: Literal["vector_similarity"] = "vector_similarity"
    scope: Literal["model", "layer"]


class TraitCorrelation(Spec):
    """Correlations between measured traits over conditions, and their distance to a human matrix."""

    kind: Literal["trait_correlation"] = "trait_correlation"
    reference: Digest
    shuffles: int
    traits: tuple[Trait, ...] | None = Field(None, description="In the order of the matrix; absent: O C E A N.")


class PluginAnalysis(Spec):
    """An analysis of another package, which compares measured scores."""

    kind: Literal["plugin"] = "plugin"
    analysis: str = Field(description="The kind as a spec writes it.")
    options: dict[str, JsonValue] = Field({}, description="Every other field.")


class AnalyseParams(JobParams):
    """Compare subjects: their vectors, or their measured scores."""

    kind: ClassVar[str] = "analyse"
    row_fields: ClassVar[tuple[str, ...]] = ("conditions",)
    analysis: Annotated[VectorSimilarity | TraitCorrelation | PluginAnalysis, Field(discriminator="kind")]
    conditions: tuple[str, ...] | None = Field(None, description="Names of the inputs, in their order.")


class CollectParams(JobParams):
    """Put the metrics of all assessments into one table."""

    kind: ClassVar[str] = "collect"


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
    traits: tuple[Trait, ...] = Field((), description="Traits that rows may name; none: those of the Big Five.")
    rows: tuple[JobRow, ...]
    tasks: tuple[Task, ...]
