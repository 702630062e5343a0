"""Find what is steered in a model: one of its decoder blocks, and the gates of their MLPs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitgraph.runtime.models.blocks import decoder_blocks

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class SteeringError(ValueError):
    """A model, or what was measured of it, that cannot be steered as asked."""


def block_at(blocks: Sequence[torch.nn.Module], layer: int) -> torch.nn.Module:
    """Block `layer`, counted from 1. Raises SteeringError beyond the last."""
    if not 1 <= layer <= len(blocks):
        raise SteeringError(f"layer {layer}: the model has {len(blocks)} blocks; give 1 to {len(blocks)}")
    return blocks[layer - 1]


GATED = ("gate_proj", "up_proj", "down_proj", "act_fn")
"""Parts of down(act(gate(x)) * up(x)), under the names that Llama, Mistral, Qwen and Gemma have in common."""


def gated_mlps(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The gated MLP of each decoder block; the output of its `act_fn` are its neurons.

    Raises SteeringError for other architectures: MLPs without a gate, fused projections, mixtures of experts.
    """
    import torch

    mlps = []
    for block in decoder_blocks(model):
        parts = [
            each for each in block.children() if all(isinstance(getattr(each, n, None), torch.nn.Module) for n in GATED)
        ]
        if len(parts) != 1:
            raise SteeringError(
                f"{type(model).__name__} has no neurons as NPTI needs them: one MLP in each block with "
                f"{', '.join(GATED)}, as in Llama, Qwen and Gemma"
            )
        mlps += parts
    return mlps
