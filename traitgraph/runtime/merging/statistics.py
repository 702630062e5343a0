"""What the record of a merge says: how large the change is, and how much of it survives the number format.

effective alpha   projection of what is really added on what was asked for: 1 is exact, 0 is lost, None: 0 was asked
relative error    |added - asked| / |asked|
kept fraction     share of the vectors' elements that sparsification leaves
sign conflicts    share of the changed elements that vectors change in opposite directions
Small changes vanish when they are rounded to bfloat16: weights near 0.02 have a step of 1.2e-4 (the dead zone).

A virtual merge is not computed when its recipe is written: all but norms and cosines comes from about a million
elements, evenly spread, the same ones for every coefficient, read once per session.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import sqrt
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.tensors.checkpoint import Checkpoint, matrix_shape
from traitgraph.runtime.tensors.rounding import check_finite, round_to
from traitgraph.runtime.vectors.differences import Difference, cosines, inner_product, norm_of_sum

from .composition import BaseRows, Composition

if TYPE_CHECKING:
    import torch


WARN_BELOW = 0.9
InnerProduct = Callable[[Difference, Difference], float]


def statistics_of(composition: Composition, sample: Sample, inner: InnerProduct = inner_product) -> dict[str, Any]:
    """The statistics of a composition: norms and cosines of whole vectors are exact, the rest is of the sample."""
    vectors = composition.vectors
    table = [[inner(left, right) for right in vectors] for left in vectors]
    change = sample.change(composition)
    norm = float(change.double().norm()) * sqrt(sample.total / max(change.numel(), 1))
    if composition.is_plain_sum:
        norm = abs(composition.steps.scale) * norm_of_sum(table, composition.coefficients(""))
    found: dict[str, Any] = {
        "norm": norm,
        "elements": sample.total,
        "sampled_elements": change.numel(),
        "kept_fraction": kept_fraction(composition, sample),
        **rounding_loss(sample.start(composition), change, sample.rounded(change, composition)),
    }
    if len(vectors) > 1:
        found["cosines"] = cosines(table)
        found["sign_conflicts"] = sign_conflicts(composition, sample)
    return found


def kept_fraction(composition: Composition, sample: Sample) -> float:
    """Share of the elements of the vectors that are left after trimming and dropping."""
    if not composition.steps.sparsify:
        return 1.0
    before = sum(int(sample.vector(vector).count_nonzero()) for vector in composition.vectors)
    return sum(int(sample.vector(part).count_nonzero()) for part in composition.parts) / max(before, 1)


def sign_conflicts(composition: Composition, sample: Sample) -> float:
    """Share of the changed elements where one vector pulls up and another one down."""
    import torch

    pairs = zip(composition.parts, composition.coefficients(""), strict=True)
    pulls = torch.stack([sample.vector(part) * weight for part, weight in pairs])  # [vectors, elements]
    up, down = (pulls > 0).any(0), (pulls < 0).any(0)
    return int((up & down).count_nonzero()) / max(int((up | down).count_nonzero()), 1)


def rounding_loss(base: torch.Tensor, change: torch.Tensor, rounded: torch.Tensor) -> dict[str, float | None]:
    """Effective alpha and relative error of a change, from float32 samples of the base and of the rounded sum.

    Both are None where the change is 0: there is nothing that could be lost.
    """
    added, asked = rounded.double() - base.double(), change.double()
    square = float(asked @ asked)
    if not square:
        return {"effective_alpha": None, "relative_error": None}
    return {
        "effective_alpha": float(added @ asked) / square,
        "relative_error": float((added - asked).norm()) / sqrt(square),
    }


def warning(effective_alpha: float | None, dtype: str, rounding: str | None) -> str | None:
    """What to tell the user when a change does not survive the number format, else None."""
    if effective_alpha is None or effective_alpha >= WARN_BELOW:
        return None
    other = "" if rounding == "stochastic" else ", or set rounding: stochastic"
    return f"only {effective_alpha:.0%} of the change survives rounding to {dtype}: take float32{other}"


ELEMENTS = 1 << 20
"""Size of a sample."""


class Sample:
    """Rows of the base, at the number format in which it is loaded, and of vectors, each as one float32 array."""

    def __init__(self, base: Checkpoint, dtype: torch.dtype, names: Iterable[str]) -> None:
        self._base, self.dtype = base, dtype
        self.names = tuple(names)
        self.total = sum(base[name].elements for name in self.names)
        self.rows: dict[str, list[int]] = {}
        self._sizes: dict[str, int] = {}
        for name in self.names:
            height, width = matrix_shape(base[name].shape)
            share = ELEMENTS * base[name].elements / max(self.total, 1)  # at least one row, evenly spaced
            count = min(height, max(1, round(share / max(width, 1))))
            self.rows[name] = [(2 * index + 1) * height // (2 * count) for index in range(count)]
            self._sizes[name] = count * width
        self._vectors: dict[str, torch.Tensor] = {}
        self._weights: torch.Tensor | None = None

    def base(self) -> torch.Tensor:
        """The sampled base weights: float32, [elements], rounded as they are when the model is loaded."""
        if self._weights is None:
            read = self._base.read
            self._weights = self._joined(lambda name, *rows: read(name, rows).to(self.dtype).float(), self.names)
        return self._weights

    def vector(self, vector: Difference) -> torch.Tensor:
        """The sampled rows of a vector: float32, [elements]; zeros in tensors that it does not change."""
        if vector.history not in self._vectors:
            self._vectors[vector.history] = self._joined(vector.piece, vector.names)
        return self._vectors[vector.history]

    def _joined(self, piece: BaseRows, names: Collection[str]) -> torch.Tensor:
        """The sampled rows, as `piece` gives those of the tensors in `names`; zeros for the others."""
        import torch

        parts = [torch.zeros(0)]
        for name in self.names:
            if name in names:
                parts += (piece(name, row, row + 1) for row in self.rows[name])
            else:
                parts.append(torch.zeros(self._sizes[name]))
        return torch.cat(parts)

    def change(self, composition: Composition) -> torch.Tensor:
        """The sampled rows of what a composition adds: float32, [elements]; zeros where it changes nothing."""
        import torch

        if not composition.vectors:
            return torch.zeros_like(self.base())
        if composition.is_plain_sum:
            weights = composition.coefficients("")
            pairs = zip(composition.parts, weights, strict=True)
            return torch.stack([self.vector(part) * (w * composition.steps.scale) for part, w in pairs]).sum(0)
        return self._joined(composition.change, composition.merged)

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
        for name, part in zip(self.names, torch.split(values, list(self._sizes.values())), strict=True):
            check_finite(part, name, self.dtype)
        return round_to(values, self.dtype, rounding, seed=seed, name="sample", offset=0).float()
