"""Which layer a tensor belongs to, and coefficients that differ by layer and by tensor name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer|resblocks)\.(\d+)\.")
_INPUT = re.compile(r"embed|wte|wpe")


def layer_of(name: str) -> int | None:
    """Number of the transformer layer that a tensor belongs to, None for embeddings, head and final norm.

    >>> layer_of("model.layers.12.mlp.up_proj.weight"), layer_of("lm_head.weight")
    (12, None)
    """
    place = _place(name)
    return place[1] if place else None


Towers = Mapping[str, tuple[int, int]]
"""What stands before the number of a layer (text, vision, encoder, decoder are towers of one model) -> first, last."""


def _place(name: str) -> tuple[str, int] | None:
    """Tower and layer of a tensor, None outside the layers.

    >>> _place("model.vision_tower.encoder.layers.3.mlp.fc1.weight")
    ('model.vision_tower.encoder.layers', 3)
    """
    found = _LAYER.search(name)
    return (name[: found.start(1) - 1], int(found[1])) if found else None


def towers_of(names: Iterable[str]) -> Towers:
    """The towers of a model, from its tensors' names: each counts its own layers."""
    found: dict[str, tuple[int, int]] = {}
    for tower, layer in filter(None, map(_place, names)):
        first, last = found.get(tower, (layer, layer))
        found[tower] = min(first, layer), max(last, layer)
    return found


def places(names: Iterable[str]) -> Callable[[str], int | str | None]:
    """What names the layer of a tensor: its number, with its tower where the names are of several towers."""
    if len(towers_of(names)) < 2:
        return layer_of
    return lambda name: "{}.{}".format(*place) if (place := _place(name)) else None


@dataclass(frozen=True)
class Gradient:
    """Values that stand evenly spaced from a tower's first layer to its last, with a line between neighbours.

    >>> towers = {"model.layers": (0, 10)}
    >>> Gradient((0.0, 1.0)).at("model.layers.5.w", towers), Gradient((0.0, 1.0)).at("lm_head.weight", towers)
    (0.5, 1.0)
    """

    values: tuple[float, ...]
    outside: Literal["ends", "first"] = "ends"
    """Tensors outside the layers: embeddings get the first value and the head the last, or all get the first one."""

    def at(self, name: str, towers: Towers) -> float:
        """The value for a tensor of a model with these towers."""
        if (place := _place(name)) is None:
            return self.values[0 if self.outside == "first" or _INPUT.search(name) else -1]
        tower, layer = place
        first, last = towers[tower]
        if first == last:  # the way from the first to the last layer has no length: its end (as mergekit has it)
            return self.values[-1]
        position = (layer - first) / (last - first) * (len(self.values) - 1)
        left = min(int(position), len(self.values) - 1)
        right = min(left + 1, len(self.values) - 1)
        share = position - left
        return (1 - share) * self.values[left] + share * self.values[right]


@dataclass(frozen=True)
class ByName:
    """The first value whose text occurs in the tensor's name; an empty text occurs in every name.

    >>> ByName((("mlp", 0.5), ("", 1.0))).at("model.layers.0.mlp.up_proj.weight", {"model.layers": (0, 1)})
    0.5
    """

    choices: tuple[tuple[str, float | Gradient], ...]

    def at(self, name: str, towers: Towers) -> float:
        """The value for a tensor; 0 where no text occurs in its name."""
        for text, value in self.choices:
            if text in name:
                return value_at(value, name, towers)
        return 0.0


Weight = float | Gradient | ByName


def value_at(weight: Weight, name: str, towers: Towers) -> float:
    """A coefficient at one tensor of a model with these towers."""
    return weight.at(name, towers) if isinstance(weight, Gradient | ByName) else float(weight)


def values_of(weight: Weight) -> tuple[float, ...]:
    """Every number that a coefficient is made of."""
    if isinstance(weight, ByName):
        return tuple(number for _, value in weight.choices for number in values_of(value))
    return weight.values if isinstance(weight, Gradient) else (float(weight),)
