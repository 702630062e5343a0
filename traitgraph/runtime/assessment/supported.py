"""What of the language this version can assess: asked by a run before it starts, and once more by each job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from traitgraph.specs.benchmarks import (
    ResolvedBenchmark,
    ResolvedLmEval,
    ResolvedOpenQuestions,
    ResolvedPlugin,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
)
from traitgraph.specs.jobs import AssessParams, Prompt
from traitgraph.specs.registry import Registry

from ..context import JobContext
from .measurement import Measurement

if TYPE_CHECKING:
    from ..models import LoadedModel

Measure = Callable[[JobContext, "LoadedModel", AssessParams, ResolvedPlugin], Measurement]

MEASURES: Registry[Measure] = Registry("function of a benchmark", "traitgraph.measures", {})
"""Benchmarks of other packages: kind -> the function that measures the model as it stands."""


def lacking_benchmark(benchmark: ResolvedBenchmark) -> str | None:
    """Why a benchmark cannot be run, as a short phrase; None when it can."""
    match benchmark:
        case ResolvedReplyContrast() | ResolvedLmEval() | ResolvedQuestionnaire() | ResolvedOpenQuestions():
            return None
        case ResolvedPlugin() if benchmark.benchmark in MEASURES.names():
            return None
        case ResolvedPlugin():
            return f"benchmark '{benchmark.benchmark}', for which no package gives a function (`{MEASURES.group}`)"
    return f"benchmark kind '{benchmark.kind}'"


def lacking_subject(prompt: Prompt | None, steering: object, neurons: object) -> str | None:
    """Why a subject cannot be made, as a short phrase; None when it can."""
    if steering or neurons:
        return "steered subjects"
    if prompt and prompt.examples and prompt.examples.redraw:
        return "demonstrations that are drawn anew in each repeat"
    return None
