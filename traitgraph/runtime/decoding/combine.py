"""What steering makes of the next token's distributions: pure functions of logits.

`sum` and `difference` are different methods. With w = gamma / (1 + gamma),

    z_base + gamma * z_expert = (1 + gamma) * (z_base + w * (z_expert - z_base)),

so `sum` at gamma is `difference` from the base at w with the temperature divided by 1 + gamma: it never reaches the
expert, and it sharpens. Under greedy decoding only the weight is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Steering:
    """How the distributions are combined."""

    combine: Literal["sum", "difference"]
    gamma: float
    """Strength of the expert; 0 is the model alone."""
    filter_p: float | None = None
    """Nucleus that the model's own distribution is cut to first (DExperts); None: no cut."""


def combined_logits(
    steering: Steering, base: torch.Tensor, expert: torch.Tensor, anti: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits of the steered distribution, float32, of the shape of `base`: [rows, tokens].

    sum: base + gamma * expert (code of BIG5-CHAT). difference: base + gamma * (expert - anti), where the base stands
    in for a missing anti-expert (DExperts, Liu et al. 2021, arXiv:2105.03023, equation 1).
    """
    base, expert = base.float(), expert.float()
    if steering.combine == "difference":
        expert = expert - (base if anti is None else anti.float())
    steered = base + steering.gamma * expert
    if steering.filter_p is None:
        return steered
    return steered.masked_fill(~nucleus(base, steering.filter_p), float("-inf"))


def nucleus(logits: torch.Tensor, p: float) -> torch.Tensor:
    """Which tokens are in the smallest set with probability `p` (Holtzman et al. 2020), [rows, tokens]; never none."""
    import torch

    if p >= 1:  # sums of probabilities are rounded: the tail would lie behind 1
        return torch.ones_like(logits, dtype=torch.bool)
    values, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
    before = values.cumsum(-1) - values  # probability of what is likelier
    return torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before < p)
