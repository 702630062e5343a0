"""DELLA's drop by rank of magnitude (arXiv:2406.11617) without the election: a weighted sum."""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps, coefficients_of
from traitgraph.specs.study.merge_methods import DellaLinear

from .della import rank_drop


def steps(options: DellaLinear) -> Steps:
    """Ranked drop, sum."""
    return Steps(sparsify=(rank_drop(options),), scale=options.scale or 0.0, coefficients=coefficients_of(options))
