"""Assess a steered subject as a worker does, and see what is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.subjects.subjects import subject
from traitgraph.specs.jobs.params import AssessParams, NeuronSteering, Steering
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.study.vocabulary import Trait

if TYPE_CHECKING:
    import torch

TRAIT: Trait = "extraversion"


def contrast_of(
    model: FolderModel, data: FileData, steering: Steering | None = None, neurons: NeuronSteering | None = None
) -> AssessParams:
    """The reply contrast of a subject."""
    benchmark = {"kind": "reply_contrast", "data": data.model_dump(), "traits": [TRAIT]}
    return AssessParams.model_validate(
        {"model": model.model_dump(), "benchmark": benchmark, "steering": steering, "neurons": neurons}
    )


def assess_context(make_context: MakeContext, params: AssessParams, folder: Path) -> JobContext:
    """The context of an assessment with the artifact that its steering needs, if it has one."""
    name = "activations" if params.steering else "neurons" if params.neurons else None
    if name is None:
        return make_context(params)
    context = make_context(params, **{name: (folder,)})
    context.row = context.row.model_copy(update={"inputs": {name: ("a" * 32,)}})
    return context


def assessed(make_context: MakeContext, loaded: LoadedModel, params: AssessParams, folder: Path) -> Measurement:
    """What the benchmark finds about the subject."""
    context = assess_context(make_context, params, folder)
    with subject(context, loaded, params):
        return run_benchmark(context, loaded, params)


def hooks_of(model: torch.nn.Module) -> int:
    """How many hooks a model has."""
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())
