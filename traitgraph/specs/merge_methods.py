"""How vectors become one change of the weights: task arithmetic, TIES, DARE.

Only the declared parameters; formulas live where they run. A merge method never holds the coefficients: those are axes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .spec import Spec

Density = Annotated[float, Field(ge=0, le=1, description="Share of the elements that is kept. [0, 1]")]
Scope = Annotated[
    Literal["model", "tensor"], Field(description="Trim over the whole vector (the papers) or each tensor (mergekit, peft).")
]


class TaskArithmetic(Spec):
    """theta = base + sum_k alpha_k phi_k (Ilharco et al. 2022, arXiv:2212.04089)."""

    kind: Literal["task_arithmetic"] = Field("task_arithmetic", description="Scaled sum of the vectors.")


class Ties(Spec):
    """Trim, elect sign, disjoint mean (Yadav et al. 2023, arXiv:2306.01708)."""

    kind: Literal["ties"] = Field("ties", description="Trim, elect sign, disjoint mean.")
    density: Density = 0.2
    scope: Scope = "model"
    scale: float = Field(1.0, description="Lambda: one factor after the merge.")


class Dare(Spec):
    """Drop and rescale, then sum (Yu et al. 2023, arXiv:2311.03099)."""

    kind: Literal["dare"] = Field("dare", description="Random drop, rescale by 1/density, sum.")
    density: Density = 0.5
    seed: int = Field(0, ge=0, description="Seed of the drop masks.")


class DareTies(Spec):
    """Drop and rescale each vector, then elect sign and take the disjoint mean."""

    kind: Literal["dare_ties"] = Field("dare_ties", description="Random drop, rescale, elect sign, disjoint mean.")
    density: Density = 0.5
    scale: float = Field(1.0, description="Lambda: one factor after the merge.")
    seed: int = Field(0, ge=0, description="Seed of the drop masks.")


AnyMerge = Annotated[TaskArithmetic | Ties | Dare | DareTies, Field(discriminator="kind")]
