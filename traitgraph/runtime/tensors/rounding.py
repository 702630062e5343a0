"""The last step of every merge: float32 values into the base's number format, once."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Literal

from .checkpoint import MergeError
from .masks import random_shares

if TYPE_CHECKING:
    import torch


Rounding = Literal["nearest", "stochastic"] | None


def round_to(
    values: torch.Tensor, dtype: torch.dtype, rounding: Rounding = None, *, seed: int, name: str, offset: int
) -> torch.Tensor:
    """`values` (float32, flat) in `dtype`: to the nearest (ties to even), or up or down at random, right on average.

    `offset` is the place of the first value in tensor `name`: random bits belong to elements, as in a mask, so that a
    sweep over alpha rounds each element with the same luck. Raises MergeError for NaN, infinity and overflow.
    """
    import torch

    check_finite(values, name, dtype)
    rounded = values.to(dtype)
    if rounding != "stochastic" or dtype.itemsize >= values.dtype.itemsize:
        return rounded
    lacking = values - rounded.float()
    neighbour = _next(rounded, lacking)
    step = (neighbour.float() - rounded.float()).abs_()
    luck = random_shares(seed, "rounding", name, offset, values.numel(), values.device)
    return torch.where(luck * step < lacking.abs(), neighbour, rounded)


class ScaledSum:
    """Adds in float32 and rounds once, in a buffer that stays in the cache: torch would make two for each call."""

    def __init__(self) -> None:
        self._buffer: torch.Tensor | None = None

    def __call__(self, base: torch.Tensor, direction: torch.Tensor, strength: float, out: torch.Tensor) -> None:
        """out = round(base + strength * direction), to the nearest; all flat, `direction` float32, nothing checked."""
        import torch

        if base.dtype is torch.float32 or base.device.type != "cpu":
            torch.add(base, direction, alpha=strength, out=out)
            return
        if self._buffer is None or self._buffer.numel() < base.numel():
            self._buffer = torch.empty(base.numel())
        exact = self._buffer[: base.numel()].copy_(base)
        out.copy_(exact.add_(direction, alpha=strength))


def largest_magnitude(values: torch.Tensor) -> float:
    """max |value| (NaN where any is NaN), 0 of nothing."""
    return max((abs(float(end)) for end in values.aminmax()), default=0.0) if values.numel() else 0.0


def _next(rounded: torch.Tensor, lacking: torch.Tensor) -> torch.Tensor:
    """The neighbouring number of a 16-bit format in the direction of `lacking`; itself where nothing is lacking."""
    import torch

    bits = rounded.view(torch.int16)
    away = (lacking > 0) == (bits >= 0)  # away from zero: the next larger bits; a sign bit makes bits negative
    moved = torch.where(away, bits + 1, bits - 1)
    crossing = (rounded == 0) & (lacking < 0)
    moved = torch.where(crossing, torch.full_like(bits, -(1 << 15) + 1), moved)
    moved = torch.where((rounded == 0) & (lacking > 0), torch.ones_like(bits), moved)
    return torch.where(lacking == 0, bits, moved).view(rounded.dtype)


def check_finite(values: torch.Tensor, name: str, dtype: torch.dtype | None = None) -> None:
    """Raise MergeError when values hold NaN or infinity, or a magnitude that the number format `dtype` cannot hold.

    A sum is finite only when every value is, and costs a tenth of looking for the largest one.
    """
    import torch

    narrow = dtype is torch.float16
    if not values.numel() or (not narrow and isfinite(float(values.sum()))):
        return
    low, high = (float(end) for end in values.aminmax())
    top = max(-low, high)
    if not top < inf:
        raise MergeError(f"tensor '{name}' would hold NaN or infinity: an input does; train it again")
    if narrow and top > torch.finfo(torch.float16).max:
        raise MergeError(f"tensor '{name}' would hold {top:.3g}, more than float16 can: use float32 or bfloat16")
