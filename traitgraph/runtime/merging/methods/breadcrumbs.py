"""Model breadcrumbs (Davari & Belilovsky 2023, arXiv:2312.06795): in each tensor drop the share `outliers` of largest
|phi_k| and the smallest, so that a share `density` remains; then lambda * sum_k w_k phi_k, or an election where asked.
"""

from __future__ import annotations

from traitgraph.runtime.merging.steps import Steps, TrimBothEnds, coefficients_of
from traitgraph.specs.study.merge_methods import Breadcrumbs

from .ties import election


def steps(options: Breadcrumbs) -> Steps:
    """Trim both ends, sum."""
    trim = TrimBothEnds(options.density, options.outliers, options.scope or "tensor")
    return Steps(
        sparsify=(trim,),
        election=election(options),
        mean=options.mean or "sum",
        scale=options.scale or 0.0,
        coefficients=coefficients_of(options),
    )
