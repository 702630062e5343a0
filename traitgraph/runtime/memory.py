"""How much memory a job needed at its worst moment, for its log."""

from __future__ import annotations

import resource
import sys


def begin_to_measure() -> None:
    """Forget the peak of the GPU; that of the process cannot be forgotten."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> str:
    """'peak memory 1.3 GB', of this process since it began; on a GPU also its own since `begin_to_measure`."""
    per_unit = 1 if sys.platform == "darwin" else 1024
    text = f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * per_unit / 1e9:.1f} GB"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        text += f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB on the GPU"
    return text
