"""What a merge method consists of: coefficients, a sparsification of each vector, an election, a mean, a scale.

Every choice that published implementations make differently is a field here; a method's module fills them in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from traitgraph.runtime.tensors.errors import MergeError
from traitgraph.specs.study.merge_methods import MERGEKIT_NO_SUM, MergeMethod, impossible_drop

Kept = Literal["threshold", "mergelm", "exact", "exact_or_one"]
Rescale = Literal["inverse", "l1", "none"]


@dataclass(frozen=True)
class Trim:
    """Keep the largest magnitudes: a share `density` of the whole vector or of each tensor."""

    density: float
    scope: Literal["model", "tensor"] = "model"
    kept: Kept = "threshold"


@dataclass(frozen=True)
class TrimBothEnds:
    """Keep a share `density` that lies below the largest `outliers` (breadcrumbs)."""

    density: float
    outliers: float
    scope: Literal["model", "tensor"] = "tensor"


@dataclass(frozen=True)
class Drop:
    """Drop each element with probability 1 - density (DARE)."""

    density: float
    seed: int
    rescale: Rescale = "inverse"


@dataclass(frozen=True)
class RankDrop:
    """Drop with a probability that falls with the rank of the magnitude in its row (DELLA)."""

    density: float
    epsilon: float
    seed: int
    rescale: Rescale = "inverse"

    def __post_init__(self) -> None:
        if reason := impossible_drop(self.density, self.epsilon):
            raise MergeError(f"della: {reason}")


Sparsification = Trim | TrimBothEnds | Drop | RankDrop


@dataclass(frozen=True)
class Election:
    """Which sign each element gets; vectors of the other sign do not take part there."""

    by: Literal["mass", "count"] = "mass"
    on: Literal["weighted", "plain"] = "weighted"
    draw: Literal["positive", "majority"] = "positive"


def unchanged(weights: Sequence[float]) -> list[float]:
    """The coefficients as they are."""
    return list(weights)


def normalised(weights: Sequence[float]) -> list[float]:
    """Coefficients divided by their sum; where all are 0 they stay 0. (another sum of 0 is refused before)"""
    total = sum(weights)
    return [weight / total for weight in weights] if any(weights) else list(weights)


def normalised_by_mergekit(weights: Sequence[float]) -> list[float]:
    """Coefficients divided by their sum, or as they are where that is 0, which mergekit says of less than 1e-8."""
    return normalised(weights) if abs(sum(weights)) >= MERGEKIT_NO_SUM else list(weights)


def coefficients_of(options: MergeMethod) -> Callable[[Sequence[float]], list[float]]:
    """What the option `normalise` of a method makes of the coefficients."""
    if not getattr(options, "normalise", False):
        return unchanged
    return normalised if options.divides_by_sum else normalised_by_mergekit


def without_mean(weights: Sequence[float]) -> list[float]:
    """Coefficients less their mean: sum_k w_k (phi_k - mean phi) = sum_k (w_k - mean w) phi_k."""
    mean = sum(weights) / len(weights) if weights else 0.0
    return [weight - mean for weight in weights]


@dataclass(frozen=True)
class Steps:
    """A method with every choice made."""

    sparsify: tuple[Sparsification, ...] = ()
    """What is done to each vector, in this order."""
    election: Election | None = None
    mean: Literal["count", "weight", "sum"] = "sum"
    """What the sum over the vectors (over the elected ones) is divided by."""
    scale: float = 1.0
    """Lambda: one factor after the merge."""
    coefficients: Callable[[Sequence[float]], list[float]] = unchanged
    """What the method makes of the coefficients before anything else."""
    keeps_base: bool = True
    """Whether the base has weight 1; else it has the sum of the coefficients (a plain weighted sum of models)."""
    on_arc: bool = False
    """Interpolate on the arc between two models instead of adding changes (slerp)."""
    one_coefficient: bool = False
    """Whether all vectors must have the same coefficient."""

    @property
    def is_linear(self) -> bool:
        """Whether the change is a weighted sum of the vectors and of nothing else."""
        return not self.sparsify and self.election is None and self.keeps_base and not self.on_arc
