"""How vectors become one change of the weights: task arithmetic, TIES, DARE and their relatives.

Only the declared parameters; formulas live where they run. A merge method never holds the coefficients: they are axes.
Published implementations disagree on details (scope of the trim, election, mean). `conventions` fixes all of them in
one word; every detail can also be set by itself. An absent option is the convention's choice.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, model_validator

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choices
from traitgraph.specs.fields.registry import Registry

from .merge_conventions import conditions, objection, resolve

Density = Annotated[float, Field(ge=0, le=1, description="Share of the elements that is kept. [0, 1]")]
Scale = Annotated[float, Field(allow_inf_nan=False, description="Lambda: one factor after the merge.")]
ScaleIfAny = Annotated[
    float | None, Field(allow_inf_nan=False, description="Lambda: one factor after the merge; absent: 1.")
]
Seed = Annotated[int, Field(ge=0, description="Seed of the random masks.")]

Conventions = Literal["paper", "authors", "mergekit", "peft", "mergelm", "personality-vector-repo"]
Scope = Annotated[
    Literal["model", "tensor"] | None,
    Field(description="Trim over the whole vector (the papers) or each tensor (mergekit, peft)."),
]
Kept = Annotated[
    Literal["threshold", "exact"] | None,
    Field(description="Elements equal at the cut: keep all of them (threshold), or exactly int(density * n)."),
]
Elect = Annotated[
    Literal["mass", "count"] | None, Field(description="Sign by the sum of the values, or by the number of the signs.")
]
ElectOn = Annotated[
    Literal["weighted", "plain"] | None,
    Field(description="Elect on coefficient * vector, or on the vector alone (peft, the papers' w = 1)."),
]
ZeroSum = Annotated[
    Literal["positive", "majority"] | None,
    Field(description="Sign where the election is a draw: +, or the majority of all elected signs (the authors)."),
]
Mean = Annotated[
    Literal["count", "weight", "sum"] | None,
    Field(
        description="Divide the agreeing sum by their count, by the sum of their coefficients (mergekit: the alpha of "
        "a single vector cancels), or not at all."
    ),
]
Rescale = Annotated[
    Literal["inverse", "l1", "none"] | None,
    Field(description="After dropping: divide by the density, restore each tensor's L1 norm (mergekit), or leave."),
]
Normalise = Annotated[
    bool | None, Field(description="Divide by the sum of the coefficients, so that a common factor of them cancels.")
]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"{text!r} is no regular expression: {problem}") from problem
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]

NO_SUM = 1e-9
"""A sum of coefficients this far below the largest of them is what is left of 0 by rounding: 0.1 + 0.2 - 0.3."""


MERGEKIT_NO_SUM = 1e-8
"""mergekit's own limit: where the coefficients add up to less, it does not divide by their sum."""


def _as_conventions_say(schema: dict[str, Any]) -> None:
    """Tell JSON Schema what `MergeMethod` checks: options that fit their conventions."""
    if rules := list(conditions(schema["properties"].get("kind", {}).get("const", ""))):
        schema["allOf"] = rules


class MergeMethod(Spec):
    """What every merge method has."""

    model_config = ConfigDict(json_schema_extra=_as_conventions_say)

    takes: ClassVar[tuple[int, int | None]] = (1, None)
    """Fewest and most vectors."""

    conventions: Conventions | None = Field(
        None, description="Whose reading of the method: fixes every option that is not given. Absent: paper."
    )
    include: tuple[Pattern, ...] | None = Field(
        None,
        min_length=1,
        description="Regular expressions: only tensors whose name one of them finds are changed; each finds some.",
    )
    exclude: tuple[Pattern, ...] | None = Field(
        None,
        min_length=1,
        description="Regular expressions: tensors whose name one of them finds stay as in the base.",
    )
    layer_weights: tuple[FiniteFloat, ...] | None = Field(
        None,
        min_length=1,
        description="Factors on every coefficient from the first layer to the last, interpolated linearly.",
    )
    rounding: Literal["nearest", "stochastic"] | None = Field(
        None,
        description="How float32 results become the base's number format. Stochastic keeps small changes on average. "
        "Absent: nearest.",
    )

    @model_validator(mode="after")
    def _conventions_fit(self) -> Self:
        if reason := objection(self):
            raise ValueError(reason)
        return self

    @property
    def name(self) -> str:
        """The method's name: its `kind`."""
        return str(self.kind)  # type: ignore[attr-defined]  # every method declares its kind

    def refuses(self, number: int) -> str | None:
        """Why the method does not merge this many vectors, or None."""
        fewest, most = self.takes
        if number >= fewest and (most is None or number <= most):
            return None
        wanted = f"at least {fewest}" if most is None else f"{fewest} to {most}"
        return f"{wanted} vectors are needed, {number} given"

    @property
    def divides_by_sum(self) -> bool:
        """Whether the coefficients are divided by their sum whatever it is; mergekit leaves a sum of 0 undivided."""
        return bool(getattr(resolve(self), "normalise", False)) and self.conventions != "mergekit"

    def refuses_coefficients(self, coefficients: Sequence[float]) -> str | None:
        """Why the method has no result for these coefficients, or None; where all are 0, the result is the base.

        Not in the layers where mergekit's mean of models has weights of 0 only: it divides by 0.
        """
        total, largest = sum(coefficients), max(map(abs, coefficients), default=0.0)
        is_base = not largest and not (coefficients and self.conventions == "mergekit" and self.name == "linear")
        if not self.divides_by_sum or is_base or abs(total) > NO_SUM * largest:
            return None
        shown = ", ".join(f"{value:g}" for value in coefficients)
        return f"it divides by the sum of the coefficients, and {shown} add up to 0"

    @property
    def ignores_zero(self) -> bool:
        """Whether a vector with coefficient 0 changes nothing, so that a recipe with it and one without it are equal.

        Not where signs are elected on the vectors without their coefficients, as the authors of TIES and peft do.
        """
        return getattr(self, "elect_on", None) != "plain" and self.conventions in (None, "paper", "mergekit")


class TaskArithmetic(MergeMethod):
    """theta = base + sum_k alpha_k phi_k (Ilharco et al. 2022, arXiv:2212.04089)."""

    kind: Literal["task_arithmetic"] = Field("task_arithmetic", description="Scaled sum of the vectors.")
    scale: ScaleIfAny = None
    normalise: Normalise = None


class Linear(MergeMethod):
    """theta = sum_k alpha_k theta_k / sum_k alpha_k (model soups, Wortsman et al. 2022, arXiv:2203.05482)."""

    kind: Literal["linear"] = Field("linear", description="Weighted mean of the tuned weights themselves.")
    normalise: Normalise = None

    @property
    def divides_by_sum(self) -> bool:
        """As it is normalised: mergekit, too, divides a mean of models by a sum of 0."""
        return bool(resolve(self).normalise)


class CommonMode(MergeMethod):
    """theta = base + sum_k alpha_k (phi_k - mean phi): what all vectors share is taken out of each."""

    takes: ClassVar[tuple[int, int | None]] = (2, None)
    kind: Literal["common_mode"] = Field("common_mode", description="Scaled sum of the vectors less their mean.")
    scale: ScaleIfAny = None

    @property
    def ignores_zero(self) -> bool:
        """False: the mean is over all vectors."""
        return False


class Ties(MergeMethod):
    """Trim, elect sign, disjoint mean (Yadav et al. 2023, arXiv:2306.01708)."""

    kind: Literal["ties"] = Field("ties", description="Trim, elect sign, disjoint mean.")
    density: Density = 0.2
    scope: Scope = None
    scale: Scale = 1.0
    kept: Kept = None
    elect: Elect = None
    elect_on: ElectOn = None
    zero_sum: ZeroSum = None
    mean: Mean = None


class Dare(MergeMethod):
    """Drop and rescale, then sum (Yu et al. 2023, arXiv:2311.03099)."""

    kind: Literal["dare"] = Field("dare", description="Random drop, rescale by 1/density, sum.")
    density: Density = 0.5
    seed: Seed = 0
    scale: ScaleIfAny = None
    rescale: Rescale = None
    normalise: Normalise = None


class DareTies(MergeMethod):
    """Drop and rescale each vector, then elect sign and take the disjoint mean."""

    kind: Literal["dare_ties"] = Field("dare_ties", description="Random drop, rescale, elect sign, disjoint mean.")
    density: Density = 0.5
    scale: Scale = 1.0
    seed: Seed = 0
    rescale: Rescale = None
    trim_density: Density | None = Field(None, description="Also trim after the drop to this share (the authors: 0.2).")
    scope: Scope = None
    kept: Kept = None
    elect: Elect = None
    elect_on: ElectOn = None
    zero_sum: ZeroSum = None
    mean: Mean = None


class MagnitudePrune(MergeMethod):
    """Keep the largest elements of each vector, then sum: TIES without the election."""

    kind: Literal["magnitude_prune"] = Field("magnitude_prune", description="Trim by magnitude, sum.")
    density: Density = 0.2
    scope: Scope = None
    scale: ScaleIfAny = None
    kept: Kept = None


class Breadcrumbs(MergeMethod):
    """Drop the smallest and the very largest elements, then sum (Davari & Belilovsky 2023, arXiv:2312.06795)."""

    kind: Literal["breadcrumbs"] = Field("breadcrumbs", description="Trim both ends of the magnitudes, sum.")
    density: Density = 0.9
    outliers: float = Field(0.01, ge=0, le=1, description="Share of the largest elements that is dropped. [0, 1]")
    scope: Scope = None
    scale: ScaleIfAny = None
    elect: Elect = None
    elect_on: ElectOn = None
    mean: Mean = None
    normalise: Normalise = None


def impossible_drop(density: float, epsilon: float) -> str | None:
    """Why DELLA cannot drop with these, or None: every keep probability lies inside (0, 1)."""
    low, high = density - epsilon, density + epsilon
    if density in (0, 1) or 0 < low <= high < 1:
        return None
    return f"keep probabilities run from {low:g} to {high:g}; choose density and epsilon inside (0, 1)"


class RankedDrop(MergeMethod):
    """What both forms of DELLA have."""

    density: Density = 0.5
    epsilon: float = Field(0.15, ge=0, lt=1, description="Keep probability runs from density - to density + epsilon.")
    seed: Seed = 0
    scale: ScaleIfAny = None
    rescale: Rescale = None

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        if reason := impossible_drop(self.density, self.epsilon):
            raise ValueError(reason)
        return self


class Della(RankedDrop):
    """Drop with a probability that falls with magnitude, elect, disjoint mean (Deep et al. 2024, arXiv:2406.11617)."""

    kind: Literal["della"] = Field("della", description="Magnitude-ranked random drop, elect sign, disjoint mean.")
    elect: Elect = None
    elect_on: ElectOn = None
    zero_sum: ZeroSum = None
    mean: Mean = None


class DellaLinear(RankedDrop):
    """DELLA's drop without the election: a sum."""

    kind: Literal["della_linear"] = Field("della_linear", description="Magnitude-ranked random drop, sum.")
    normalise: Normalise = None


class Slerp(MergeMethod):
    """Spherical interpolation (Shoemake 1985): base to tuned at alpha, or tuned 1 to tuned 2 at alpha_2 / sum alpha."""

    takes: ClassVar[tuple[int, int | None]] = (1, 2)
    kind: Literal["slerp"] = Field(
        "slerp", description="Interpolation on the arc between two models, tensor by tensor."
    )

    @property
    def divides_by_sum(self) -> bool:
        """True: how far along the arc is alpha_2 / (alpha_1 + alpha_2)."""
        return True

    @property
    def ignores_zero(self) -> bool:
        """False: without its second model the arc would lead somewhere else."""
        return False


MERGE_METHODS: Registry[type[MergeMethod]] = Registry(
    "merge method",
    "traitgraph.merge_methods",
    (
        TaskArithmetic, Linear, CommonMode, Ties, Dare, DareTies, MagnitudePrune, Breadcrumbs, Della, DellaLinear,
        Slerp,
    ),
    base=MergeMethod,
)  # fmt: skip
"""Every merge method by its name, plugins' included."""


class _MergeAxis(Choices):
    may_be_empty = False


Merges = Annotated[tuple[MergeMethod, ...], _MergeAxis(MERGE_METHODS)]
"""An axis of merge methods: names, or mappings with `kind`."""
