"""What of the language this version can assess: asked by a run before it starts, and once more by each job."""

from __future__ import annotations

from traitgraph.specs.benchmarks import (
    ResolvedBenchmark,
    ResolvedLmEval,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
)
from traitgraph.specs.jobs import Prompt


def lacking_benchmark(benchmark: ResolvedBenchmark) -> str | None:
    """Why a benchmark cannot be run, as a short phrase; None when it can."""
    match benchmark:
        case ResolvedReplyContrast() | ResolvedLmEval() | ResolvedQuestionnaire(mode="choice" | "generate"):
            return None
        case ResolvedQuestionnaire():
            return f"questionnaires in mode '{benchmark.mode}'"
    return f"benchmark kind '{benchmark.kind}'"


def lacking_subject(prompt: Prompt | None, steering: object, neurons: object) -> str | None:
    """Why a subject cannot be made, as a short phrase; None when it can."""
    if steering or neurons:
        return "steered subjects"
    if prompt and prompt.examples and prompt.examples.redraw:
        return "demonstrations that are drawn anew in each repeat"
    return None
