"""The exact k-th largest magnitude of any number of values by counting: no sort, and about a megabyte of state.

Magnitudes of float32 numbers order as their bits do. A first round counts the upper 16 bits, a second one the lower 16
bits of the values that share the upper bits of the one sought. Counts add up over pieces, tensors and shards. After a
part of the first round the upper bits can be guessed: from then on the lower bits are counted on the way, and the
second round has to see that part only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checkpoint import MergeError

if TYPE_CHECKING:
    import torch


_HIGH_BINS, _LOW_BINS = 1 << 15, 1 << 16
_MANY = 1 << 20
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
    """Finds the k-th largest magnitude of `size` values that are shown to it piece by piece, in any order."""

    def __init__(self, k: int, size: int) -> None:
        import torch

        self._k, self._size, self._seen = k, size, 0
        self._high = torch.zeros(_HIGH_BINS, dtype=torch.int64)
        self._low = torch.zeros(_LOW_BINS, dtype=torch.int64)
        self._bucket = self._above = 0
        self._guess: tuple[int, int] | None = None
        self._kept = torch.zeros(0, dtype=torch.int32)
        self._kept_size = 0
        self._lows = torch.zeros(0, dtype=torch.int64)

    def see(self, values: torch.Tensor) -> None:
        """Count the upper bits of a piece (float32, flat), and the lower ones where the upper ones are guessed."""
        import torch

        bits = magnitude_bits(values)
        upper = bits.bitwise_right_shift(16)
        self._high += torch.bincount(upper, minlength=_HIGH_BINS).cpu()
        self._seen += values.numel()
        if self._guess is not None:
            self._keep(_where_between(bits, upper, *self._guess) - (self._guess[0] << 16))

    def guess(self) -> None:
        """Guess the upper bits from what was seen so far: those at the same share of it, and their neighbours."""
        import torch

        if not self._seen:
            return
        bucket, _ = _bin_of(self._high, min(max(1, round(self._k * self._seen / self._size)), self._seen))
        self._guess = (max(0, bucket - 1), min(_HIGH_BINS - 1, bucket + 1))
        self._lows = torch.zeros((self._guess[1] - self._guess[0] + 1) * _LOW_BINS, dtype=torch.int64)

    def _keep(self, offsets: torch.Tensor) -> None:
        """Gather offsets from the smallest guessed value, and count them when there is no room for more.

        They are copied into one buffer: many small tensors that live on would tear holes into the heap.
        """
        if self._kept_size + offsets.numel() > self._kept.numel():
            self._count_kept()
        if offsets.numel() > self._kept.numel():
            self._kept = offsets.new_zeros(max(_MANY, offsets.numel()))
        self._kept[self._kept_size : self._kept_size + offsets.numel()] = offsets
        self._kept_size += offsets.numel()

    def _count_kept(self) -> None:
        import torch

        if self._kept_size:
            self._lows += torch.bincount(self._kept[: self._kept_size], minlength=self._lows.numel()).cpu()
        self._kept_size = 0

    def settle(self) -> bool:
        """After the first round: whether the guess was right, so that the second round needs only what came before it.

        Raises MergeError for NaN and infinity, IndexError when fewer than k values were shown.
        """
        if bool(self._high[_FIRST_NONFINITE:].any()):
            raise MergeError("a vector holds NaN or infinity; train it again")
        self._bucket, self._above = _bin_of(self._high, self._k)
        self._count_kept()
        right = self._guess is not None and self._guess[0] <= self._bucket <= self._guess[1]
        if right and self._guess is not None:
            start = (self._bucket - self._guess[0]) * _LOW_BINS
            self._low += self._lows[start : start + _LOW_BINS]
        return right

    def see_again(self, values: torch.Tensor) -> None:
        """Count the lower bits of those values of a piece that have the upper bits sought."""
        import torch

        bits = magnitude_bits(values)
        inside = _where_between(bits, bits.bitwise_right_shift(16), self._bucket, self._bucket)
        self._low += torch.bincount(inside.bitwise_and_(_LOW_BINS - 1), minlength=_LOW_BINS).cpu()

    def cut(self) -> Cut:
        """The k-th largest magnitude, after both rounds."""
        lower, more = _bin_of(self._low, self._k - self._above)
        return Cut(bits=(self._bucket << 16) | lower, above=self._above + more, equal=int(self._low[lower]))


def _where_between(bits: torch.Tensor, upper: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """The bits of the values whose upper bits lie in [first, last]; numpy selects few of many faster than torch."""
    import torch

    if bits.device.type != "cpu":
        return bits[(upper >= first) & (upper <= last)]
    places = upper.numpy()
    chosen = places == first if first == last else (places >= first) & (places <= last)
    return torch.from_numpy(bits.numpy()[chosen])


def kth_largest(pieces: Callable[[], Iterable[torch.Tensor]], k: int) -> Cut:
    """The k-th largest |value| (k from 1) of all the pieces, which are asked for twice.

    Raises MergeError for NaN and infinity, IndexError when there are fewer than k values.
    """
    selection = Selection(k, 0)
    for piece in pieces():
        selection.see(piece)
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
