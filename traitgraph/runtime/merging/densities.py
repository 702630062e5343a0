"""A density that differs by tensor: over the layers, or by the tensor's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .differences import Difference, WithoutFactors

if TYPE_CHECKING:
    import torch


class ThinnedByTensor(WithoutFactors):
    """A vector of which each tensor is that of the vector thinned at the tensor's own density."""

    def __init__(self, inner: Difference, thinned: Callable[[float], Difference], densities: dict[str, float]) -> None:
        """`thinned` gives the vector at one density, `densities` the density of each tensor."""
        self.inner, self._densities = inner, densities
        self._at = {density: thinned(density) for density in set(densities.values())}
        self.id, self.names, self.elements = inner.id, inner.names, inner.elements
        self.history = repr(sorted((density, getattr(part, "history", "")) for density, part in self._at.items()))
        self.history += repr(sorted(densities.items()))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self.inner.shape(name)

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) with some elements 0: float32, flat."""
        return self._at[self._densities[name]].piece(name, first, last, device)
