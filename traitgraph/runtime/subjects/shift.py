"""The subject of `steer`: what one block puts out, changed by an operator with the measured direction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.models.blocks import decoder_blocks
from traitgraph.runtime.models.positions import Passes, Positions
from traitgraph.runtime.vectors.hooks import Removable
from traitgraph.specs.jobs.params import OperatorSteering, Steering
from traitgraph.specs.study.method import Add, SteeringOperator

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


TENSORS = "activations.safetensors"
"""What the job `activations` measured."""


class SteeringError(ValueError):
    """A model, or what was measured of it, that cannot be steered as asked."""


def shift_activations(model: PreTrainedModel, folder: Path, steering: Steering) -> Removable:
    """Steer the model by the direction of an `activations` artifact; call the result to undo it.

    Raises SteeringError for a layer that the model does not have.
    """
    from safetensors.torch import load_file

    blocks = decoder_blocks(model)
    if not 1 <= steering.layer <= len(blocks):
        raise SteeringError(f"layer {steering.layer}: the model has {len(blocks)} blocks; give 1 to {len(blocks)}")
    direction = load_file(folder / TENSORS)["direction"][steering.layer - 1]
    if steering.normalise:
        direction = direction / direction.norm()
    return steer_block(
        model,
        blocks[steering.layer - 1],
        direction,
        steering.positions,
        coefficient=float(steering.coefficient),
        operator=steering.operation if isinstance(steering, OperatorSteering) else Add(),
    )


def steer_block(
    model: torch.nn.Module,
    block: torch.nn.Module,
    direction: torch.Tensor,
    positions: Positions = "all",
    *,
    coefficient: float = 1.0,
    operator: SteeringOperator | None = None,
) -> Removable:
    """Change the output of a block at some positions, by an operator (absent: add); call the result to stop.

    The operator works in float32, and what it gives is rounded once: a sum with 0 changes nothing.
    """
    passes, act = Passes(model), operator or Add()
    direction = direction.float().to(next(block.parameters()).device)  # [hidden]

    def hook(module: Any, given: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output  # [rows, tokens, hidden]
        at = passes.columns(positions, hidden.shape[1])
        before = hidden[:, at].float()
        after = act.apply(before, direction, coefficient)
        if after.shape != before.shape:  # an assignment would spread it over the positions without a word
            raise SteeringError(
                f"the steering operator {act.kind!r} makes {list(after.shape)} of activations {list(before.shape)}"
            )
        steered = hidden.clone()
        steered[:, at] = after.to(hidden.dtype)
        return (steered, *output[1:]) if isinstance(output, tuple) else steered

    handle = block.register_forward_hook(hook)

    def remove() -> None:
        handle.remove()
        passes.remove()

    return remove
