"""What the record of a merge says: how large the change is, and how much of it survives the number format.

effective alpha   projection of what is really added on what was asked for: 1 is exact, 0 is lost
relative error    |added - asked| / |asked|
Small changes vanish when they are rounded to bfloat16: weights near 0.02 have a step of 1.2e-4 (the dead zone).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WARN_BELOW = 0.9


def rounding_loss(base: torch.Tensor, change: torch.Tensor, rounded: torch.Tensor) -> dict[str, float]:
    """Effective alpha and relative error of a change, from float32 samples of the base and of the rounded sum."""
    added, asked = (rounded.double() - base.double()), change.double()
    square = float(asked @ asked)
    if not square:
        return {"effective_alpha": 1.0, "relative_error": 0.0}
    return {
        "effective_alpha": float(added @ asked) / square,
        "relative_error": float((added - asked).norm()) / square**0.5,
    }


def sign_conflicts(weighted: torch.Tensor) -> float:
    """Share of the elements that vectors change in opposite directions; weighted [vectors, elements]."""
    both = (weighted > 0).any(0) & (weighted < 0).any(0)
    touched = weighted.ne(0).any(0)
    return float(both.sum()) / max(int(touched.sum()), 1)


def warning(statistics: dict[str, Any], dtype: str) -> str | None:
    """What to tell the user when a change does not survive the number format, else None."""
    effective = statistics["effective_alpha"]
    if effective >= WARN_BELOW:
        return None
    return (
        f"only {effective:.0%} of the change survives rounding to {dtype}: load the base in float32, apply the adapter "
        "unmerged, or set rounding: stochastic"
    )
