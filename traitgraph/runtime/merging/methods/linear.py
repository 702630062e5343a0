"""Linear: theta = sum_k w_k theta_k / sum_k w_k, a mean of models (Wortsman et al. 2022, arXiv:2203.05482).

With theta_k = base + phi_k that is base + sum_k w_k phi_k / sum_k w_k. Without `normalise` the base has the weight
sum_k w_k.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps, coefficients_of
from traitgraph.specs.study.merge_methods import Linear


def steps(options: Linear) -> Steps:
    """A mean of the tuned models; not a task-vector method."""
    return Steps(coefficients=coefficients_of(options), keeps_base=bool(options.normalise))
