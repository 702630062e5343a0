"""Magnitude pruning: keep the share `density` of largest |phi_k|, then lambda * sum_k w_k phi_k (as peft calls it)."""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps, Trim
from traitgraph.specs.study.merge_methods import MagnitudePrune


def steps(options: MagnitudePrune) -> Steps:
    """Trim, sum."""
    trim = Trim(options.density, options.scope or "model", options.kept or "threshold")
    return Steps(sparsify=(trim,), scale=options.scale or 0.0)
