"""Task arithmetic: theta = base + lambda * sum_k w_k phi_k (Ilharco et al. 2022, arXiv:2212.04089).

One vector and w = alpha is the intensity sweep of a trait (arXiv:2509.19727); alpha < 0 is negation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from traitgraph.specs.merge_methods import MergeMethod, TaskArithmetic

from ..steps import Steps, unchanged


def steps(options: MergeMethod) -> Steps:
    """A scaled sum; `normalise` divides by the sum of the coefficients."""
    chosen = cast("TaskArithmetic", options)
    scale = 1.0 if chosen.scale is None else chosen.scale
    return Steps(scale=scale, coefficients=normalised if chosen.normalise else unchanged)


def normalised(weights: Sequence[float]) -> list[float]:
    """Coefficients divided by their sum (left alone when that is 0)."""
    total = sum(weights)
    return [weight / total for weight in weights] if abs(total) > 1e-8 else list(weights)
