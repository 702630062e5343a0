"""The transformer blocks of a loaded model, and a look at what modules put out while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def decoder_blocks(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The decoder's blocks from the first to the last, whatever the architecture calls them.

    Raises ValueError for a model without a list of as many modules as its configuration has layers.
    """
    import torch

    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for module in model.get_decoder().modules():  # parents first: lists inside of blocks come later
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    raise ValueError(f"{type(model).__name__} has no list of {count} decoder blocks that could be read or changed")


@contextmanager
def seen_by(
    modules: Sequence[torch.nn.Module], look: Callable[[torch.Tensor], object], device: torch.device | None = None
) -> Iterator[None]:
    """Show the output of each module to `look`, in the order in which they run, inside the block.

    With a device it is brought there first: a large model may be spread over several.

    That of a decoder block is [batch, tokens, hidden], and not normed, unlike the last of the `hidden_states` of
    transformers. Hooks that stand on the modules already act first.
    """

    def hook(module: Any, given: Any, output: Any) -> None:
        values: torch.Tensor = output[0] if isinstance(output, tuple) else output
        look(values.to(device or values.device))

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
