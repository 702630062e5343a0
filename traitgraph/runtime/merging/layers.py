"""Which layer a tensor belongs to, and coefficients that differ by layer and by tensor name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")
_INPUT = re.compile(r"embed|wte|wpe")


def layer_of(name: str) -> int | None:
    """Number of the transformer layer that a tensor belongs to, None for embeddings, head and final norm.

    >>> layer_of("model.layers.12.mlp.up_proj.weight"), layer_of("lm_head.weight")
    (12, None)
    """
    found = _LAYER.search(name)
    return int(found.group(1)) if found else None


@dataclass(frozen=True)
class Gradient:
    """Values that stand evenly spaced from the first layer to the last, with a line between neighbours.

    >>> Gradient((0.0, 1.0)).at("model.layers.5.w", layers=11), Gradient((0.0, 1.0)).at("lm_head.weight", layers=11)
    (0.5, 1.0)
    """

    values: tuple[float, ...]
    outside: Literal["ends", "first"] = "ends"
    """Tensors outside the layers: embeddings get the first value and the head the last, or all get the first one."""

    def at(self, name: str, layers: int) -> float:
        """The value for a tensor of a model with this many layers."""
        layer = layer_of(name)
        if layer is None:
            return self.values[0 if self.outside == "first" or _INPUT.search(name) else -1]
        if layers == 1:  # the way from the first to the last layer has no length: its end (as mergekit has it)
            return self.values[-1]
        position = layer / (layers - 1) * (len(self.values) - 1)
        left = min(int(position), len(self.values) - 1)
        right = min(left + 1, len(self.values) - 1)
        share = position - left
        return (1 - share) * self.values[left] + share * self.values[right]


@dataclass(frozen=True)
class ByName:
    """The first value whose text occurs in the tensor's name; an empty text occurs in every name.

    >>> ByName((("mlp", 0.5), ("", 1.0))).at("model.layers.0.mlp.up_proj.weight", layers=2)
    0.5
    """

    choices: tuple[tuple[str, float | Gradient], ...]

    def at(self, name: str, layers: int) -> float:
        """The value for a tensor; 0 where no text occurs in its name."""
        for text, value in self.choices:
            if text in name:
                return value_at(value, name, layers)
        return 0.0


Weight = float | Gradient | ByName


def value_at(weight: Weight, name: str, layers: int) -> float:
    """A coefficient at one tensor of a model with this many layers."""
    return weight.at(name, layers) if isinstance(weight, Gradient | ByName) else float(weight)


def values_of(weight: Weight) -> tuple[float, ...]:
    """Every number that a coefficient is made of."""
    if isinstance(weight, ByName):
        return tuple(number for _, value in weight.choices for number in values_of(value))
    return weight.values if isinstance(weight, Gradient) else (float(weight),)


def layer_count(names: Sequence[str]) -> int:
    """Layers of a model, from its tensors' names; at least 1."""
    return 1 + max((layer_of(name) or 0 for name in names), default=0)
