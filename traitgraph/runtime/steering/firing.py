"""How often gate units are above zero, and how far, over the tokens of many replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from traitgraph.runtime.blocks import seen_by
from traitgraph.runtime.models import LoadedModel

from .blocks import gated_mlps
from .spans import Span, counted, read_batch

if TYPE_CHECKING:
    import torch

STEP, BINS = 0.01, 300
"""Activations are sorted into steps of 0.01 up to 3, all larger ones into the last (as in the published code)."""


class Firing:
    """Counts for [blocks, units] gate units over some tokens."""

    def __init__(self, blocks: int, units: int, device: torch.device) -> None:
        import torch

        self.tokens = 0
        self._histograms = torch.zeros(blocks, units, BINS, dtype=torch.int32, device=device)

    def count(self, block: int, values: torch.Tensor) -> None:
        """Add the activations of one block's units, [tokens, units]."""
        bins = (values.float() / STEP).long().clamp(0, BINS - 1).T  # [units, tokens]
        self._histograms[block].scatter_add_(1, bins, (values.T > 0).int())

    def probability(self) -> torch.Tensor:
        """Share of the tokens at which each unit is above zero: float32 [blocks, units], on the CPU."""
        return self._histograms.sum(-1).cpu().float() / self.tokens

    def quantile(self, share: float) -> torch.Tensor:
        """The bound below which that share of a unit's activations above zero lies, to a step; 0 without any."""
        import torch

        found = []
        for histogram in self._histograms:
            below = histogram.cumsum(-1)
            total = below[:, -1:]
            steps = (below < share * total).sum(-1) + 1
            found.append(torch.where(total[:, 0] > 0, steps * STEP, 0.0).float().cpu())
        return torch.stack(found)


def firing_in(loaded: LoadedModel, batches: Sequence[Sequence[Span]], on_batch: Callable[[int], object]) -> Firing:
    """Read batches of spans and count the gate units of the model at the positions that count."""
    mlps = gated_mlps(loaded.model)
    firing = Firing(len(mlps), len(mlps[0].get_parameter("gate_proj.weight")), loaded.device)
    gates = [mlp.get_submodule("act_fn") for mlp in mlps]
    for number, batch in enumerate(batches):
        on_batch(number)
        _count(loaded, gates, batch, firing)
    on_batch(len(batches))
    return firing


def _count(loaded: LoadedModel, gates: Sequence[torch.nn.Module], batch: Sequence[Span], firing: Firing) -> None:
    mask, block = counted(batch, loaded.device), count()
    with seen_by(gates, lambda values: firing.count(next(block), values[mask]), loaded.device):
        read_batch(loaded, batch)
    firing.tokens += int(mask.sum())
