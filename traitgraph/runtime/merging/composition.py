"""One composition of vectors: which tensors change, and the float32 values of any rows of them.

Everything that applies a merge (in place, to disk, for statistics) asks here for the same pieces, so that all of them
get the same bits. Arithmetic is float32 throughout; rounding to the base's number format is the caller's last step.

A change is `strength` times a `direction`: recipes that differ only in a common factor of their coefficients or in
lambda have one direction, which costs the trim, the masks and the election, and need only be scaled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from traitgraph.specs.merge_methods import MergeMethod

from .adapters import Factors
from .arc import arc_weights
from .differences import Difference, piece_size, pieces, weighted_sum
from .election import elected_sign, majority, merge_elected
from .errors import MergeError
from .layers import layer_of, weight_at
from .methods import steps_of
from .sparsified import Cache, sparsified

if TYPE_CHECKING:
    import torch

BaseRows = Callable[[str, int, int], "torch.Tensor"]
"""Rows [first, last) of a tensor of the base: float32, flat; for methods that need more of the base than one piece."""


class Composition:
    """theta = base + merge(w_1 phi_1, ..., w_N phi_N) for one method and its options.

    Vectors of coefficient 0 are left out where that changes nothing. `cache` keeps what was counted (thresholds) and
    may be shared by compositions. Raises MergeError for vectors of unequal shapes and when the method does not take
    that many.
    """

    def __init__(
        self,
        vectors: Sequence[Difference],
        weights: Sequence[float],
        options: MergeMethod,
        *,
        cache: Cache | None = None,
        base: BaseRows | None = None,
    ) -> None:
        if len(vectors) != len(weights):
            raise MergeError(f"{len(vectors)} vectors and {len(weights)} coefficients: one for each vector is needed")
        self.options, self.steps, self.base = options, steps_of(options), base
        kept = [(v, float(w)) for v, w in zip(vectors, weights, strict=True) if w or self.steps.zero_counts]
        self._check_number(len(kept))
        self._cache: Cache = {} if cache is None else cache
        self.vectors = tuple(vector for vector, _ in kept)
        self.weights = tuple(self.steps.coefficients([weight for _, weight in kept]))
        self._check_common()
        self._parts = [sparsified(vector, self.steps.sparsify, self._cache) for vector in self.vectors]
        self._shapes = {name: shape for name, shape in _common_shapes(self.vectors).items() if self._includes(name)}

    def _check_number(self, number: int) -> None:
        fewest, most = self.steps.vectors
        if number and (number < fewest or (most is not None and number > most)):
            wanted = f"at least {fewest}" if most is None else f"{fewest} to {most}"
            raise MergeError(f"{self.options.kind}: {wanted} vectors are needed, {number} given")  # type: ignore[attr-defined]  # each method declares its kind

    def _check_common(self) -> None:
        if self.steps.one_coefficient and len(set(self.weights)) > 1:
            raise MergeError(
                f"conventions '{self.options.conventions}' ignore the coefficients of single vectors in this method; "
                "give all vectors one coefficient, or choose other conventions"
            )

    def _includes(self, name: str) -> bool:
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
    def terms(self) -> list[tuple[Difference, float]]:
        """Vectors with their coefficients, before the method's own scale and weights over layers."""
        return list(zip(self.vectors, self.weights, strict=True))

    @property
    def is_linear(self) -> bool:
        """Whether the change is sum_k c_k phi_k, so that low-rank vectors give a low-rank change."""
        return self.steps.is_linear

    @property
    def is_plain_sum(self) -> bool:
        """Whether the change is the same weighted sum in every tensor of the vectors."""
        options = self.options
        return self.is_linear and not (options.include or options.exclude or options.layer_weights)

    @property
    def is_pointwise(self) -> bool:
        """Whether the change of a tensor follows from the vectors alone, without the base."""
        return self.steps.keeps_base and not self.steps.on_arc

    # ---------------------------------------------------------------- strength and direction

    @cached_property
    def _common(self) -> float:
        """The common factor of the coefficients: the largest magnitude. Dividing by it leaves a direction."""
        return max((abs(weight) for weight in self.weights), default=0.0) or 1.0

    @property
    def strength(self) -> float:
        """What the direction is multiplied by: lambda, and the common factor unless the method divides by it."""
        return self.steps.scale * (1.0 if self.steps.mean == "weight" else self._common)

    @property
    def direction_key(self) -> str:
        """Equal for compositions whose directions are equal."""
        ignored = {"scale", "rounding"}
        return repr(([v.id for v in self.vectors], self._ratios, self.options.model_dump(exclude=ignored)))

    @property
    def _ratios(self) -> list[float]:
        return [weight / self._common for weight in self.weights]

    @cached_property
    def _layers(self) -> int:
        return 1 + max((layer_of(name) or 0 for name in self._shapes), default=0)

    def _present(self, name: str) -> list[tuple[Difference, float]]:
        """The sparsified vectors that change a tensor, with their coefficients relative to the common factor."""
        factor = weight_at(self.options.layer_weights, layer_of(name), self._layers)
        pairs = zip(self._parts, self._ratios, strict=True)
        return [(part, ratio * factor) for part, ratio in pairs if name in part.names]

    def factors(self, name: str, device: torch.device | None = None) -> list[tuple[float, Factors]] | None:
        """The change of a tensor as scaled low-rank terms, or None when it is not of that form."""
        if not self.is_linear:
            return None
        terms = [(ratio * self.strength, part.factors(name, device)) for part, ratio in self._present(name)]
        return [(w, f) for w, f in terms if f is not None] if all(f is not None for _, f in terms) else None

    def direction(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of what is added to the base at strength 1: float32, flat, the caller's to change."""
        present = self._present(name)
        election = self.steps.election
        if election is None:
            return weighted_sum(present, name, first, last, device)
        plain = [part.piece(name, first, last, device) for part, _ in present]
        draw = self._majority(device) if election.draw == "majority" else 1.0
        return merge_elected(plain, [ratio for _, ratio in present], election, self.steps.mean, draw)

    def _majority(self, device: torch.device | None) -> float:
        """The sign that most elements of the whole model elect: what draws get under the authors' convention."""
        key = ("majority", self.direction_key)
        if key not in self._cache:
            votes = 0.0
            for name in self.names:
                present, election = self._present(name), self.steps.election
                assert election is not None, "a majority without an election"
                for rows in pieces(self.shape(name), piece_size(device)):
                    plain = [part.piece(name, *rows, device) for part, _ in present]
                    ups = elected_sign(plain, [ratio for _, ratio in present], election, 1.0)
                    downs = elected_sign(plain, [ratio for _, ratio in present], election, -1.0)
                    votes += majority(ups + downs)  # draws cancel
            self._cache[key] = 1.0 if votes >= 0 else -1.0
        return float(self._cache[key])

    # ---------------------------------------------------------------- what is added, and the merged weights

    def change(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of what is added to the base: float32, flat, the caller's to change."""
        if self.is_pointwise:
            return self.direction(name, first, last, device).mul_(self.strength)
        base = self._base_rows(name, first, last)
        return self.theta(name, first, last, base).sub_(base)

    def theta(
        self,
        name: str,
        first: int,
        last: int,
        base: torch.Tensor,
        *,
        direction: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Rows [first, last) of the merged weights: float32, flat; in `out` where it is given.

        `base` are the base's rows, not changed; `direction` saves computing it again, not changed either. One vector at
        coefficient 1 gives the tuned weights bit for bit, also where float32(tuned - base) lost bits.
        """
        import torch

        if self.steps.on_arc:
            return self._on_arc(name, first, last, base, out)
        if direction is None:
            moved = self.direction(name, first, last, base.device).mul_(self.strength)
        else:
            moved = direction * self.strength
        base_weight = 1.0 if self.steps.keeps_base else sum(self.weights)
        merged = torch.add(moved, base if base_weight == 1.0 else base * base_weight, out=out)
        if self.is_linear and len(self.vectors) == 1:
            ((part, ratio),) = self._present(name)
            if (rest := part.rest(name, first, last, base.device)) is not None:
                merged.add_(rest.mul_(ratio * self.strength))
        return merged

    def _on_arc(self, name: str, first: int, last: int, base: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
        import torch

        a, b = self._ends(name, first, last, base)
        key = ("arc", self.direction_key, name)
        if key not in self._cache:
            runs = pieces(self.shape(name), piece_size(base.device))
            pairs = (self._ends(name, *rows, self._base_rows(name, *rows)) for rows in runs)
            self._cache[key] = arc_weights(pairs, self._way)
        left, right = self._cache[key]
        return torch.add(a * left, b * right, out=out)

    def _ends(self, name: str, first: int, last: int, base: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both ends of the arc: base and tuned for one vector, the two tuned models for two."""
        ends = [base + v.piece(name, first, last, base.device) if name in v.names else base for v in self.vectors]
        return (base, ends[0]) if len(ends) == 1 else (ends[0], ends[1])

    @property
    def _way(self) -> float:
        """How far along the arc: alpha, or alpha_2 / (alpha_1 + alpha_2)."""
        if len(self.weights) == 1:
            return self.weights[0]
        return self.weights[1] / sum(self.weights)

    def _base_rows(self, name: str, first: int, last: int) -> torch.Tensor:
        if self.base is None:
            raise MergeError(f"{self.options.kind}: needs the base's weights, and only vectors are given")  # type: ignore[attr-defined]  # each method declares its kind
        return self.base(name, first, last)


def _common_shapes(vectors: Sequence[Difference]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor that any vector changes."""
    shapes: dict[str, tuple[int, ...]] = {}
    for vector in vectors:
        for name in vector.names:
            if shapes.setdefault(name, vector.shape(name)) != vector.shape(name):
                raise MergeError(
                    f"tensor '{name}' has shape {list(shapes[name])} in one vector and {list(vector.shape(name))} in "
                    "another: vectors of one base are needed"
                )
    return shapes
