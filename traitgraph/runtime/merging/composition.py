"""One composition of vectors: which tensors change, and the float32 values of any rows of them.

Everything that applies a merge (in place, to disk, for statistics) asks here for the same pieces, so that all of them
get the same bits. Arithmetic is float32 throughout; rounding to the base's number format is the caller's last step.

A change is `strength` times a `direction`: recipes that differ only in a common factor of their coefficients or in
lambda have one direction, which costs the trim, the masks and the election, and need only be scaled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from math import gcd, isfinite, lcm
from typing import TYPE_CHECKING

from traitgraph.runtime.tensors.checkpoint import MergeError, matrix_shape
from traitgraph.runtime.tensors.rounding import round_to
from traitgraph.runtime.vectors.adapters import Factors
from traitgraph.runtime.vectors.differences import Difference, piece_size, pieces, weighted_sum
from traitgraph.runtime.vectors.layers import Gradient, Towers, Weight, towers_of, value_at, values_of
from traitgraph.specs.study.merge_methods import MergeMethod

from .combine import elected_sign, merge_elected, slerp_weights, weighed
from .methods import Election, RankDrop, steps_of
from .pruned import Cache, PrunedByTensor, count_together, pruned

if TYPE_CHECKING:
    import torch


BaseRows = Callable[[str, int, int], "torch.Tensor"]
"""Rows [first, last) of a tensor of the base: float32, flat; for methods that need more of the base than one piece."""


class Composition:
    """theta = base + merge(w_1 phi_1, ..., w_N phi_N) for one method and its options.

    Vectors of coefficient 0 are left out where that changes nothing; where all are 0, none is merged. `densities`
    replace the method's own, one for each vector. `onto` is a difference with its factor that moves the base first (a
    domain that traits are carried onto); the method does not see it. `cache` keeps what was counted (thresholds) and
    may be shared by compositions. `base_names` say which layers there are (absent: those of the vectors). Raises
    MergeError for vectors of unequal shapes, for coefficients that are no finite numbers or that the method cannot
    divide by, and when the method does not take that many.
    """

    def __init__(
        self,
        vectors: Sequence[Difference],
        weights: Sequence[Weight],
        options: MergeMethod,
        *,
        densities: Sequence[Weight | None] | None = None,
        onto: tuple[Difference, float] | None = None,
        cache: Cache | None = None,
        base: BaseRows | None = None,
        base_names: Iterable[str] = (),
    ) -> None:
        if not vectors and onto is None:
            raise MergeError("there is nothing to merge: no vector and no fine-tune is given")
        if len(vectors) != len(weights):
            raise MergeError(f"{len(vectors)} vectors and {len(weights)} coefficients: one for each vector is needed")
        self.options, self.steps, self.base, self.onto = options, steps_of(options), base, onto
        self.method = options.name
        self.seed: int = getattr(options, "seed", 0)
        """Seed of masks and of stochastic rounding."""
        self._terms: dict[str, list[tuple[Difference, float]]] = {}
        self._cache: Cache = {} if cache is None else cache
        if odd := [number for weight in weights for number in values_of(weight) if not isfinite(number)]:
            raise MergeError(f"a coefficient is {odd[0]}: finite numbers are needed")
        # A recipe with a vector at 0 and one without it are one recipe, where the method does not count its vectors.
        kept = [place for place, weight in enumerate(weights) if weight != 0]
        if kept and not options.ignores_zero:
            kept = list(range(len(weights)))
        if kept and (reason := options.refuses(len(kept))):
            raise MergeError(f"{self.method}: {reason}")
        self.vectors = tuple(vectors[place] for place in kept)
        self._towers: Towers = towers_of(base_names or (name for each in vectors for name in each.names))
        self._weights = [weights[place] for place in kept]
        chosen = [densities[place] if densities else None for place in kept]
        self._is_counted = not self.steps.sparsify
        self.parts: Sequence[Difference] = [
            self._part(vector, density) for vector, density in zip(self.vectors, chosen, strict=True)
        ]
        """The vectors after what the method takes out of them."""
        self.merged = self._included(_common_shapes(self.vectors))
        """Tensors that the vectors change, without those that only `onto` moves, and their shapes."""
        domain = {name: onto[0].shape(name) for name in onto[0].names} if onto else {}
        self._shapes = {**self.merged, **domain}
        self._check_method()

    def _check_method(self) -> None:
        """Raise MergeError for what the method has no result for, as its conventions read it."""
        options = self.options
        if self.steps.one_coefficient and len(set(self._weights)) > 1:
            raise MergeError(
                f"conventions '{options.conventions}' ignore the coefficients of single vectors in this method; "
                "give all vectors one coefficient, or choose other conventions"
            )
        deep = next((name for name, shape in self.merged.items() if len(shape) > 2), None)
        if deep and options.conventions == "mergekit" and any(isinstance(e, RankDrop) for e in self.steps.sparsify):
            # It ranks the second axis of a tensor; our rows run over the last, which is the same of a matrix.
            raise MergeError(
                f"{self.method}: '{deep}' has {len(self.merged[deep])} axes, which conventions 'mergekit' rank "
                "otherwise; exclude it, or choose other conventions"
            )
        for name in [""] if self._are_numbers else self.merged:
            if reason := options.refuses_coefficients(self._given(name)):
                raise MergeError(f"{self.method}{name and f' at {name!r}'}: {reason}")

    def _part(self, vector: Difference, density: Weight | None) -> Difference:
        """A vector after the method's steps, the first of them at a density of the vector's own where it has one."""
        steps = self.steps.sparsify
        if density is None:
            return pruned(vector, steps, self._cache)
        if not steps:
            raise MergeError(f"{self.method} has no density: it keeps every element")
        if isinstance(density, int | float):
            return pruned(vector, (replace(steps[0], density=density), *steps[1:]), self._cache)
        if any(getattr(step, "scope", "tensor") == "model" for step in steps):
            raise MergeError(f"{self.method}: a density that differs by tensor needs `scope: tensor`")
        own = {name: value_at(density, name, self._towers) for name in vector.names}
        return PrunedByTensor(vector, lambda value: self._part(vector, value), own)

    def _included(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """The tensors that `include` and `exclude` leave. Raises MergeError when they leave none, or one finds none."""
        include, exclude = self.options.include or ("",), self.options.exclude or ()
        for pattern in include:
            if shapes and not any(re.search(pattern, name) for name in shapes):
                raise MergeError(
                    f"include: {pattern!r} finds no tensor of the vectors; there is '{next(iter(shapes))}'"
                )
        found = [name for name in shapes if any(re.search(pattern, name) for pattern in include)]
        left = {name: shapes[name] for name in found if not any(re.search(pattern, name) for pattern in exclude)}
        if found and not left:
            raise MergeError(f"exclude: {', '.join(map(repr, exclude))} leaves no tensor of the vectors to change")
        return left

    @property
    def names(self) -> tuple[str, ...]:
        """Tensors that change, in the order in which the vectors name them."""
        return tuple(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that changes."""
        return self._shapes[name]

    def counted(self) -> Cache:
        """What was counted of this composition's whole vectors so far."""
        whole = {(part.history,) for part in self.parts}
        return {key: value for key, value in self._cache.items() if key in whole}

    @property
    def is_plain_sum(self) -> bool:
        """Whether the change is sum_k c_k phi_k in every tensor of the vectors, with the same coefficients."""
        differs = self.options.include or self.options.exclude or self.options.layer_weights
        return self.steps.is_linear and self._are_numbers and not differs

    @property
    def is_plain_step(self) -> bool:
        """Whether theta is base + strength * direction and nothing more, rounded to the nearest."""
        return self.options.rounding in (None, "nearest") and self.onto is None and self.is_pointwise

    @property
    def is_pointwise(self) -> bool:
        """Whether the change of a tensor follows from the vectors alone, without the base."""
        return self.steps.keeps_base and not self.steps.on_arc

    # ---------------------------------------------------------------- coefficients: a strength and a direction

    @property
    def _are_numbers(self) -> bool:
        return all(isinstance(weight, int | float) for weight in self._weights)

    @cached_property
    def _common(self) -> float:
        """The common factor of the coefficients: dividing by it leaves a direction. The largest, if not elected.

        An election has a threshold (0), which ratios such as 2/3 + 1/3 - 1 would miss by rounding: its coefficients are
        divided by their greatest common divisor, and keep their signs. A mean by weight has one more where signs are
        mixed (a sum of weights 0 divides by 1): no factor there.
        """
        found = self.coefficients("") if self._are_numbers else []
        if not found or (self.steps.mean == "weight" and min(found) < 0 < max(found)):
            return 1.0
        largest = max(found, key=abs) or 1.0
        return (_common_divisor(found) or abs(largest)) if self.steps.election else largest

    @property
    def strength(self) -> float:
        """What the direction is multiplied by: lambda, and the common factor unless the method divides by it."""
        return self.steps.scale * (1.0 if self.steps.mean == "weight" else self._common)

    @cached_property
    def direction_key(self) -> str:
        """Equal for compositions whose directions are equal."""
        # lambda and the rounding come after the direction: they are no part of it
        histories = [part.history for part in self.parts]
        weights = self._ratios("") if self._are_numbers else self._weights
        return repr((histories, weights, self.options.model_dump(exclude={"scale", "rounding"})))

    def coefficients(self, name: str) -> list[float]:
        """What each vector is multiplied by at a tensor ('': at none in particular), before the method's own scale."""
        # a mean by weight would divide the factor of a layer out again: its result is multiplied
        factor = 1.0 if self.steps.mean == "weight" else self._layer_factor(name)
        return [weight * factor for weight in self.steps.coefficients(self._given(name))]

    def _layer_factor(self, name: str) -> float:
        """What `layer_weights` make of the coefficients at a tensor; of the result where these are divided out."""
        weights = self.options.layer_weights
        return Gradient(weights).at(name, self._towers) if name and weights else 1.0

    def _given(self, name: str) -> list[float]:
        """The coefficients at a tensor as they were given."""
        return [value_at(weight, name, self._towers) for weight in self._weights]

    def _ratios(self, name: str) -> list[float]:
        return [weight / self._common for weight in self.coefficients(name)]

    def _terms_of(self, name: str) -> list[tuple[Difference, float]]:
        """The pruned vectors that change a tensor, with their coefficients relative to the common factor."""
        if name not in self._terms:
            pairs = zip(self.parts, self._ratios(name), strict=True)
            self._terms[name] = [(part, ratio) for part, ratio in pairs if name in part.names]
        return self._terms[name]

    def factors(self, name: str, device: torch.device | None = None) -> list[tuple[float, Factors]] | None:
        """The change of a tensor as scaled low-rank terms, or None when it is not of that form."""
        if not self.steps.is_linear:
            return None
        terms = [(ratio * self.strength, part.factors(name, device)) for part, ratio in self._terms_of(name)]
        if self.onto and name in self.onto[0].names:
            terms.append((self.onto[1], self.onto[0].factors(name, device)))
        low_rank = [(weight, factors) for weight, factors in terms if factors is not None]
        return low_rank if len(low_rank) == len(terms) else None

    # ---------------------------------------------------------------- what is added

    def direction(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of what is added to the base at strength 1: float32, flat, the caller's to change."""
        if not self._is_counted:  # thresholds of whole vectors: one pass finds those of all of them
            count_together(self.parts, device)
            self._is_counted = True
        election, terms = self.steps.election, self._terms_of(name)
        if election is None:
            return weighted_sum(terms, name, first, last, device)
        draw = self._majority(election, device) if election.draw == "majority" else 1.0
        plain, ratios = [part.piece(name, first, last, device) for part, _ in terms], [ratio for _, ratio in terms]
        found = merge_elected(plain, ratios, election, self.steps.mean, draw)
        return found.mul_(self._layer_factor(name)) if self.steps.mean == "weight" else found

    def _majority(self, election: Election, device: torch.device | None) -> float:
        """The sign that most elements of the whole model elect: what draws get under the authors' convention."""
        key = ("majority", self.direction_key)
        if key not in self._cache:
            total = 0.0
            for name in self.names:
                terms = self._terms_of(name)
                for rows in pieces(self.shape(name), piece_size(device)):
                    plain = [part.piece(name, *rows, device) for part, _ in terms]
                    votes = weighed(plain, [ratio for _, ratio in terms], election)
                    up, down = (elected_sign(votes, election, draw) for draw in (1.0, -1.0))
                    total += float((up + down).sign().double().sum())  # draws cancel
            self._cache[key] = 1.0 if total >= 0 else -1.0
        return float(self._cache[key])

    def change(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of what is added to the base: float32, flat, the caller's to change."""
        if self.is_pointwise:
            return self.direction(name, first, last, device).mul_(self.strength)
        base = self._base_rows(name, first, last)
        return self.theta(name, first, last, base).sub_(base)

    # ---------------------------------------------------------------- merged weights

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

        `base` are the base's rows, not changed; `direction` saves making it again, not changed either. One vector at
        coefficient 1 gives the tuned weights bit for bit, also where float32(tuned - base) lost bits.
        """
        import torch

        if self.onto is not None and name in self.onto[0].names:
            base = _moved(base, name, first, last, *self.onto)
            if name not in self.merged:
                return base if out is None else out.copy_(base)
        if self.steps.on_arc:
            return self._on_arc(name, first, last, base, out)
        if direction is None:
            direction = self.direction(name, first, last, base.device)
            out = direction if out is None else out
        if not self.steps.keeps_base:  # sum_k w_k (base + phi_k)
            base = base * sum(self.coefficients(name))
        rest = self.rest(name, first, last, base.device)
        merged = torch.add(base, direction, alpha=self.strength, out=out)
        return merged if rest is None else merged.add_(rest)

    def rounded(
        self,
        name: str,
        first: int,
        last: int,
        base: torch.Tensor,
        dtype: torch.dtype,
        *,
        direction: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Rows of the merged weights in a number format, as `theta` makes them. Raises MergeError for no numbers."""
        theta = self.theta(name, first, last, base, direction=direction)
        offset = first * matrix_shape(self.shape(name))[1]
        return round_to(theta, dtype, self.options.rounding, seed=self.seed, name=name, offset=offset)

    def rest(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor | None:
        """What rows [first, last) lack of the tuned weights where these are to be restored, or None."""
        return self._terms_of(name)[0][0].rest(name, first, last, device) if self.restores(name) else None

    def restores(self, name: str) -> bool:
        """Whether a tensor becomes the tuned one: one vector is added to it, at coefficient 1, and nothing else."""
        if len(self.vectors) != 1 or not self.steps.is_linear:
            return False
        return self._terms_of(name)[0][1] * self.strength == 1.0

    def _on_arc(self, name: str, first: int, last: int, base: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
        import torch

        weights = self.coefficients(name)
        if not any(weights):
            return base.clone() if out is None else out.copy_(base)
        # The angle is one of the whole tensor, which is read once more for it: a piece of its own would bend the arc.
        key = ("arc", self.direction_key, str(weights), name)
        if key not in self._cache:
            runs = pieces(self.shape(name), piece_size(base.device))
            pairs = (self._ends(name, *rows, self._base_rows(name, *rows)) for rows in runs)
            self._cache[key] = slerp_weights(pairs, weights[0] if len(weights) == 1 else weights[1] / sum(weights))
        (a, b), (left, right) = self._ends(name, first, last, base), self._cache[key]
        return torch.add(a * left, b * right, out=out)

    def _ends(self, name: str, first: int, last: int, base: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both ends of the arc: base and tuned for one vector, the two tuned models for two."""
        ends = [_moved(base, name, first, last, v, 1.0) if name in v.names else base for v in self.vectors]
        return (base, ends[0]) if len(ends) == 1 else (ends[0], ends[1])

    def _base_rows(self, name: str, first: int, last: int) -> torch.Tensor:
        if self.base is None:
            raise MergeError(f"{self.method}: needs the base's weights, and only vectors are given")
        return self.base(name, first, last)


def _common_divisor(weights: Sequence[float]) -> float | None:
    """The largest number of which all are whole multiples, as decimals; None where float32 does not hold these."""
    exact = [Fraction(repr(abs(weight))) for weight in weights if weight]
    unit = Fraction(gcd(*(each.numerator for each in exact)), lcm(*(each.denominator for each in exact)))
    return float(unit) if unit and max(exact) / unit < 1 << 24 else None


def _moved(base: torch.Tensor, name: str, first: int, last: int, domain: Difference, factor: float) -> torch.Tensor:
    """base + factor * domain for rows [first, last); at factor 1 the domain's model bit for bit."""
    rest = domain.rest(name, first, last, base.device) if factor == 1.0 else None
    moved = base.add(domain.piece(name, first, last, base.device), alpha=factor)
    return moved if rest is None else moved.add_(rest, alpha=factor)


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
