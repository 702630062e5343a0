"""Cosine of the angle between every two personality vectors, over all weights or layer by layer.

Above 0.3 between traits, Personality Vector (arXiv:2509.19727) reads it as a shared style rather than a trait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import prod, sqrt

from traitgraph.runtime.assessment.measurement import Measurement, Metric
from traitgraph.runtime.vectors.differences import Difference, inner_of_tensor
from traitgraph.runtime.vectors.layers import places

OUTSIDE = -1
"""Stands for embeddings, head and final norm."""
Place = int | str | None
Products = Mapping[Place, float]


def vector_similarity(vectors: Sequence[Difference], names: Sequence[str], *, by_layer: bool = False) -> Measurement:
    """`A ~ B` for every two vectors, in their order; layer by layer `A ~ B, layer 3`, the rest as `outside layers`.

    A tensor that one vector does not change counts as zero there. Undefined where a vector is zero.
    """
    layer_of = places(name for each in vectors for name in each.names)
    place = (lambda name: OUTSIDE if (layer := layer_of(name)) is None else layer) if by_layer else lambda _: None
    squares = [_products(each, each, place) for each in vectors]
    rows: list[dict[str, object]] = []
    metrics: list[Metric] = []
    for (left, vector, own), (right, other, others) in combinations(zip(names, vectors, squares, strict=True), 2):
        found = _products(vector, other, place)
        for layer in sorted(own.keys() | others.keys(), key=_order):
            square = own.get(layer, 0.0) * others.get(layer, 0.0)
            value = found.get(layer, 0.0) / sqrt(square) if square > 0 else None
            where = "" if layer is None else ", outside layers" if layer == OUTSIDE else f", layer {layer}"
            elements = sum(prod(vector.shape(name)) for name in vector.names if place(name) == layer)
            rows.append({"left": left, "right": right, "layer": layer, "cosine": value})
            metrics.append(Metric(f"{left} ~ {right}{where}", value, elements))
    return Measurement(rows, metrics)


def _order(place: Place) -> tuple[str, int]:
    """Numbers first and by size, then the layers of each tower."""
    tower, _, layer = str(place).rpartition(".")
    return tower, 0 if place is None else int(layer)


def _products(left: Difference, right: Difference, place: Callable[[str], Place]) -> Products:
    """Inner products by layer; under None where all weights count together."""
    found: dict[Place, float] = defaultdict(float)
    for name in left.names:
        if name in right.names:
            found[place(name)] += inner_of_tensor(left, right, name)
    return found
