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


class Selection:
    """Finds the k-th largest magnitude of values that are shown to it twice, piece by piece, in any order."""

    def __init__(self, k: int) -> None:
        import torch

        self._k = k
        self._high = torch.zeros(_HIGH_BINS, dtype=torch.int64)
        self._low = torch.zeros(_LOW_BINS, dtype=torch.int64)
        self._bucket = self._above = 0

    def see_first(self, values: torch.Tensor) -> None:
        """Count the upper bits of a piece: float32, flat."""
        import torch

        bins = magnitude_bits(values).bitwise_right_shift_(16)
        self._high += torch.bincount(bins, minlength=_HIGH_BINS).cpu()

    def settle(self) -> None:
        """Between the two rounds: which upper bits the value sought has.

        Raises MergeError for NaN and infinity, IndexError when fewer than k values were shown.
        """
        if bool(self._high[_FIRST_NONFINITE:].any()):
            raise MergeError("a vector holds NaN or infinity; its training diverged: train again")
        self._bucket, self._above = _bin_of(self._high, self._k)

    def see_again(self, values: torch.Tensor) -> None:
        """Count the lower bits of those values of a piece that have the upper bits sought."""
        import torch

        bits = magnitude_bits(values)
        inside = bits[bits.bitwise_right_shift(16) == self._bucket].bitwise_and_(_LOW_BINS - 1)
        self._low += torch.bincount(inside, minlength=_LOW_BINS).cpu()

    def cut(self) -> Cut:
        """The k-th largest magnitude, after both rounds."""
        lower, more = _bin_of(self._low, self._k - self._above)
        return Cut(bits=(self._bucket << 16) | lower, above=self._above + more, equal=int(self._low[lower]))


def kth_largest(pieces: Callable[[], Iterable[torch.Tensor]], k: int) -> Cut:
    """The k-th largest |value| (k from 1) of all the pieces, which are asked for twice.

    Raises MergeError for NaN and infinity, IndexError when there are fewer than k values.
    """
    selection = Selection(k)
    for piece in pieces():
        selection.see_first(piece)
    selection.settle()
    for piece in pieces():
        selection.see_again(piece)
    return selection.cut()


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
