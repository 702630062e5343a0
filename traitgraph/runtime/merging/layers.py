"""Which layer a tensor belongs to, and weights that run over the layers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")


def layer_of(name: str) -> int | None:
    """Number of the transformer layer that a tensor belongs to, None for embeddings, head and final norm.

    >>> layer_of("model.layers.12.mlp.up_proj.weight"), layer_of("lm_head.weight")
    (12, None)
    """
    found = _LAYER.search(name)
    return int(found.group(1)) if found else None


def weight_at(weights: Sequence[float] | None, layer: int | None, layers: int) -> float:
    """Value at a layer of a line through `weights`, which stand evenly spaced from the first layer to the last.

    Tensors outside the layers get the mean of the line's ends. No weights: 1.

    >>> weight_at((0.0, 1.0), 5, 11), weight_at((0.5,), 3, 8), weight_at(None, 3, 8)
    (0.5, 0.5, 1.0)
    """
    if not weights:
        return 1.0
    if layer is None:
        return (weights[0] + weights[-1]) / 2
    position = layer / max(layers - 1, 1) * (len(weights) - 1)
    left = min(int(position), max(len(weights) - 2, 0))
    right = min(left + 1, len(weights) - 1)
    return weights[left] + (weights[right] - weights[left]) * (position - left)
