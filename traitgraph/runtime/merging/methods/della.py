"""DELLA (Deep et al. 2024, arXiv:2406.11617): drop by rank of magnitude, elect signs, disjoint mean.

Rank r = 0..m-1 of |phi| within its row of m; keep probability p = density - epsilon + 2 epsilon r / (m - 1); what stays
is divided by its own p, so that E[phi~] = phi.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import RankDrop, Steps
from traitgraph.specs.study.merge_methods import Della, DellaLinear

from .ties import election


def steps(options: Della) -> Steps:
    """Ranked drop, election, disjoint mean."""
    return Steps(
        sparsify=(rank_drop(options),),
        election=election(options),
        mean=options.mean or "count",
        scale=options.scale or 0.0,
    )


def rank_drop(options: Della | DellaLinear) -> RankDrop:
    """The drop of both forms. Raises MergeError when a keep probability would leave (0, 1)."""
    return RankDrop(options.density, options.epsilon, options.seed, options.rescale or "inverse")
