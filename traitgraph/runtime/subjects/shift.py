"""The subject of `steer`: coefficient * direction added to what one block puts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.models.blocks import decoder_blocks
from traitgraph.runtime.models.positions import Passes, Positions
from traitgraph.runtime.vectors.hooks import Removable
from traitgraph.specs.jobs.params import Steering

from .blocks import block_at

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


TENSORS = "activations.safetensors"
"""What the job `activations` measured."""


def shift_activations(model: PreTrainedModel, folder: Path, steering: Steering) -> Removable:
    """Shift the model as a `steering` says, by the direction of an `activations` artifact; call the result to undo it.

    Raises SteeringError for a layer that the model does not have.
    """
    from safetensors.torch import load_file

    block = block_at(decoder_blocks(model), steering.layer)
    direction = load_file(folder / TENSORS)["direction"][steering.layer - 1]
    if steering.normalise:
        direction = direction / direction.norm()
    return add_shift(model, block, float(steering.coefficient) * direction, steering.positions)


def add_shift(
    model: torch.nn.Module, block: torch.nn.Module, shift: torch.Tensor, positions: Positions = "all"
) -> Removable:
    """Add `shift` [hidden] to the output of a block at some positions; call the result to stop.

    The sum is made in float32 and rounded once: a shift of 0 changes nothing.
    """
    passes = Passes(model)
    shift = shift.float().to(next(block.parameters()).device)

    def hook(module: Any, given: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output  # [rows, tokens, hidden]
        at = passes.columns(positions, hidden.shape[1])
        shifted = hidden.clone()
        shifted[:, at] = (hidden[:, at].float() + shift).to(hidden.dtype)
        return (shifted, *output[1:]) if isinstance(output, tuple) else shifted

    handle = block.register_forward_hook(hook)

    def remove() -> None:
        handle.remove()
        passes.remove()

    return remove
