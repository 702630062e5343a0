"""Look at what modules put out while a model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def seen_by(modules: Sequence[torch.nn.Module], look: Callable[[torch.Tensor], object]) -> Iterator[None]:
    """Show the output of each module to `look`, in the order in which they run, inside the block."""

    def hook(module: Any, given: Any, output: Any) -> None:
        look(output[0] if isinstance(output, tuple) else output)

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
