"""Common-mode removal: theta = base + lambda * sum_k w_k (phi_k - mean_j phi_j).

Personality vectors point in similar directions (cosines above 0.3, arXiv:2509.19727): what they share is a style of
talking rather than a trait. The mean is over all vectors given, also those of coefficient 0.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps, without_mean
from traitgraph.specs.study.merge_methods import CommonMode


def steps(options: CommonMode) -> Steps:
    """A scaled sum of the vectors less their mean."""
    return Steps(scale=options.scale or 0.0, coefficients=without_mean)
