"""The exact k-th largest magnitude of any number of values by counting: no sort, two passes, half a megabyte of state.

Magnitudes of float32 numbers order as their bits do. The first pass counts the upper 16 bits, the second one the lower
16 bits of the values that share the upper bits of the one sought. Counts add up over pieces, tensors and shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import MergeError

if TYPE_CHECKING:
    import torch

_HIGH_BINS, _LOW_BINS = 1 << 15, 1 << 16
_FIRST_NONFINITE = 0x7F80  # upper bits of infinity


@dataclass(frozen=True)
class Cut:
    """The k-th largest magnitude, and how many values lie above it and at it."""

    bits: int
    """The magnitude as the bits of a float32: ordered as the magnitudes are."""
    above: int
    equal: int


def magnitude_bits(values: torch.Tensor) -> torch.Tensor:
    """Bits of |values|: int32, not negative, ordered as the magnitudes. Values are float32."""
    import torch

    return values.view(torch.int32).bitwise_and(0x7FFFFFFF)


def kth_largest(pieces: Callable[[], Iterable[torch.Tensor]], k: int) -> Cut:
    """The k-th largest |value| (k from 1) of all the pieces, which are asked for twice.

    Raises MergeError for NaN and infinity, IndexError when there are fewer than k values.
    """
    import torch

    high = torch.zeros(_HIGH_BINS, dtype=torch.int64)
    for piece in pieces():
        bins = magnitude_bits(piece).bitwise_right_shift_(16)
        high += torch.bincount(bins, minlength=_HIGH_BINS).cpu()
    if bool(high[_FIRST_NONFINITE:].any()):
        raise MergeError("a vector holds NaN or infinity; its training diverged: train again")
    bucket, above = _bin_of(high, k)
    low = torch.zeros(_LOW_BINS, dtype=torch.int64)
    for piece in pieces():
        bits = magnitude_bits(piece)
        inside = bits[bits.bitwise_right_shift(16) == bucket].bitwise_and_(_LOW_BINS - 1)
        low += torch.bincount(inside, minlength=_LOW_BINS).cpu()
    lower, more = _bin_of(low, k - above)
    return Cut(bits=(bucket << 16) | lower, above=above + more, equal=int(low[lower]))


def _bin_of(counts: torch.Tensor, k: int) -> tuple[int, int]:
    """The bin that holds the k-th value from above, and how many values the bins above it hold."""
    from_above = counts.flip(0).cumsum(0)
    if k < 1 or k > int(from_above[-1]):
        raise IndexError(f"asked for number {k} of {int(from_above[-1])} values")
    reversed_bin = int((from_above < k).sum())
    above = int(from_above[reversed_bin - 1]) if reversed_bin else 0
    return len(counts) - 1 - reversed_bin, above


def keep_at_least(values: torch.Tensor, bits: int) -> torch.Tensor:
    """`values` (float32, changed in place) with 0 wherever the magnitude's bits are below `bits`."""
    import torch

    keep = magnitude_bits(values).neg_().add_(bits - 1).bitwise_right_shift_(31)  # all ones where magnitude >= bits
    values.view(torch.int32).bitwise_and_(keep)
    return values


def keep_at_most(values: torch.Tensor, bits: int) -> torch.Tensor:
    """`values` (float32, changed in place) with 0 wherever the magnitude's bits are above `bits`."""
    import torch

    keep = magnitude_bits(values).sub_(bits + 1).bitwise_right_shift_(31)  # all ones where magnitude <= bits
    values.view(torch.int32).bitwise_and_(keep)
    return values
