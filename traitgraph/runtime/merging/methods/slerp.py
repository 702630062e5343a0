"""Spherical interpolation (Shoemake 1985), tensor by tensor: theta = (sin((1-t) w) a + sin(t w) b) / sin(w).

w is the angle between a and b as flat vectors; nearly parallel ones (|cos| > 0.9995) are interpolated linearly.
One vector: a = base, b = tuned, t = alpha. Two vectors: a, b = the tuned models, t = alpha_2 / (alpha_1 + alpha_2).
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps
from traitgraph.specs.study.merge_methods import Slerp


def steps(options: Slerp) -> Steps:
    """Interpolation on the arc."""
    return Steps(on_arc=True)
