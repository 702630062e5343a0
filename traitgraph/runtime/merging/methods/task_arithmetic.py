"""Task arithmetic: theta = base + lambda * sum_k w_k phi_k (Ilharco et al. 2022, arXiv:2212.04089).

One vector and w = alpha is the intensity sweep of a trait (arXiv:2509.19727); alpha < 0 is negation.
`normalise` divides by sum_k w_k (mergekit's option): a common factor of the coefficients then cancels.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps, coefficients_of
from traitgraph.specs.study.merge_methods import TaskArithmetic


def steps(options: TaskArithmetic) -> Steps:
    """A scaled sum."""
    return Steps(scale=options.scale or 0.0, coefficients=coefficients_of(options))
