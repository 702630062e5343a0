"""The direction of a merge, kept whole in memory: the next alpha of the same vectors only scales it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, prod
from typing import TYPE_CHECKING

from traitgraph.runtime.tensors.checkpoint import matrix_shape
from traitgraph.runtime.tensors.rounding import ScaledSum, largest_magnitude
from traitgraph.runtime.vectors.differences import piece_size, pieces

from .composition import Composition

if TYPE_CHECKING:
    import torch


RARE = 1 / 256
"""Share of a tensor's elements that may be kept apart."""


class CachedFloats:
    """A direction as it is, in float32."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.nbytes = values, values.nbytes
        self._sum = ScaledSum()

    def add(self, base: torch.Tensor, strength: float, out: torch.Tensor) -> None:
        """out = round(base + strength * direction), piece by piece."""
        for source, direction, target in _pieces(base, self.values, out):
            self._sum(source, direction, strength, out=target)

    def rows(self, base: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Elements [first, last) of the direction: float32, flat, not to be changed."""
        return self.values[first:last]


class CachedEnd:
    """A direction as the weights that it leads to, in the 16-bit format of the base: half of the memory, one pass.

    Where end - base is exact in float32, torch.lerp(base, end, w) is round(base + w * direction) to the last bit (but
    for the sign of zeros): it is fma(w, direction, base) for |w| < 1/2 and fma(w - 1, direction, end) beyond, and an
    fma rounds once, whatever the sum that it is made of. Elements of which that is not true are kept apart.
    """

    def __init__(self, end: torch.Tensor, places: torch.Tensor, values: torch.Tensor) -> None:
        self._end, self._places, self._values = end, places, values
        self.nbytes: int = end.nbytes + places.nbytes + values.nbytes
        self._sum = ScaledSum()

    def add(self, base: torch.Tensor, strength: float, out: torch.Tensor) -> None:
        """out = round(base + strength * direction), in one pass where the strength allows."""
        import torch

        if _has_exact_complement(strength):
            torch.lerp(base, self._end, strength, out=out)
        else:
            for source, end, target in _pieces(base, self._end, out):
                self._sum(source, end.float().sub_(source), strength, out=target)
        if len(self._places):
            rest = torch.empty_like(self._values, dtype=out.dtype)
            self._sum(base[self._places], self._values, strength, out=rest)
            out[self._places] = rest

    def rows(self, base: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Elements [first, last), from the end and the base."""
        found = self._end[first:last].float().sub_(base[first:last])
        here = (self._places >= first) & (self._places < last)
        found[self._places[here] - first] = self._values[here]
        return found


CachedTensor = CachedFloats | CachedEnd
"""The direction of one tensor; `base` is always the tensor's pristine copy, flat. Nothing is checked."""


@lru_cache(maxsize=16)
def _has_exact_complement(strength: float) -> bool:
    """Whether `lerp` loses nothing of a coefficient: below 1/2 it takes it as it is, beyond less 1."""
    import torch

    taken = torch.tensor(strength, dtype=torch.float32)
    return bool(taken.abs() < 0.5) or float(taken - 1) == float(taken) - 1.0


def cached_tensor(base: torch.Tensor, direction: torch.Tensor) -> CachedTensor:
    """The shorter form of a direction (float32, flat) that gives the same bits; `base` is flat, in its own format."""
    import torch

    if base.dtype.itemsize != 2:
        return CachedFloats(direction)
    end, apart, done = torch.empty_like(base), [], 0
    for source, change, target in _pieces(base, direction, end):
        apart.append(_lost(source, change, target).nonzero().view(-1) + done)
        done += len(source)
    places = torch.cat(apart)
    if len(places) > RARE * base.numel():
        return CachedFloats(direction)
    return CachedEnd(end, places, direction[places])


def _pieces(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """The same elements of flat tensors of one length, in pieces that suit the caches."""
    import torch

    size = piece_size(tensors[0].device)
    return zip(*(torch.split(each, size) for each in tensors), strict=True)


def _lost(base: torch.Tensor, direction: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Write round(base + direction) to `end`; 0 where direction is end - base exactly, without any rounding.

    It is where each of the three is the float32 sum or difference of the other two. Few buffers: their making would
    cost more than the arithmetic.
    """
    start = base.float()
    theta = start + direction
    end.copy_(theta)
    reached = end.float()
    lost = theta.sub_(reached).abs_()
    lost += reached.sub(start).sub_(direction).abs_()
    lost += reached.sub_(direction).sub_(start).abs_()
    return lost


@dataclass
class DirectionCache:
    """What is kept of the direction of one merge: all of its tensors, or as many as there is memory for."""

    key: str = ""
    tensors: dict[str, CachedTensor] = field(default_factory=dict)
    _reach: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Tensor -> largest magnitude of the base and of the direction."""

    def keep(self, composition: Composition, name: str, base: torch.Tensor) -> CachedTensor:
        """Make the direction of a tensor and keep it; `base` is the pristine tensor, flat."""
        import torch

        shape, device = composition.shape(name), base.device
        values = torch.empty(prod(shape), device=device)
        width = matrix_shape(shape)[1]
        for first, last in pieces(shape, piece_size(device)):
            values[first * width : last * width] = composition.direction(name, first, last, device)
        self.tensors[name] = kept = cached_tensor(base, values)
        self._reach[name] = (largest_magnitude(base), largest_magnitude(values))
        return kept

    def stays_finite(self, name: str, strength: float, dtype: torch.dtype) -> bool:
        """Whether base + strength * direction of a kept tensor can hold no infinity and no NaN, whatever its values."""
        import torch

        base, direction = self._reach.get(name, (inf, inf))
        return base + abs(strength) * direction < torch.finfo(dtype).max
