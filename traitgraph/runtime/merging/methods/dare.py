"""DARE (Yu et al. 2023, arXiv:2311.03099): m ~ Bernoulli(density); phi~ = m * phi / density, then a weighted sum.

E[phi~] = phi. Masks depend on the seed, the vector and the tensor's name alone: see `masks`.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Drop, Steps, coefficients_of
from traitgraph.specs.study.merge_methods import Dare


def steps(options: Dare) -> Steps:
    """Random drop, rescale, sum."""
    drop = Drop(options.density, options.seed, options.rescale or "inverse")
    return Steps(sparsify=(drop,), scale=options.scale or 0.0, coefficients=coefficients_of(options))
