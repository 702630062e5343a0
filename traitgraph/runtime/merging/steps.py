"""What a merge method consists of: coefficients, a sparsification of each vector, a combination of them, a scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def unchanged(weights: Sequence[float]) -> list[float]:
    """The coefficients as they are."""
    return list(weights)


@dataclass(frozen=True)
class Steps:
    """A method with every choice made."""

    scale: float = 1.0
    """Lambda: one factor after the merge."""
    coefficients: Callable[[Sequence[float]], list[float]] = unchanged
    """What the method makes of the coefficients before anything else."""
    zero_counts: bool = False
    """Whether a vector of coefficient 0 changes the result."""

    @property
    def is_linear(self) -> bool:
        """Whether the change is a weighted sum of the vectors."""
        return True
