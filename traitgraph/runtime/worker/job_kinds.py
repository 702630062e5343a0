"""Which function runs which kind of job, and which model its parameters have.

Built-in kinds stand in one table; other packages add kinds by an entry point in the group `traitgraph.jobs`, whose name
is the kind and whose value is "module:function". Functions are imported on first use.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.specs.jobs import params
from traitgraph.specs.jobs.params import JobParams, JobRow
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.cluster import JOB_PLUGINS

JobFunction = Callable[[JobContext, JobParams], None]

ENTRY_POINTS = JOB_PLUGINS

JOB_FUNCTIONS: dict[str, str] = {
    "prepare": "traitgraph.runtime.models.gguf:prepare",
    "generate": "traitgraph.runtime.decoding.job:generate",
    "train": "traitgraph.runtime.training.training:train",
    "train_joint": "traitgraph.runtime.training.training:train_joint",
    "activations": "traitgraph.runtime.steering.activations:activations",
    "neurons": "traitgraph.runtime.steering.neurons:neurons",
    "vector": "traitgraph.runtime.vectors.vectors:vector",
    "merge": "traitgraph.runtime.merging.job:merge",
    "assess": "traitgraph.runtime.assessment.job:assess",
    "analyse": "traitgraph.runtime.analyses.job:analyse",
    "collect": "traitgraph.runtime.report.results:collect",
}

_PARAMS: dict[str, type[JobParams]] = {
    model.kind: model
    for model in vars(params).values()
    if isinstance(model, type) and issubclass(model, JobParams) and model is not JobParams
}


class UnknownKindError(LookupError):
    """No function is registered for a kind of job, or it cannot be imported."""


@dataclass(frozen=True)
class JobKind:
    """The function of a kind, imported, with the model of its parameters."""

    name: str
    function: JobFunction
    params: type[JobParams]

    @property
    def uses_torch(self) -> bool:
        """Whether torch must be there, seeded, before the function starts."""
        return not getattr(self.function, "without_torch", False)

    def validated(self, row: JobRow) -> JobParams:
        """Parameters of a row as the kind's model.

        Raises ValueError when they do not fit, when the row was written for another version of the kind, or when a
        default would take the place of what the row leaves out: work is only done under a key that says it.
        """
        if row.version != self.params.version:
            raise ValueError(
                f"job kind '{self.name}': the plan was made for version {row.version}, this program has version "
                f"{self.params.version}; plan again with the installed traitgraph"
            )
        params = self.params.model_validate(row.params)
        read = params.model_dump(mode="json", include=set(row.params))
        if differs := [name for name, value in row.params.items() if encode(value) != encode(read[name])]:
            raise ValueError(
                f"job kind '{self.name}': what the plan says of {', '.join(differs)} is not what this program reads; "
                "plan again with the installed traitgraph"
            )
        return params


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def is_known(kind: str) -> bool:
    """Whether this program or a plugin can run jobs of the kind; plugins are looked for only when it is not ours."""
    return kind in JOB_FUNCTIONS or kind in _plugins()


def job_kind(name: str) -> JobKind:
    """The kind of this name. Raises UnknownKindError with the known names."""
    if name in JOB_FUNCTIONS:
        return JobKind(name, _imported(name, JOB_FUNCTIONS[name]), _PARAMS[name])
    plugins = _plugins()
    if name not in plugins:
        known = ", ".join(sorted({*JOB_FUNCTIONS, *plugins}))
        raise UnknownKindError(f"no runtime for job kind '{name}'; known kinds: {known}")
    return _plugin(plugins[name])


def _imported(kind: str, target: str) -> JobFunction:
    module, _, attribute = target.partition(":")
    try:
        return typing.cast("JobFunction", getattr(import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise UnknownKindError(f"the runtime of job kind '{kind}' ({target}) cannot be imported: {error}") from error


def _plugin(point: EntryPoint) -> JobKind:
    function = _imported(point.name, point.value)
    params = typing.get_type_hints(function).get("params")
    if not (isinstance(params, type) and issubclass(params, JobParams)):
        raise UnknownKindError(
            f"job kind '{point.name}' ({point.value}): its function must annotate `params` with a subclass of JobParams"
        )
    return JobKind(point.name, function, params)
