"""The merge methods: what a method consists of, and what each of ours makes of its options, with formula and source.

phi_k = theta_k - base is vector k, w_k its coefficient, lambda `scale`; options stand in `specs.study.merge_methods`.
Every choice that published implementations make differently is a field of `Steps` or of its parts.
A package outside adds a method by one entry point of the group `traitgraph.merge_methods`: a `MergeMethod` with a
method `steps()` that returns `Steps`. (Where it stands apart, as a function from options to `Steps`, it has an entry
point of the same name in the group `traitgraph.merge_steps`.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.specs.fields.registry import Registry, UnknownNameError
from traitgraph.specs.study.merge_conventions import resolve
from traitgraph.specs.study.merge_methods import (
    MERGE_METHODS,
    MERGEKIT_NO_SUM,
    Breadcrumbs,
    CommonMode,
    Dare,
    DareTies,
    Della,
    DellaLinear,
    Linear,
    MagnitudePrune,
    MergeMethod,
    Slerp,
    TaskArithmetic,
    Ties,
    impossible_drop,
)

Kept = Literal["threshold", "mergelm", "exact", "exact_or_one"]
Rescale = Literal["inverse", "l1", "none"]


@dataclass(frozen=True)
class Trim:
    """Keep the largest magnitudes: a share `density` of the whole vector or of each tensor."""

    density: float
    scope: Literal["model", "tensor"] = "model"
    kept: Kept = "threshold"


@dataclass(frozen=True)
class TrimBothEnds:
    """Keep a share `density` that lies below the largest `outliers` (breadcrumbs)."""

    density: float
    outliers: float
    scope: Literal["model", "tensor"] = "tensor"


@dataclass(frozen=True)
class Drop:
    """Drop each element with probability 1 - density (DARE)."""

    density: float
    seed: int
    rescale: Rescale = "inverse"


@dataclass(frozen=True)
class RankDrop:
    """Drop with a probability that falls with the rank of the magnitude in its row (DELLA)."""

    density: float
    epsilon: float
    seed: int
    rescale: Rescale = "inverse"

    def __post_init__(self) -> None:
        if reason := impossible_drop(self.density, self.epsilon):
            raise MergeError(f"della: {reason}")


Sparsification = Trim | TrimBothEnds | Drop | RankDrop


@dataclass(frozen=True)
class Election:
    """Which sign each element gets; vectors of the other sign do not take part there."""

    by: Literal["mass", "count"] = "mass"
    on: Literal["weighted", "plain"] = "weighted"
    draw: Literal["positive", "majority"] = "positive"


def normalised(weights: Sequence[float]) -> list[float]:
    """Coefficients divided by their sum; where all are 0 they stay 0. (another sum of 0 is refused before)"""
    total = sum(weights)
    return [weight / total for weight in weights] if any(weights) else list(weights)


def normalised_by_mergekit(weights: Sequence[float]) -> list[float]:
    """Coefficients divided by their sum, or as they are where that is 0, which mergekit says of less than 1e-8."""
    return normalised(weights) if abs(sum(weights)) >= MERGEKIT_NO_SUM else list(weights)


def coefficients_of(options: MergeMethod) -> Callable[[Sequence[float]], list[float]]:
    """What the option `normalise` of a method makes of the coefficients."""
    if not getattr(options, "normalise", False):
        return list
    return normalised if options.divides_by_sum else normalised_by_mergekit


def without_mean(weights: Sequence[float]) -> list[float]:
    """Coefficients less their mean: sum_k w_k (phi_k - mean phi) = sum_k (w_k - mean w) phi_k."""
    mean = sum(weights) / len(weights) if weights else 0.0
    return [weight - mean for weight in weights]


@dataclass(frozen=True)
class Steps:
    """A method with every choice made."""

    sparsify: tuple[Sparsification, ...] = ()
    """What is done to each vector, in this order."""
    election: Election | None = None
    mean: Literal["count", "weight", "sum"] = "sum"
    """What the sum over the vectors (over the elected ones) is divided by."""
    scale: float = 1.0
    """Lambda: one factor after the merge."""
    coefficients: Callable[[Sequence[float]], list[float]] = list
    """What the method makes of the coefficients before anything else; `list`: it takes them as they are."""
    keeps_base: bool = True
    """Whether the base has weight 1; else it has the sum of the coefficients (a plain weighted sum of models)."""
    on_arc: bool = False
    """Interpolate on the arc between two models instead of adding changes (slerp)."""
    one_coefficient: bool = False
    """Whether all vectors must have the same coefficient."""

    @property
    def is_linear(self) -> bool:
        """Whether the change is a weighted sum of the vectors and of nothing else."""
        return not self.sparsify and self.election is None and self.keeps_base and not self.on_arc


# ---------------------------------------------------------------- the methods


def task_arithmetic(options: TaskArithmetic) -> Steps:
    """theta = base + lambda * sum_k w_k phi_k (Ilharco et al. 2022, arXiv:2212.04089).

    One vector and w = alpha is the intensity sweep of a trait (arXiv:2509.19727); alpha < 0 is negation.
    `normalise` divides by sum_k w_k (mergekit's option): a common factor of the coefficients then cancels.
    """
    return Steps(scale=options.scale or 0.0, coefficients=coefficients_of(options))


def linear(options: Linear) -> Steps:
    """theta = sum_k w_k theta_k / sum_k w_k, a mean of models (Wortsman et al. 2022, arXiv:2203.05482).

    With theta_k = base + phi_k that is base + sum_k w_k phi_k / sum_k w_k. Without `normalise` the base has the weight
    sum_k w_k.
    """
    return Steps(coefficients=coefficients_of(options), keeps_base=bool(options.normalise))


def common_mode(options: CommonMode) -> Steps:
    """theta = base + lambda * sum_k w_k (phi_k - mean_j phi_j).

    Personality vectors point in similar directions (cosines above 0.3, arXiv:2509.19727): what they share is a style of
    talking rather than a trait. The mean is over all vectors given, also those of coefficient 0.
    """
    return Steps(scale=options.scale or 0.0, coefficients=without_mean)


def ties(options: Ties) -> Steps:
    """TIES (Yadav et al. 2023, arXiv:2306.01708), on v_k = w_k phi_k.

    1 trim      keep the share `density` of largest |phi_k|, others 0
    2 elect     s = sgn(sum_k v_k) element by element; where the sum is 0: +
    3 merge     mean of the v_k that have the sign s, zeros not counted
    4 scale     theta = base + lambda * mean

    With w = 1 this is the paper. Weighting before the election makes a negative coefficient a vector of opposite sign,
    and dividing by the number (not the weight) of the agreeing keeps the meaning of a single vector's alpha.
    """
    trim = Trim(options.density, options.scope or "model", _kept_rule(options))
    return Steps(sparsify=(trim,), election=_election(options), mean=options.mean or "count", scale=options.scale)


def dare(options: Dare) -> Steps:
    """DARE (Yu et al. 2023, arXiv:2311.03099): m ~ Bernoulli(density); phi~ = m * phi / density, a weighted sum.

    E[phi~] = phi. Masks depend on the seed, the vector and the tensor's name alone: see `tensors.masks`.
    """
    drop = Drop(options.density, options.seed, options.rescale or "inverse")
    return Steps(sparsify=(drop,), scale=options.scale or 0.0, coefficients=coefficients_of(options))


def dare_ties(options: DareTies) -> Steps:
    """DARE, then TIES: drop and rescale each vector, elect signs, disjoint mean (arXiv:2311.03099 with 2306.01708).

    TIES's own trim comes after the drop where `trim_density` is given (the authors' code: 0.2).
    """
    sparsify: tuple[Sparsification, ...] = (Drop(options.density, options.seed, options.rescale or "inverse"),)
    if options.trim_density is not None:
        sparsify += (Trim(options.trim_density, options.scope or "model", _kept_rule(options)),)
    return Steps(
        sparsify=sparsify,
        election=_election(options),
        mean=options.mean or "count",
        scale=options.scale,
        one_coefficient=options.conventions == "personality-vector-repo",
    )


def magnitude_prune(options: MagnitudePrune) -> Steps:
    """Keep the share `density` of largest |phi_k|, then lambda * sum_k w_k phi_k (as peft calls it)."""
    trim = Trim(options.density, options.scope or "model", options.kept or "threshold")
    return Steps(sparsify=(trim,), scale=options.scale or 0.0)


def breadcrumbs(options: Breadcrumbs) -> Steps:
    """Model breadcrumbs (Davari & Belilovsky 2023, arXiv:2312.06795).

    In each tensor drop the share `outliers` of largest |phi_k| and the smallest, so that a share `density` remains;
    then lambda * sum_k w_k phi_k, or an election where asked.
    """
    return Steps(
        sparsify=(TrimBothEnds(options.density, options.outliers, options.scope or "tensor"),),
        election=_election(options),
        mean=options.mean or "sum",
        scale=options.scale or 0.0,
        coefficients=coefficients_of(options),
    )


def della(options: Della) -> Steps:
    """DELLA (Deep et al. 2024, arXiv:2406.11617): drop by rank of magnitude, elect signs, disjoint mean.

    Rank r = 0..m-1 of |phi| within its row of m; keep probability p = density - epsilon + 2 epsilon r / (m - 1); what
    stays is divided by its own p, so that E[phi~] = phi.
    """
    return Steps(
        sparsify=(_rank_drop(options),),
        election=_election(options),
        mean=options.mean or "count",
        scale=options.scale or 0.0,
    )


def della_linear(options: DellaLinear) -> Steps:
    """DELLA's drop by rank of magnitude without the election: a weighted sum."""
    return Steps(sparsify=(_rank_drop(options),), scale=options.scale or 0.0, coefficients=coefficients_of(options))


def slerp(options: Slerp) -> Steps:
    """Spherical interpolation (Shoemake 1985), by tensor: theta = (sin((1-t) w) a + sin(t w) b) / sin(w).

    w is the angle between a and b as flat vectors; nearly parallel ones (|cos| > 0.9995) are interpolated linearly.
    One vector: a = base, b = tuned, t = alpha. Two vectors: a, b = the tuned models, t = alpha_2 / (alpha_1 + alpha_2).
    """
    return Steps(on_arc=True)


def _kept_rule(options: Ties | DareTies) -> Kept:
    """Which elements at the cut are kept: the published programs count differently by one element."""
    if options.kept == "exact":
        return "exact_or_one" if options.conventions == "mergekit" else "exact"
    return "mergelm" if options.conventions in ("mergelm", "personality-vector-repo") else "threshold"


def _election(options: Ties | DareTies | Breadcrumbs | Della) -> Election | None:
    """How the sign of each element is elected; None where the convention runs no election."""
    if options.elect is None:
        return None
    draw = None if isinstance(options, Breadcrumbs) else options.zero_sum
    return Election(options.elect, options.elect_on or "weighted", draw or "positive")


def _rank_drop(options: Della | DellaLinear) -> RankDrop:
    return RankDrop(options.density, options.epsilon, options.seed, options.rescale or "inverse")


_BUILT_IN: tuple[Callable[[Any], Steps], ...] = (
    task_arithmetic, linear, common_mode, ties, dare, dare_ties,
    magnitude_prune, breadcrumbs, della, della_linear, slerp,
)  # fmt: skip

METHODS: Registry[Callable[[Any], Steps]] = Registry(
    "merge method", "traitgraph.merge_steps", {method.__name__: method for method in _BUILT_IN}
)


def merge_options(method: str | MergeMethod, given: Mapping[str, Any]) -> MergeMethod:
    """The options of a method, given by its name or ready-made; entries of `given` that are None are absent.

    Raises MergeError for an unknown method, an option that the method does not have, and a value out of range, each
    with what there is.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    if isinstance(method, MergeMethod):
        model, wanted = type(method), {**dict(method), **wanted}
    else:
        try:
            model = MERGE_METHODS.get(method)
        except UnknownNameError as error:
            raise MergeError(f"unknown merge method '{method}'; there are: {', '.join(error.names)}") from error
    fields, kind = model.model_fields, model.model_fields["kind"].default
    if unknown := [name for name in wanted if name not in fields]:
        known = ", ".join(name for name in fields if name != "kind")
        raise MergeError(f"{kind} has no option '{unknown[0]}'; it has: {known}")
    try:
        return model.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{step}: " for step in first["loc"])
        raise MergeError(f"{kind}: {place}{first['msg'].removeprefix('Value error, ')}") from error


def steps_of(options: MergeMethod) -> Steps:
    """What a method does with these options, every choice made.

    Raises UnknownNameError for a method that says it neither itself nor by an entry point.
    """
    if (own := getattr(type(options), "steps", None)) is not None:
        steps: Steps = own(options)
        return steps
    return METHODS.get(options.name)(resolve(options))
