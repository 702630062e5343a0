"""Interpolation on the arc between two tensors (slerp): weights from their angle."""

from __future__ import annotations

from collections.abc import Iterable
from math import acos, sin, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NEARLY_PARALLEL = 0.9995
"""Above this |cos| the arc is a line: sin(angle) in the denominator would lose all digits. (the value of mergekit)"""
_SHORT = 1e-8


def arc_weights(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]], t: float) -> tuple[float, float]:
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
