"""Evenly spread rows of every tensor that a merge changes: enough to know its size, its angles and its rounding.

A virtual merge is not computed when its recipe is written. Its statistics come from about a million elements, the same
ones for every coefficient, read once per session.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from traitgraph.runtime.tensors.checkpoint import Checkpoint, matrix_shape
from traitgraph.runtime.tensors.rounding import check_finite, round_to
from traitgraph.runtime.vectors.differences import Difference

from .composition import Composition

if TYPE_CHECKING:
    import torch


ELEMENTS = 1 << 20


class Sample:
    """Rows of the base, at the number format in which it is loaded, and of vectors, each as one float32 array."""

    def __init__(self, base: Checkpoint, dtype: torch.dtype, names: Iterable[str], elements: int = ELEMENTS) -> None:
        self._base, self.dtype = base, dtype
        self.names = tuple(names)
        self.total = sum(base[name].elements for name in self.names)
        self.rows = {name: self._spread(name, elements) for name in self.names}
        self._vectors: dict[str, torch.Tensor] = {}
        self._weights: torch.Tensor | None = None

    def _spread(self, name: str, elements: int) -> list[int]:
        """Row numbers: a share of the sample that follows the tensor's size, evenly spaced, at least one row."""
        height, width = matrix_shape(self._base[name].shape)
        share = elements * self._base[name].elements / max(self.total, 1)
        count = min(height, max(1, round(share / max(width, 1))))
        return [(2 * index + 1) * height // (2 * count) for index in range(count)]

    def base(self) -> torch.Tensor:
        """The sampled base weights: float32, [elements], rounded as they are when the model is loaded."""
        if self._weights is None:
            parts = [self._base.read(name, (row, row + 1)) for name in self.names for row in self.rows[name]]
            self._weights = _joined([part.to(self.dtype).float() for part in parts])
        return self._weights

    def vector(self, vector: Difference) -> torch.Tensor:
        """The sampled rows of a vector: float32, [elements]; zeros in tensors that it does not change."""
        key = getattr(vector, "history", vector.id)
        if key not in self._vectors:
            self._vectors[key] = _joined([self._rows_of(vector, name) for name in self.names])
        return self._vectors[key]

    def _rows_of(self, vector: Difference, name: str) -> torch.Tensor:
        import torch

        if name in vector.names:
            return _joined([vector.piece(name, row, row + 1) for row in self.rows[name]])
        return torch.zeros(len(self.rows[name]) * self._width(name))

    def _width(self, name: str) -> int:
        return matrix_shape(self._base[name].shape)[1]

    def change(self, composition: Composition) -> torch.Tensor:
        """The sampled rows of what a composition adds: float32, [elements]; zeros where it changes nothing."""
        import torch

        if not composition.vectors:
            return torch.zeros_like(self.base())
        if composition.is_linear and composition.is_uniform:
            weights = composition.coefficients("")
            pairs = zip(composition.parts, weights, strict=True)
            return torch.stack([self.vector(part) * (w * composition.steps.scale) for part, w in pairs]).sum(0)
        return _joined([self._change_of(composition, name) for name in self.names])

    def _change_of(self, composition: Composition, name: str) -> torch.Tensor:
        import torch

        if name not in composition.merged_names:
            return torch.zeros(len(self.rows[name]) * self._width(name))
        return _joined([composition.change(name, row, row + 1) for row in self.rows[name]])

    def start(self, composition: Composition) -> torch.Tensor:
        """The sampled weights that the change is added to: the base, moved onto the domain where there is one."""
        if composition.onto is None:
            return self.base()
        domain, factor = composition.onto
        return self.base() + self.vector(domain) * factor

    def rounded(self, change: torch.Tensor, composition: Composition) -> torch.Tensor:
        """The sampled base plus a change, rounded as the merged weights will be: float32, [elements].

        Raises MergeError with the tensor whose weights would be no numbers.
        """
        import torch

        rounding, seed = composition.options.rounding, composition.seed
        values = self.start(composition) + change
        sizes = [len(self.rows[name]) * self._width(name) for name in self.names]
        for name, part in zip(self.names, torch.split(values, sizes), strict=True):
            check_finite(part, name, self.dtype)
        return round_to(values, self.dtype, rounding, seed=seed, name="sample", offset=0).float()


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Flat tensors one after the other; none of them is an empty tensor (of a merge, or tensor, that has nothing)."""
    import torch

    return torch.cat(parts) if parts else torch.zeros(0)
