"""The job `merge`: write the recipe of a merged model with everything that was decided and measured."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.context import JobContext
from traitgraph.runtime.durable import write_json
from traitgraph.runtime.vectors import Vector, load_vector
from traitgraph.specs.identity import digest
from traitgraph.specs.jobs import MergeParams

from .bases import model_folder
from .checkpoint import Checkpoint
from .composition import Composition
from .errors import MergeError
from .geometry import Gram, cosines, inner_product, norm_of_sum
from .recipe import FORMAT, RECIPE
from .rounding import round_to
from .sample import Sample
from .statistics import rounding_loss, sign_conflicts, warning

if TYPE_CHECKING:
    import torch


def merge(context: JobContext, params: MergeParams) -> None:
    """Record a merged model: its weights are made when it is assessed, in place, and never written.

    reads   vectors      one artifact for each coefficient, in order
    writes  recipe.json  parameters, vectors, resolved method, statistics, warnings
    raises  MergeError   when vectors, base and method do not fit together
    """
    vectors = [_vector(context, key, path) for key, path in _inputs(context)]
    composition = Composition(vectors, [float(value) for value in params.coefficients], params.method)
    base = _base(context, params)
    check_base(composition, base)
    statistics = _statistics(context, params, composition, base)
    warnings = [text] if (text := warning(statistics, params.model.dtype)) else []
    record = {
        "format": FORMAT,
        "params": params.model_dump(mode="json"),
        "vectors": [
            {"key": key, "fingerprint": vector.id, "norm": vector.record["norm"]}
            for (key, _), vector in zip(_inputs(context), vectors, strict=True)
        ],
        "statistics": statistics,
        "warnings": warnings,
    }
    write_json(context.out / RECIPE, record)


def _inputs(context: JobContext) -> list[tuple[str, Any]]:
    return list(zip(context.row.inputs["vectors"], context.inputs["vectors"], strict=True))


def _vector(context: JobContext, key: str, path: Any) -> Vector:
    return context.session.get(("vector", key), lambda: load_vector(path))


def _base(context: JobContext, params: MergeParams) -> Checkpoint:
    key = digest("base", params.model)
    return context.session.get(("checkpoint", key), lambda: Checkpoint(model_folder(context, params.model)))


def check_base(composition: Composition, base: Checkpoint) -> None:
    """Raise MergeError when a tensor that changes is missing in the base, has another shape, or is no float tensor."""
    for name in composition.names:
        if name not in base:
            raise MergeError(
                f"tensor '{name}' of a vector is not in {base.path}: vectors of another base, or a name map is needed"
            )
        if composition.shape(name) != base[name].shape:
            raise MergeError(
                f"tensor '{name}' has shape {list(composition.shape(name))} in a vector and {list(base[name].shape)} "
                f"in {base.path}: vectors of another base"
            )
        if not base[name].is_float:
            raise MergeError(
                f"tensor '{name}' of {base.path} is {base[name].dtype}: quantised weights cannot be merged"
            )


def _statistics(context: JobContext, params: MergeParams, composition: Composition, base: Checkpoint) -> dict[str, Any]:
    """Norm and angles are exact; shares and rounding come from a sample of about a million elements."""
    import torch

    sample = _sample(context, params, composition, base)
    table = _gram(context, composition)
    dtype = getattr(torch, params.model.dtype)
    change = sample.change(composition)
    rounded = round_to(sample.base() + change, dtype, params.method.rounding, seed=0, name="sample", offset=0)
    found: dict[str, Any] = {
        "norm": _norm(composition, table, change, sample),
        "sampled_elements": change.numel(),
        "elements": sample.total,
        "kept_fraction": float(change.ne(0).double().mean()) if change.numel() else 1.0,
        **rounding_loss(sample.base(), change, rounded.float()),
    }
    if len(composition.vectors) > 1:
        found["cosines"] = cosines(table)
        found["sign_conflicts"] = sign_conflicts(_weighted(composition, sample))
    return found


def _weighted(composition: Composition, sample: Sample) -> torch.Tensor:
    import torch

    return torch.stack([sample.vector(vector) * weight for vector, weight in composition.terms])


def _norm(composition: Composition, table: Gram, change: torch.Tensor, sample: Sample) -> float:
    if composition.is_plain_sum:
        return abs(composition.steps.scale) * norm_of_sum(table, composition.weights)
    return float(change.double().norm()) * (sample.total / max(change.numel(), 1)) ** 0.5


def _sample(context: JobContext, params: MergeParams, composition: Composition, base: Checkpoint) -> Sample:
    import torch

    names = composition.names
    key: Hashable = ("sample", digest("sample", [params.model.model_dump(), list(names)]))
    return context.session.get(key, lambda: Sample(base, getattr(torch, params.model.dtype), names))


def _gram(context: JobContext, composition: Composition) -> Gram:
    """Inner products of the vectors, each pair computed once per session."""

    def of(left: Any, right: Any) -> float:
        pair = (left, right) if left.id <= right.id else (right, left)
        return context.session.get(("inner", pair[0].id, pair[1].id), lambda: inner_product(*pair))

    return [[of(left, right) for right in composition.vectors] for left in composition.vectors]
