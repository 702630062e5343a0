"""Apply a low-rank change beside the weights, as an unmerged adapter: y + c L (R x), nothing of the base is touched.

The change is computed in float32 and added before the one rounding of the layer's output, so that no alpha is too small
for the number format of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .adapters import Factors

if TYPE_CHECKING:
    import torch


Terms = Sequence[tuple[float, Factors]]
Removable = Callable[[], None]
Rows = Callable[[int], slice]
"""Rows of a batch of that many rows."""


def takes_low_rank(module: torch.nn.Module | None) -> bool:
    """Whether a low-rank change can be applied beside this module's weight: linear layers and embeddings."""
    import torch

    return isinstance(module, torch.nn.Linear | torch.nn.Embedding)


def module_of(model: torch.nn.Module, name: str) -> torch.nn.Module | None:
    """The module whose `weight` has this name, or None."""
    if not name.endswith(".weight"):
        return None
    try:
        return model.get_submodule(name.removesuffix(".weight"))
    except AttributeError:
        return None


def add_low_rank(model: torch.nn.Module, changes: Mapping[str, Terms], rows: Rows | None = None) -> Removable:
    """Add a low-rank change to the output of each named module; call the result to take all of them away.

    `changes` maps a weight's name to terms (coefficient, factors): the weight acts as W + sum_k c_k s_k L_k R_k. With
    `rows`, on these rows of a batch only, in place: for inference.
    """
    handles = []
    for name, terms in changes.items():
        module = module_of(model, name)
        assert module is not None, f"{name}: no module has this weight"
        handles.append(module.register_forward_hook(_hook(module, terms, rows)))

    def remove() -> None:
        for handle in handles:
            handle.remove()

    return remove


def stacked(terms: Terms, device: torch.device | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """One pair of factors for a sum of terms: left [rows, ranks], with all coefficients, and right [ranks, columns]."""
    import torch

    left = torch.cat([factors.left.to(device).float() * (factors.scale * weight) for weight, factors in terms], dim=1)
    return left, torch.cat([factors.right.to(device).float() for _, factors in terms])


def _hook(
    module: torch.nn.Module, terms: Terms, rows: Rows | None
) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]:
    import torch

    left, right = stacked(terms, module.weight.device)  # type: ignore[arg-type]  # a weight is a tensor
    is_embedding = isinstance(module, torch.nn.Embedding)
    up = right if is_embedding else left.T.contiguous()  # [ranks, features]
    down = left if is_embedding else right.T.contiguous()  # [tokens, ranks] or [inputs, ranks]

    def hook(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        part = slice(None) if rows is None else rows(inputs[0].shape[0])
        inner = down[inputs[0][part]] if is_embedding else inputs[0][part].float() @ down
        changed = (output[part].float() + inner @ up).to(output.dtype)
        if rows is None:
            return changed
        output[part] = changed
        return output

    return hook
