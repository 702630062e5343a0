"""What the record of a merge says: how large the change is, and how much of it survives the number format.

effective alpha   projection of what is really added on what was asked for: 1 is exact, 0 is lost, None: 0 was asked
relative error    |added - asked| / |asked|
kept fraction     share of the vectors' elements that sparsification leaves
sign conflicts    share of the changed elements that vectors change in opposite directions
Small changes vanish when they are rounded to bfloat16: weights near 0.02 have a step of 1.2e-4 (the dead zone).
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.vectors.differences import Difference, Gram, cosines, inner_product, norm_of_sum

from .composition import Composition
from .sample import Sample

if TYPE_CHECKING:
    import torch


WARN_BELOW = 0.9

InnerProduct = Callable[[Difference, Difference], float]


def statistics_of(composition: Composition, sample: Sample, inner: InnerProduct = inner_product) -> dict[str, Any]:
    """The statistics of a composition: norms and cosines of whole vectors are exact, the rest is of the sample."""
    vectors = composition.vectors
    table = [[inner(left, right) for right in vectors] for left in vectors]
    change = sample.change(composition)
    found: dict[str, Any] = {
        "norm": _norm(composition, table, change, sample),
        "elements": sample.total,
        "sampled_elements": change.numel(),
        "kept_fraction": kept_fraction(composition, sample),
        **rounding_loss(sample.start(composition), change, sample.rounded(change, composition)),
    }
    if len(vectors) > 1:
        found["cosines"] = cosines(table)
        found["sign_conflicts"] = sign_conflicts(composition, sample)
    return found


def _norm(composition: Composition, table: Gram, change: torch.Tensor, sample: Sample) -> float:
    if composition.is_linear and composition.is_uniform:
        return abs(composition.steps.scale) * norm_of_sum(table, composition.coefficients(""))
    return float(change.double().norm()) * sqrt(sample.total / max(change.numel(), 1))


def kept_fraction(composition: Composition, sample: Sample) -> float:
    """Share of the elements of the vectors that are left after trimming and dropping."""
    if not composition.steps.sparsify:
        return 1.0
    before = sum(int(sample.vector(vector).count_nonzero()) for vector in composition.vectors)
    return sum(int(sample.vector(part).count_nonzero()) for part in composition.parts) / max(before, 1)


def sign_conflicts(composition: Composition, sample: Sample) -> float:
    """Share of the changed elements where one vector pulls up and another one down."""
    import torch

    pairs = zip(composition.parts, composition.coefficients(""), strict=True)
    pulls = torch.stack([sample.vector(part) * weight for part, weight in pairs])  # [vectors, elements]
    up, down = (pulls > 0).any(0), (pulls < 0).any(0)
    return int((up & down).count_nonzero()) / max(int((up | down).count_nonzero()), 1)


def rounding_loss(base: torch.Tensor, change: torch.Tensor, rounded: torch.Tensor) -> dict[str, float | None]:
    """Effective alpha and relative error of a change, from float32 samples of the base and of the rounded sum.

    Both are None where the change is 0: there is nothing that could be lost.
    """
    added, asked = rounded.double() - base.double(), change.double()
    square = float(asked @ asked)
    if not square:
        return {"effective_alpha": None, "relative_error": None}
    return {
        "effective_alpha": float(added @ asked) / square,
        "relative_error": float((added - asked).norm()) / sqrt(square),
    }


def warning(effective_alpha: float | None, dtype: str, rounding: str | None) -> str | None:
    """What to tell the user when a change does not survive the number format, else None."""
    if effective_alpha is None or effective_alpha >= WARN_BELOW:
        return None
    other = "" if rounding == "stochastic" else ", or set rounding: stochastic"
    return f"only {effective_alpha:.0%} of the change survives rounding to {dtype}: take float32{other}"
