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
    own = [_products(each, each, place) for each in vectors]
    rows: list[dict[str, object]] = []
    metrics: list[Metric] = []
    for left, right in combinations(range(len(vectors)), 2):
        found = _products(vectors[left], vectors[right], place)
        for layer in sorted(own[left].keys() | own[right].keys(), key=_order):
            value = _cosine(found.get(layer, 0.0), own[left].get(layer, 0.0), own[right].get(layer, 0.0))
            pair = f"{names[left]} ~ {names[right]}"
            rows.append({"left": names[left], "right": names[right], "layer": layer, "cosine": value})
            metrics.append(Metric(pair + _suffix(layer), value, _elements(vectors[left], layer, place)))
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


def _cosine(product: float, left: float, right: float) -> float | None:
    return product / sqrt(left * right) if left > 0 and right > 0 else None


def _suffix(layer: Place) -> str:
    if layer is None:
        return ""
    return ", outside layers" if layer == OUTSIDE else f", layer {layer}"


def _elements(vector: Difference, layer: Place, place: Callable[[str], Place]) -> int:
    return sum(prod(vector.shape(name)) for name in vector.names if place(name) == layer)
