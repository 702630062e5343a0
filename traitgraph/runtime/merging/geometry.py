"""Inner products of vectors: norms, cosines and the size of any weighted sum, without forming low-rank products."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from .adapters import Factors
from .differences import Difference, pieces

Gram = list[list[float]]


def inner_product(left: Difference, right: Difference) -> float:
    """sum_i left_i right_i in float64. Low-rank tensors cost rank^2 times their sides, others one pass."""
    return sum(inner_of_tensor(left, right, name) for name in left.names if name in right.names)


def inner_of_tensor(left: Difference, right: Difference, name: str) -> float:
    """The part of one tensor in the inner product."""
    ours, theirs = left.factors(name), right.factors(name)
    if ours is not None and theirs is not None:
        return _inner_of_factors(ours, theirs)
    return sum(
        float(left.piece(name, *rows).double() @ right.piece(name, *rows).double()) for rows in pieces(left.shape(name))
    )


def _inner_of_factors(a: Factors, b: Factors) -> float:
    """<s L R, t M S> = s t sum((L^T M) * (R S^T))."""
    lefts = a.left.double().T @ b.left.double()
    rights = a.right.double() @ b.right.double().T
    return a.scale * b.scale * float((lefts * rights).sum())


def norm_of_sum(table: Gram, weights: Sequence[float]) -> float:
    """|sum_k w_k phi_k| from the inner products."""
    size = range(len(weights))
    return sqrt(max(0.0, sum(weights[i] * weights[j] * table[i][j] for i in size for j in size)))


def cosines(table: Gram) -> Gram:
    """Cosine of the angle between each pair; 0 with a vector that is zero."""
    norms = [sqrt(max(table[i][i], 0.0)) for i in range(len(table))]
    return [
        [table[i][j] / (norms[i] * norms[j]) if norms[i] and norms[j] else 0.0 for j in range(len(table))]
        for i in range(len(table))
    ]
