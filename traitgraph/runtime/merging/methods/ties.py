"""TIES (Yadav et al. 2023, arXiv:2306.01708), on v_k = w_k phi_k.

1 trim      keep the share `density` of largest |phi_k|, others 0
2 elect     s = sgn(sum_k v_k) element by element; where the sum is 0: +
3 merge     mean of the v_k that have the sign s, zeros not counted
4 scale     theta = base + lambda * mean

With w = 1 this is the paper. Weighting before the election makes a negative coefficient a vector of opposite sign, and
dividing by the number (not the weight) of the agreeing keeps the meaning of a single vector's alpha.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Election, Kept, Steps, Trim
from traitgraph.specs.study.merge_methods import Breadcrumbs, DareTies, Della, Ties


def steps(options: Ties) -> Steps:
    """Trim, elect, disjoint mean."""
    trim = Trim(options.density, options.scope or "model", kept_rule(options))
    return Steps(sparsify=(trim,), election=election(options), mean=options.mean or "count", scale=options.scale)


def kept_rule(options: Ties | DareTies) -> Kept:
    """Which elements at the cut are kept: the published programs count differently by one element."""
    if options.kept == "exact":
        return "exact_or_one" if options.conventions == "mergekit" else "exact"
    return "mergelm" if options.conventions in ("mergelm", "personality-vector-repo") else "threshold"


def election(options: Ties | DareTies | Breadcrumbs | Della) -> Election | None:
    """How the sign of each element is elected; None where the convention runs no election."""
    if options.elect is None:
        return None
    draw = None if isinstance(options, Breadcrumbs) else options.zero_sum
    return Election(options.elect, options.elect_on or "weighted", draw or "positive")
