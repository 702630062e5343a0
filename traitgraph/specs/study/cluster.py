"""A SLURM site in one file: where tasks run, what they ask for, and what happens when it was not enough.

Nothing here changes a result, so nothing here is hashed: the same study on another cluster has the same job keys.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import KnownName

from .job_kinds import KINDS


def job_methods() -> tuple[str, ...]:
    """What tells jobs of a kind apart: methods of training, and kinds of benchmark."""
    from .benchmarks import BENCHMARKS
    from .training import TRAININGS

    return (*TRAININGS.names(), *BENCHMARKS.names(), "layer_similarity")


JobKindName = Annotated[str, KnownName("kind of job", KINDS.names)]

EnvironmentName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]


class Resources(Spec):
    """What one task asks of SLURM. A field left out keeps the value of the wider rule."""

    nodes: PositiveInt | None = Field(
        None, description="Nodes of a training, by torchrun; every other task takes one node, whatever this says."
    )
    gpus: int | None = Field(None, ge=0, description="GPUs on each node.")
    gpu_type: str | None = Field(None, description="Type as SLURM names it ('a100', a MIG slice '1g.10gb'); none: any.")
    model_parallel: bool | None = Field(
        None,
        description="Training: one process spreads the model over all GPUs of one node, for a model that no single one "
        "holds; otherwise each GPU has a process and a copy (torchrun). Other jobs spread a model that needs it.",
    )
    cpus: PositiveInt | None = Field(None, description="CPU cores on each node.")
    memory_gb: float | None = Field(
        None, ge=0, description="Memory on each node; 0: all that it has; null: nothing is asked for (no --mem). [GiB]"
    )
    minutes: PositiveInt | None = Field(
        None, description="Time limit of one task, which holds work for about half of it. [minutes]"
    )
    partition: str | None = Field(None, description="Partition of these tasks.")
    account: str | None = Field(None, description="Account that pays.")
    qos: str | None = Field(None, description="Quality of service.")
    constraint: str | None = Field(None, description="Node features, as sbatch takes them ('a100&nvlink').")

    def under(self, narrower: Resources) -> Resources:
        """These resources with every field that the narrower rule sets replaced by it."""
        said = narrower.model_dump()
        return self.model_copy(update={name: said[name] for name in said if said[name] is not None or name == MEMORY})

    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Fields that nothing sets stay out, so that memory left out and memory not asked for remain two things."""
        fields: dict[str, object] = plain(self)
        return {name: value for name, value in fields.items() if value is not None or name in self.model_fields_set}


MEMORY = "memory_gb"
"""The one field in which `null` is a word of its own."""


BARE = Resources(nodes=1, gpus=0, cpus=1, memory_gb=4, minutes=60)
"""What a task asks for when a cluster file says nothing."""


class Rule(Spec):
    """Resources for some of the tasks: those that meet every condition given."""

    kind: JobKindName | None = Field(None, description="Kind of job.")
    method: Annotated[str, KnownName("method of training or kind of benchmark", job_methods)] | None = Field(
        None, description="Method of training, or kind of benchmark."
    )
    billions_from: float | None = Field(None, ge=0, description="Models of at least this size. [1e9 parameters]")
    billions_below: float | None = Field(None, gt=0, description="Models smaller than this. [1e9 parameters]")
    resources: Resources = Field(description="What these tasks ask for; later rules win.")

    def meets(self, kind: str, method: str | None, billions: float | None) -> bool:
        """Whether a task is one of those the rule speaks of; an unknown size meets no condition on size."""
        if self.kind not in (None, kind) or self.method not in (None, method):
            return False
        if self.billions_from is None and self.billions_below is None:
            return True
        return billions is not None and (self.billions_from or 0) <= billions < (self.billions_below or math.inf)


class Escalation(Spec):
    """How `retry` asks for more when a task ran out of something."""

    memory: float = Field(1.5, ge=1, description="Factor on memory after running out of it. [x]")
    minutes: float = Field(2.0, ge=1, description="Factor on the time limit after reaching it. [x]")
    memory_gb_most: float | None = Field(None, gt=0, description="Never ask for more on a node. [GiB]")
    minutes_most: PositiveInt | None = Field(None, description="Never ask for a longer limit. [minutes]")


class SiteLimits(Spec):
    """Limits of the site; what is left out is read from the controller and from accounting."""

    array_size: PositiveInt | None = Field(None, description="MaxArraySize: one above the largest array index.")
    submitted: PositiveInt | None = Field(
        None, description="Jobs you may have in the queue, each array element counted (MaxSubmitJobs)."
    )


class Cluster(Spec):
    """A SLURM site: defaults, resources per kind of job, and the environment of a task."""

    partition: str | None = Field(None, description="Partition of all tasks; none: the site's default.")
    account: str | None = Field(None, description="Account that pays.")
    qos: str | None = Field(None, description="Quality of service.")
    constraint: str | None = Field(None, description="Node features, as sbatch takes them.")
    gpu_request: Literal["gres", "gpus-per-node"] = Field(
        "gres", description="sbatch option that asks for GPUs: gres, or gpus-per-node."
    )
    default: Resources = Field(BARE, description="What every task asks for, unless a later rule says otherwise.")
    kinds: dict[JobKindName, Resources] = Field(default_factory=dict, description="Resources by kind of job.")
    rules: tuple[Rule, ...] = Field((), description="Resources by kind, method and model size; later rules win.")
    escalation: Escalation = Field(Escalation(), description="What `retry` does after out-of-memory and time-out.")
    setup: tuple[str, ...] = Field((), description="Shell lines before the task: modules, environment, exports.")
    python: str | None = Field(None, description="Interpreter on the compute nodes; none: the one that submits.")
    prefix: tuple[str, ...] = Field((), description="Words before the interpreter, such as a container's `exec` line.")
    environment: tuple[EnvironmentName, ...] = Field(
        (), description="Names of variables that tasks need; submission refuses to start while one is not set."
    )
    store: str | None = Field(None, description="Folder of the store, visible to all nodes; none: the --store given.")
    scratch: str | None = Field(
        None, description="Fast folder on the node for temporary files; may hold shell variables such as $SLURM_JOB_ID."
    )
    throttle: PositiveInt | None = Field(None, description="Elements of one array that may run at once.")
    signal_seconds: int = Field(90, ge=5, description="Warning before the time limit, to save and requeue. [s]")
    continuations: int = Field(
        20, ge=0, description="Times a task that reaches its limit may be requeued to go on from its checkpoint."
    )
    limits: SiteLimits = Field(SiteLimits(), description="Limits of the site, where it does not tell them.")
    options: dict[str, str] = Field(
        default_factory=dict, description="Further sbatch options, long names without dashes ('mail-type: END')."
    )

    @field_validator("options")
    @classmethod
    def _not_ours(cls, options: dict[str, str]) -> dict[str, str]:
        taken = sorted(set(options) & OPTIONS_WE_SET)
        if taken:
            raise ValueError(f"`{taken[0]}` is set by traitgraph; {OPTION_FIELDS.get(taken[0], 'leave it out')}")
        wrong = [name for name in options if not re.fullmatch("[a-z][a-z0-9-]*", name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no long sbatch option; write it without dashes in front")
        return options

    @model_validator(mode="after")
    def _time_to_save(self) -> Self:
        shortest = min((self.resources_of(kind, None, None).minutes or 60) for kind in ("", *self.kinds))
        if self.signal_seconds > shortest * 60 / 2:
            raise ValueError(f"`signal_seconds` of {self.signal_seconds} is more than half of {shortest} minutes")
        return self

    def resources_of(self, kind: str, method: str | None, billions: float | None) -> Resources:
        """What a task of this kind, method and model size [1e9 parameters] asks for; later, narrower rules win."""
        site = Resources(partition=self.partition, account=self.account, qos=self.qos, constraint=self.constraint)
        found = BARE.under(site).under(self.default)
        found = found.under(self.kinds[kind]) if kind in self.kinds else found
        for rule in self.rules:
            found = found.under(rule.resources) if rule.meets(kind, method, billions) else found
        return found


OPTION_FIELDS = {
    "partition": "use `partition`",
    "account": "use `account`",
    "qos": "use `qos`",
    "constraint": "use `constraint`",
    "time": "use `default: {minutes}`",
    "mem": "use `default: {memory_gb}`",
    "nodes": "use `default: {nodes}`",
    "cpus-per-task": "use `default: {cpus}`",
    "gres": "use `default: {gpus}`",
    "gpus-per-node": "use `default: {gpus}`",
}
OPTIONS_WE_SET = frozenset(OPTION_FIELDS) | {
    "array", "dependency", "error", "hold", "job-name", "kill-on-invalid-dep", "ntasks", "ntasks-per-node", "open-mode",
    "output", "parsable", "requeue", "signal",
}  # fmt: skip
