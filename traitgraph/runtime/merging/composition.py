"""One composition of vectors: which tensors change, and the float32 values of any rows of them.

Everything that applies a merge (in place, to disk, for statistics) asks here for the same pieces, so that all of them
get the same bits. Arithmetic is float32 throughout; rounding to the base's number format is the caller's last step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from traitgraph.specs.merge_methods import MergeMethod

from .adapters import Factors
from .differences import Difference, weighted_sum
from .errors import MergeError
from .layers import layer_of, weight_at
from .methods import steps_of

if TYPE_CHECKING:
    import torch


class Composition:
    """theta = base + merge(w_1 phi_1, ..., w_N phi_N) for one method and its options.

    Vectors of coefficient 0 are left out where that changes nothing. Raises MergeError for vectors of unequal shapes
    and for a method that does not fit their number.
    """

    def __init__(self, vectors: Sequence[Difference], weights: Sequence[float], options: MergeMethod) -> None:
        if len(vectors) != len(weights):
            raise MergeError(f"{len(vectors)} vectors and {len(weights)} coefficients: one for each vector is needed")
        self.options = options
        self.steps = steps_of(options)
        kept = [(v, w) for v, w in zip(vectors, weights, strict=True) if w or self.steps.zero_counts]
        self.vectors = tuple(vector for vector, _ in kept)
        self.weights = tuple(self.steps.coefficients([float(weight) for _, weight in kept]))
        self._check_shapes()

    def _check_shapes(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        for vector in self.vectors:
            for name in vector.names:
                if shapes.setdefault(name, vector.shape(name)) != vector.shape(name):
                    raise MergeError(
                        f"tensor '{name}' has shape {list(shapes[name])} in one vector and {list(vector.shape(name))} "
                        "in another: vectors of one base are needed"
                    )
        self._shapes = {name: shape for name, shape in shapes.items() if self._is_included(name)}

    def _is_included(self, name: str) -> bool:
        include, exclude = self.options.include, self.options.exclude
        if include is not None and not any(re.search(pattern, name) for pattern in include):
            return False
        return not any(re.search(pattern, name) for pattern in exclude or ())

    @property
    def names(self) -> tuple[str, ...]:
        """Tensors that change, in the order in which the vectors name them."""
        return tuple(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that changes."""
        return self._shapes[name]

    @property
    def is_linear(self) -> bool:
        """Whether the change is sum_k c_k phi_k, so that low-rank vectors give a low-rank change."""
        return self.steps.is_linear

    @property
    def terms(self) -> list[tuple[Difference, float]]:
        """Vectors with their coefficients, before the method's own scale and weights over layers."""
        return list(zip(self.vectors, self.weights, strict=True))

    @property
    def is_plain_sum(self) -> bool:
        """Whether the change is the same weighted sum in every tensor of the vectors."""
        options = self.options
        return self.is_linear and not (options.include or options.exclude or options.layer_weights)

    @cached_property
    def _layers(self) -> int:
        return 1 + max((layer_of(name) or 0 for name in self._shapes), default=0)

    def coefficients(self, name: str) -> list[float]:
        """What each vector is multiplied by at one tensor, before the method's own scale."""
        factor = weight_at(self.options.layer_weights, layer_of(name), self._layers)
        return [weight * factor for weight in self.weights]

    def factors(self, name: str) -> list[tuple[float, Factors]] | None:
        """The change of a tensor as scaled low-rank terms, or None when it is not of that form."""
        if not self.is_linear:
            return None
        terms = []
        for vector, weight in self._present(name):
            if (found := vector.factors(name)) is None:
                return None
            terms.append((weight * self.steps.scale, found))
        return terms

    def _present(self, name: str) -> list[tuple[Difference, float]]:
        return [(v, w) for v, w in zip(self.vectors, self.coefficients(name), strict=True) if name in v.names]

    def change(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of what is added to the base: float32, flat, the caller's to change."""
        terms = [(vector, weight * self.steps.scale) for vector, weight in self._present(name)]
        return weighted_sum(terms, name, first, last, device)

    def theta(
        self, name: str, first: int, last: int, base: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Rows [first, last) of the merged weights from the base's: float32, flat; written to `out` where given.

        `base` is not changed. One vector at coefficient 1 gives the tuned weights bit for bit, also where
        float32(tuned - base) lost bits.
        """
        import torch

        merged = torch.add(self.change(name, first, last, base.device), base, out=out)
        if self.is_linear and len(self.vectors) == 1:
            (vector, weight), *_ = self._present(name)
            if (rest := vector.rest(name, first, last, base.device)) is not None:
                merged.add_(rest.mul_(weight * self.steps.scale))
        return merged
