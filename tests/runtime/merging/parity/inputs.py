"""Fixed small tensors that every implementation is asked to merge, and our masks in the form the peers draw theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from traitgraph.runtime.tensors.masks import random_shares
from traitgraph.runtime.vectors.differences import TensorDifference

if TYPE_CHECKING:
    import torch

SHAPES = {"layers.0.w": (24, 40), "layers.1.w": (40, 24), "norm": (40,)}
WEIGHTS = (0.7, 0.5, 0.3)
MIXED = (0.7, -0.5, 0.3)


def base_and_tuned(count: int = 3) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Weights of a base and of fine-tunes, whose distances differ by tensor and vector."""
    import torch

    draw = torch.Generator().manual_seed(7)
    base = {name: torch.randn(shape, generator=draw) for name, shape in SHAPES.items()}
    tuned = [
        {
            name: tensor + torch.randn(tensor.shape, generator=draw) * 0.1 * (1 + position + vector)
            for position, (name, tensor) in enumerate(base.items())
        }
        for vector in range(count)
    ]
    return base, tuned


def differences() -> list[dict[str, torch.Tensor]]:
    """tuned - base of each fine-tune."""
    base, tuned = base_and_tuned()
    return [{name: each[name] - base[name] for name in base} for each in tuned]


def as_vectors(found: Sequence[dict[str, torch.Tensor]]) -> list[TensorDifference]:
    """The differences with the names that our masks are keyed by."""
    return [TensorDifference(tensors, f"vector {number}") for number, tensors in enumerate(found)]


def our_bernoulli(seed: int, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """A stand-in for torch.bernoulli that gives our masks for one tensor, vector after vector as it is called."""
    numbers: Iterator[int] = iter(range(100))

    def bernoulli(chance: torch.Tensor) -> torch.Tensor:
        shares = random_shares(seed, f"vector {next(numbers)}", name, 0, chance.numel())
        return (shares < chance.float().flatten()).reshape(chance.shape).to(chance.dtype)

    return bernoulli
