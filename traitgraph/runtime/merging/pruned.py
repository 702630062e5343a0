"""Pruned vectors, with elements taken out: each wraps a difference and is one, so that they can follow each other.

What has to be known of a whole vector or tensor first (a threshold, a norm) is counted once, when the first piece is
asked for, and kept in a cache that compositions share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar, cast

from traitgraph.runtime.tensors.checkpoint import MergeError, matrix_shape
from traitgraph.runtime.tensors.masks import keep_below, random_bits, random_shares
from traitgraph.runtime.tensors.rounding import check_finite
from traitgraph.runtime.tensors.selection import (
    Cut,
    Selection,
    keep_at_least,
    keep_at_most,
    kth_largest,
    magnitude_bits,
)
from traitgraph.runtime.vectors.differences import Difference, piece_size, pieces

from .methods import Drop, Kept, RankDrop, Sparsification, Trim, TrimBothEnds

if TYPE_CHECKING:
    import torch


Value = TypeVar("Value")
Place = tuple[str, int, int]
_PROBES = 16
Cache = dict[tuple[str, ...], Any]
"""What was counted: by what was done to which vector, and the tensor where it belongs to one."""


def pruned(inner: Difference, steps: Sequence[Sparsification], cache: Cache) -> Difference:
    """The vector after all steps; the same object when there are none."""
    for step in steps:
        match step:
            case Trim():
                inner = Trimmed(inner, step, cache)
            case TrimBothEnds():
                inner = TrimmedAtBothEnds(inner, step, cache)
            case Drop() | RankDrop():
                inner = Dropped(inner, step, cache)
    return inner


class _Pruned(Difference):
    """A difference in the shape of another one, with some elements 0."""

    def __init__(self, inner: Difference, history: str) -> None:
        self.inner, self.history = inner, history
        self.id, self.names, self.elements = inner.id, inner.names, inner.elements

    def shape(self, name: str) -> tuple[int, ...]:
        return self.inner.shape(name)


class _Step(_Pruned, ABC):
    """A vector after one sparsification."""

    def __init__(self, inner: Difference, step: Any, cache: Cache) -> None:
        super().__init__(inner, f"{inner.history}|{step}")
        self.step, self._cache = step, cache

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) with some elements 0: float32, flat."""
        values = self.inner.piece(name, first, last, device)
        if self.step.density >= 1 or not values.numel():
            return values
        return values.zero_() if self.step.density <= 0 else self._prune_rows(values, name, first)

    @abstractmethod
    def _prune_rows(self, values: torch.Tensor, name: str, first: int) -> torch.Tensor:
        """`values` (rows from `first` on, changed in place) with some elements 0."""

    def _once(self, what: tuple[str, ...], count: Callable[[], Value]) -> Value:
        key = (self.history, *what)
        if key not in self._cache:
            self._cache[key] = count()
        return cast("Value", self._cache[key])

    def _pieces(self, names: Sequence[str], device: torch.device | None) -> Iterator[torch.Tensor]:
        for name in names:
            for first, last in pieces(self.shape(name), piece_size(device)):
                yield self.inner.piece(name, first, last, device)

    @contextmanager
    def told_with_the_tensor(self, names: Sequence[str], device: torch.device | None) -> Iterator[None]:
        """Names the tensor when the block finds values among these tensors that are no numbers."""
        try:
            yield
        except MergeError:
            for name in names:
                for piece in self._pieces((name,), device):
                    check_finite(piece, name)
            raise

    def _kth_largest(self, names: Sequence[str], k: int, device: torch.device | None) -> Cut:
        with self.told_with_the_tensor(names, device):
            return kth_largest(lambda: self._pieces(names, device), k)

    def _offset(self, name: str, first: int) -> int:
        return first * matrix_shape(self.shape(name))[1]

    def _stored(self, names: Sequence[str]) -> int:
        """How many elements these tensors have."""
        return sum(prod(self.shape(name)) for name in names)

    def _scope(self, name: str) -> tuple[tuple[str, ...], Sequence[str], int]:
        """Cache key, tensors and number of elements of the scope that a tensor belongs to."""
        if self.step.scope == "model":
            return (), self.names, self.elements
        return (name,), (name,), self._stored((name,))


class Trimmed(_Step):
    """The largest magnitudes only (TIES step 1). Elements that the vector does not store are 0: the smallest."""

    step: Trim

    def _prune_rows(self, values: torch.Tensor, name: str, first: int) -> torch.Tensor:
        key, names, size = self._scope(name)
        count, device = kept_count(self.step.kept, self.step.density, size), values.device
        if count == 0:
            return values.zero_()
        edge = self._once(key, lambda: self._found(names, count, device))
        if edge.last is not None:
            tensor, element = edge.last
            here = list(self.names).index(name) if self.step.scope == "model" else 0
            if here >= tensor:
                begin = 0 if here > tensor else max(0, element + 1 - self._offset(name, first))
                late = values[begin:]
                late[magnitude_bits(late) == edge.bits] = 0.0
        return keep_at_least(values, edge.bits)

    def sought(self) -> int | None:
        """The number, from above, of the magnitude that the whole vector is cut at; None when it need not be found."""
        known = self.step.scope != "model" or (self.history,) in self._cache or not 0 < self.step.density < 1
        count = 0 if known else kept_count(self.step.kept, self.step.density, self.elements)
        return count if 0 < count <= self._stored(self.names) else None

    def settle(self, cut: Cut, device: torch.device | None) -> None:
        """Remember where the whole vector is cut."""
        count = kept_count(self.step.kept, self.step.density, self.elements)
        self._cache[(self.history,)] = self._edge(self.names, cut, count, device)

    def _found(self, names: Sequence[str], count: int, device: torch.device) -> Edge:
        if count > self._stored(names):
            return Edge(0, None)
        return self._edge(names, self._kth_largest(names, count, device), count, device)

    def _edge(self, names: Sequence[str], cut: Cut, count: int, device: torch.device | None) -> Edge:
        exact = self.step.kept.startswith("exact") and cut.above + cut.equal > count
        return Edge(cut.bits, self._last_equal(names, cut, count - cut.above, device) if exact else None)

    def _last_equal(self, names: Sequence[str], cut: Cut, wanted: int, device: torch.device | None) -> tuple[int, int]:
        """Place (tensor number, element) of the last value at the cut that is kept: the first ones are."""
        for number, name in enumerate(names):
            offset = 0
            for piece in self._pieces((name,), device):
                places = (magnitude_bits(piece) == cut.bits).nonzero().flatten()
                if places.numel() >= wanted:
                    return number, offset + int(places[wanted - 1])
                wanted -= places.numel()
                offset += piece.numel()
        raise AssertionError("fewer values at the cut than were counted")


def count_together(parts: Sequence[Difference], device: torch.device | None) -> None:
    """Find the cuts of all whole-vector trims at once: each piece of their base is read for all of them together.

    A sixteenth of the pieces, evenly spread, comes first and lets each selection guess.
    """
    sought = [(part, part.sought()) for part in parts if isinstance(part, Trimmed)]
    open_ = [(part, Selection(k, part._stored(part.names))) for part, k in sought if k is not None]
    shapes = {name: part.shape(name) for part, _ in open_ for name in part.names}
    places = [(name, *rows) for name, shape in shapes.items() for rows in pieces(shape, piece_size(device))]
    probes = set(places[::_PROBES])

    def show(
        see: Callable[[Selection, torch.Tensor], None], where: Iterable[Place], to: Sequence[tuple[Trimmed, Selection]]
    ) -> None:
        for name, first, last in where:
            for part, selection in to:
                if name in part.names:
                    see(selection, part.inner.piece(name, first, last, device))

    show(Selection.see, places[::_PROBES], open_)
    for _, selection in open_:
        selection.guess()
    show(Selection.see, (place for place in places if place not in probes), open_)
    right = []
    for part, selection in open_:
        with part.told_with_the_tensor(part.names, device):
            right.append(selection.settle())
    show(Selection.see_again, places[::_PROBES], open_)
    wrong = [each for each, is_right in zip(open_, right, strict=True) if not is_right]
    show(Selection.see_again, (place for place in places if place not in probes) if wrong else (), wrong)
    for part, selection in open_:
        part.settle(selection.cut(), device)


@dataclass(frozen=True)
class Edge:
    """Smallest magnitude that a trim keeps (as bits), and the place of the last one at it where not all are kept."""

    bits: int
    last: tuple[int, int] | None


def kept_count(rule: Kept, density: float, size: int) -> int:
    """How many of `size` elements a trim keeps, equals at the cut aside.

    threshold   int(d n) + 1: the TIES authors take the (n - int(d n))-th smallest as the threshold and keep it
    mergelm     n - int(n (1 - d)) + 1: MergeLM counts what it drops
    exact       int(d n) (peft); exact_or_one: at least one (mergekit)
    """
    match rule:
        case "threshold":
            count = int(density * size) + 1
        case "mergelm":
            count = size - int(size * (1 - density)) + 1
        case "exact":
            count = int(density * size)
        case "exact_or_one":
            count = max(1, int(density * size))
    return min(count, size)


class TrimmedAtBothEnds(_Step):
    """Without the smallest and without the very largest magnitudes (breadcrumbs)."""

    step: TrimBothEnds

    def _prune_rows(self, values: torch.Tensor, name: str, first: int) -> torch.Tensor:
        key, names, size = self._scope(name)
        kept = int(self.step.density * size)
        if kept == 0:
            return values.zero_()
        from_top = size - max(0, size - kept - int(self.step.outliers * size))

        def bits_of(number: int) -> int:
            """Bits of a magnitude, counted from the top."""
            return self._kth_largest(names, number, values.device).bits if number <= self._stored(names) else 0

        low, high = self._once(key, lambda: (bits_of(from_top), bits_of(from_top - kept + 1)))
        return keep_at_most(keep_at_least(values, low), high)


class Dropped(_Step):
    """Elements dropped at random, the others rescaled: all alike (DARE), or large ones more rarely (DELLA)."""

    step: Drop | RankDrop

    def _prune_rows(self, values: torch.Tensor, name: str, first: int) -> torch.Tensor:
        check_finite(values, name)  # a mask would hide what is no number
        chance = self._keep_probability(values, name)
        kept = self._masked(values, name, first, chance)
        match self.step.rescale:
            case "none":
                return kept
            case "inverse":
                return kept.mul_(1 / chance) if isinstance(chance, float) else kept.div_(chance)
        return kept.mul_(self._once((name, "l1"), lambda: self._l1_factor(name, values.device)))

    def _keep_probability(self, values: torch.Tensor, name: str) -> torch.Tensor | float:
        """The density (DARE); or density - epsilon + 2 epsilon rank / (width - 1), flat (DELLA).

        The rank is that of the magnitude in its row, from 0.
        """
        step = self.step
        if isinstance(step, Drop):
            return step.density
        width = matrix_shape(self.shape(name))[1]
        order = magnitude_bits(values).view(-1, width).argsort(dim=1, stable=True)
        ranks = order.argsort(dim=1).reshape(-1).float()
        return ranks.mul_(2 * step.epsilon / max(width - 1, 1)).add_(step.density - step.epsilon)

    def _masked(self, values: torch.Tensor, name: str, first: int, chance: torch.Tensor | float) -> torch.Tensor:
        element = (self.step.seed, self.id, name, self._offset(name, first), values.numel(), values.device)
        if isinstance(chance, float):
            return keep_below(values, random_bits(*element), chance)
        values[random_shares(*element) >= chance] = 0.0
        return values

    def _l1_factor(self, name: str, device: torch.device) -> float:
        """What restores the tensor's sum of magnitudes after the drop; 1 where there is nothing to restore."""
        before = after = 0.0
        for first, last in pieces(self.shape(name), piece_size(device)):
            values = self.inner.piece(name, first, last, device)
            before += float(values.abs().double().sum())
            kept = self._masked(values, name, first, self._keep_probability(values, name))
            after += float(kept.abs_().double().sum())
        return before / after if min(before, after) >= 1e-7 else 1.0


class PrunedByTensor(_Pruned):
    """A vector of which each tensor is pruned at its own density: over the layers, or by the tensor's name."""

    def __init__(self, inner: Difference, pruned: Callable[[float], Difference], densities: dict[str, float]) -> None:
        """`pruned` gives the vector at one density, `densities` the density of each tensor."""
        self._densities = densities
        self._at = {density: pruned(density) for density in set(densities.values())}
        histories = sorted((density, part.history) for density, part in self._at.items())
        super().__init__(inner, f"{histories}{sorted(densities.items())}")

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) with some elements 0: float32, flat."""
        return self._at[self._densities[name]].piece(name, first, last, device)


def counts_record(cache: Cache) -> list[list[Any]]:
    """What was counted of whole vectors, as JSON data: [what, numbers]; tensors' own counts are cheap to make again."""
    rows: list[list[Any]] = []
    for key, value in cache.items():
        if len(key) == 1:
            rows.append([key[0], [value.bits, value.last] if isinstance(value, Edge) else list(value)])
    return rows


def counts_of(rows: Sequence[Sequence[Any]]) -> Cache:
    """The cache that `counts_record` wrote."""
    cache: Cache = {}
    for what, (first, second) in rows:
        is_trim = what.rpartition("|")[2].startswith("Trim(")
        last = tuple(second) if isinstance(second, list) else None
        cache[(what,)] = Edge(first, last) if is_trim else (first, second)
    return cache
