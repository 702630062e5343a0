"""The subject of `npti`: neurons of a trait's pole turned up, those of the other pole turned off (NPTI).

a_j <- min(a_j, 0)                          for neurons of the other pole
a_j <- a_j + gamma * q_j * f(delta_j)       for neurons of the pole, f(d) = 1 / (1 + exp(-steepness * (d - midpoint)))

delta_j is the difference of a neuron's firing probability between the poles, q_j the quantile of its activation under
the pole. Both act wherever a token of the reply is predicted; the published code lets the first token be, so that an
answer of one token would never change.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.models.blocks import decoder_blocks
from traitgraph.runtime.models.positions import Passes
from traitgraph.runtime.vectors.hooks import Removable
from traitgraph.specs.jobs.params import NeuronSteering

from .shift import SteeringError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


TENSORS = "neurons.safetensors"
"""What the job `neurons` measured."""

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


def shift_neurons(model: PreTrainedModel, folder: Path, steering: NeuronSteering) -> Removable:
    """Turn the neurons of a `neurons` artifact up and off, as a steering says; call the result to undo it.

    Raises SteeringError for a model without gated MLPs.
    """
    from safetensors.torch import load_file

    mlps = gated_mlps(model)
    boosts, off = neuron_sets(load_file(folder / TENSORS), steering)
    passes, handles = Passes(model), []
    for mlp, boost, silent in zip(mlps, float(steering.gamma) * boosts, off, strict=True):
        device = mlp.get_parameter("gate_proj.weight").device
        hook = _hook(passes, boost.to(device), silent.to(device))
        handles.append(mlp.get_submodule("act_fn").register_forward_hook(hook))

    def remove() -> None:
        for handle in handles:
            handle.remove()
        passes.remove()

    return remove


def neuron_sets(measured: dict[str, torch.Tensor], steering: NeuronSteering) -> tuple[torch.Tensor, torch.Tensor]:
    """For each unit what gamma multiplies, float32, and whether it is turned off; both [blocks, units].

    Of the pole's set a share is drawn by the seed, once for the subject.
    """
    import torch

    pole, other = (steering.level, "low" if steering.level == "high" else "high")
    delta = measured[f"probability.{pole}"] - measured[f"probability.{other}"]
    up, down = (_chosen(each.flatten(), steering) for each in (delta, -delta))
    generator = torch.Generator().manual_seed(steering.seed)
    up = up[torch.randperm(len(up), generator=generator)[: round(steering.share * len(up))]]
    weights = torch.sigmoid(steering.steepness * (delta - steering.midpoint)) * measured[f"quantile.{pole}"]
    boost, off = torch.zeros(delta.numel()), torch.zeros(delta.numel(), dtype=torch.bool)
    boost[up] = weights.flatten()[up]
    off[down] = True
    return boost.view_as(delta), off.view_as(delta)


def _chosen(delta: torch.Tensor, steering: NeuronSteering) -> torch.Tensor:
    """The units with the largest differences: at least `neurons`, all from `difference` on, none without one."""
    order = delta.argsort(descending=True, stable=True)
    enough = max(steering.neurons, int((delta >= steering.difference).sum()))
    return order[: min(enough, int((delta > 0).sum()))]


def _hook(passes: Passes, boost: torch.Tensor, off: torch.Tensor) -> Any:
    def hook(module: Any, given: Any, gates: torch.Tensor) -> torch.Tensor:
        at = passes.columns("response", gates.shape[1])
        part = gates[:, at].float()  # [rows, tokens, units]
        part = part.clamp(max=0).where(off, part) + boost
        changed = gates.clone()
        changed[:, at] = part.to(gates.dtype)
        return changed

    return hook
