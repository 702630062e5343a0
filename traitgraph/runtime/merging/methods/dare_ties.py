"""DARE, then TIES: drop and rescale each vector, elect signs, disjoint mean (arXiv:2311.03099 with 2306.01708).

TIES's own trim comes after the drop where `trim_density` is given (the authors' code: 0.2).
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Drop, Sparsification, Steps, Trim
from traitgraph.specs.study.merge_methods import DareTies

from .ties import election, kept_rule


def steps(options: DareTies) -> Steps:
    """Random drop, perhaps a trim, election, disjoint mean."""
    sparsify: tuple[Sparsification, ...] = (Drop(options.density, options.seed, options.rescale or "inverse"),)
    if options.trim_density is not None:
        sparsify += (Trim(options.trim_density, options.scope or "model", kept_rule(options)),)
    return Steps(
        sparsify=sparsify,
        election=election(options),
        mean=options.mean or "count",
        scale=options.scale,
        one_coefficient=options.conventions == "personality-vector-repo",
    )
