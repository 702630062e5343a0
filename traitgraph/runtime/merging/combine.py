"""Two ways in which tensors become one: by the sign that they elect (TIES steps 2 and 3), and on the arc (slerp).

Elections sum over the vectors one by one, element by element: the result does not depend on threads, nor on how the
tensor is cut into pieces, as a library's reduction might.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import acos, sin, sqrt
from typing import TYPE_CHECKING, Literal

from .methods import Election

if TYPE_CHECKING:
    import torch


ROUNDING = 2.0**-51
"""A float64 sum of decimals below this share of the largest of them is what is left of 0 by rounding."""


def weighed(plain: Sequence[torch.Tensor], weights: Sequence[float], election: Election) -> Sequence[torch.Tensor]:
    """What votes: v_k = w_k phi_k, each product rounded once, as mergekit rounds them; overwrites `plain`."""
    if election.on == "weighted":
        for vector, weight in zip(plain, weights, strict=True):
            if weight != 1:
                vector.mul_(weight)
    return plain


def elected_sign(votes: Sequence[torch.Tensor], election: Election, draw: float = 1.0) -> torch.Tensor:
    """+1 or -1 for each element: float32 [elements]; `draw` where the vote is 0."""
    import torch

    total = torch.zeros_like(votes[0])
    for vector in votes:
        total.add_(vector.sign() if election.by == "count" else vector)
    if draw > 0:  # the sign bit alone, with sgn(-0) = +: x + 0 is +0 for both zeros
        return torch.copysign(torch.ones_like(total), total.add_(0.0))
    return torch.where(total > 0, 1.0, -1.0)


def merge_elected(
    plain: Sequence[torch.Tensor],
    weights: Sequence[float],
    election: Election,
    mean: Literal["count", "weight", "sum"],
    draw: float = 1.0,
) -> torch.Tensor:
    """Sum of w_k v_k over the vectors that have the elected sign, divided as `mean` says: float32 [elements].

    `plain` are the sparsified vectors without their coefficients, float32 [elements] each; they are overwritten.
    Zeros agree with no sign. Where no vector agrees the result is 0; where the weights of those that agree add up to 0
    (mergekit's rule), their sum is not divided.
    """
    import torch

    votes = weighed(plain, weights, election)
    sign = elected_sign(votes, election, draw)
    total, divisor = torch.zeros_like(sign), torch.zeros_like(sign)
    exact = torch.zeros_like(sign, dtype=torch.float64) if mean == "weight" and min(weights) < 0 else None
    for vector, weight in zip(votes, weights, strict=True):
        part = vector.mul_(sign).clamp_(min=0)  # |v_k| where it agrees, else 0
        total.add_(part, alpha=1.0 if election.on == "weighted" else weight)
        if mean != "sum":
            agrees = part.sign_()
            divisor.add_(agrees, alpha=weight if mean == "weight" else 1.0)
            if exact is not None:
                exact.add_(agrees, alpha=weight)
    if mean == "count":
        total.div_(divisor.clamp_(min=1))
    elif mean == "weight":
        empty = divisor == 0
        if exact is not None:  # 0.3 + 0.6 - 0.9 is 0, and 6e-8 in float32
            empty |= exact.abs() <= ROUNDING * len(weights) * max(map(abs, weights))
        total.div_(divisor.masked_fill_(empty, 1.0))
    return total.mul_(sign)


# ---------------------------------------------------------------- slerp

NEARLY_PARALLEL = 0.9995
"""Above this |cos| the arc is a line: sin(angle) in the denominator would lose all digits. (the value of mergekit)"""
_SHORT = 1e-8


def slerp_weights(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]], t: float) -> tuple[float, float]:
    """Weights of a and b at `t` of the way from a to b, from pieces (a, b) that cover both tensors."""
    a_square = b_square = product = 0.0
    for a, b in pairs:
        a, b = a.double(), b.double()
        a_square, b_square, product = a_square + float(a @ a), b_square + float(b @ b), product + float(a @ b)
    lengths = [sqrt(square) if sqrt(square) > _SHORT else 1.0 for square in (a_square, b_square)]
    cosine = max(-1.0, min(1.0, product / (lengths[0] * lengths[1])))
    if abs(cosine) > NEARLY_PARALLEL:
        return 1 - t, t
    angle = acos(cosine)
    return sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)
