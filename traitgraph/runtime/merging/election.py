"""Elect a sign for each element and merge the vectors that have it (TIES steps 2 and 3).

Sums run over the vectors one by one, element by element: the result does not depend on threads or on how the tensor is
cut into pieces, as a library's reduction might.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from .steps import Election

if TYPE_CHECKING:
    import torch


def elected_sign(
    plain: Sequence[torch.Tensor], weights: Sequence[float], election: Election, draw: float = 1.0
) -> torch.Tensor:
    """+1 or -1 for each element: float32 [elements]; `draw` where the vote is 0."""
    import torch

    total = torch.zeros_like(plain[0])
    for vector, weight in zip(plain, weights, strict=True):
        vote = vector.sign() if election.by == "count" else vector
        factor = weight if election.on == "weighted" else 1.0
        if election.by == "count":
            factor = float((factor > 0) - (factor < 0))
        total.add_(vote, alpha=factor)
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
    Zeros agree with no sign. Where no vector agrees the result is 0.
    """
    import torch

    sign = elected_sign(plain, weights, election, draw)
    total, divisor = torch.zeros_like(sign), torch.zeros_like(sign)
    for vector, weight in zip(plain, weights, strict=True):
        turned = weight < 0 and election.on == "weighted"
        part = vector.mul_(sign if not turned else sign.neg()).clamp_(min=0)  # |v_k| where it agrees, else 0
        total.add_(part, alpha=abs(weight) if election.on == "weighted" else weight)
        if mean != "sum":
            divisor.add_(part.sign_() if mean == "count" else part.sign_().mul_(weight))
    if mean == "count":
        total.div_(divisor.clamp_(min=1))
    elif mean == "weight":
        total.div_(divisor.masked_fill_(divisor == 0, 1.0))
    return total.mul_(sign)


def majority(signs: torch.Tensor) -> float:
    """Sum of the elected signs of a piece, 0 for draws: adds up over pieces to the vote of the whole model."""
    return float(signs.sign().double().sum())
