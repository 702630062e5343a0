"""What of the language this version can assess: asked by a run before it starts, and once more by each job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from traitgraph.specs.benchmarks import ResolvedBenchmark, ResolvedPlugin
from traitgraph.specs.jobs import AssessParams
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
    if isinstance(benchmark, ResolvedPlugin) and benchmark.benchmark not in MEASURES.names():
        return f"benchmark '{benchmark.benchmark}', for which no package gives a function (`{MEASURES.group}`)"
    return None
