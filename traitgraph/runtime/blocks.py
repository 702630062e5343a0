"""The transformer blocks of a loaded model, and what is read from their outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def blocks_of(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The blocks in their order: the outermost list of as many modules as the language model has layers.

    Raises ValueError for a model that is built otherwise.
    """
    import torch

    count = model.config.get_text_config().num_hidden_layers
    for module in model.get_decoder().modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    raise ValueError(f"{type(model).__name__} has no list of {count} blocks whose output could be read")


@contextmanager
def block_readings(
    blocks: Sequence[torch.nn.Module], read: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[list[torch.Tensor]]:
    """What `read` makes of the output of each block, [batch, tokens, hidden], in a forward pass of the body.

    Unlike the last of the `hidden_states` of transformers, the last block's output is not normed. Hooks that stand on
    the blocks already act first.
    """
    found: list[torch.Tensor] = []

    def hook(module: torch.nn.Module, given: object, made: Any) -> None:
        found.append(read(made[0] if isinstance(made, tuple) else made))

    handles = [block.register_forward_hook(hook) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
