"""The job `merge`: write the recipe of a merged model with everything that was decided and measured."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from functools import partial
from typing import Any

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import model_folder
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.tensors.checkpoint import Checkpoint
from traitgraph.runtime.vectors.differences import Difference, inner_product
from traitgraph.runtime.vectors.vectors import Vector, load_vector
from traitgraph.specs.jobs.params import MergeParams
from traitgraph.specs.source.hashing import digest

from .composition import Composition
from .on_disk import Output, write_merges
from .recipe import RECIPE, application, composed, recipe_record
from .statistics import Sample, statistics_of, warning

MODEL_FOLDER = "model"


def merge(context: JobContext, params: MergeParams) -> None:
    """Record a merged model: its weights are made when it is assessed, in place, and not written unless asked for.

    reads   vectors      one artifact for each coefficient, in order
    writes  recipe.json  parameters, vectors, resolved method, what was counted, statistics, warnings
            model/       the merged checkpoint, when `keep` is weights
    raises  MergeError   when vectors, base and method do not fit together
    """
    import torch

    vectors, onto = _vectors(context, "vectors"), _vectors(context, "onto")
    folder, dtype = model_folder(context, params.model), getattr(torch, params.model.dtype)  # compared for every job
    base = context.session.get(("checkpoint", digest("base", params.model)), lambda: Checkpoint(folder))
    composition = composed(
        [vector for _, vector in (*vectors, *onto)],
        params,
        base,
        lambda name, first, last: base.read(name, (first, last)).to(dtype).float(),
        context.session.get("merge: what was counted", dict),
    )

    def inner(left: Difference, right: Difference) -> float:
        """The inner product of two vectors, each pair's computed once per session."""
        first, second = (left, right) if left.id <= right.id else (right, left)
        return context.session.get(("inner product", first.id, second.id), lambda: inner_product(first, second))

    statistics = statistics_of(composition, _sample(context, composition, base, dtype), inner)
    how = application(composition, params)
    text = warning(statistics["effective_alpha"], params.model.dtype, params.method.rounding)
    if how == "adapter":
        text = None
    if text:
        sys.stderr.write(f"warning: {context.row.label}: {text}\n")
    record = recipe_record(params, vectors, onto, composition, statistics, how, text)
    write_json(context.out / RECIPE, record)
    if params.keep == "weights":
        write_merges(
            base, [Output(composition, context.out / MODEL_FOLDER, params.model.dtype, record, params.model.dtype)]
        )


def _vectors(context: JobContext, name: str) -> list[tuple[str, Vector]]:
    """Keys and vectors of an input; none when the job does not have it."""
    pairs = zip(context.row.inputs.get(name, ()), context.inputs.get(name, ()), strict=True)
    return [(key, context.session.get(("vector", key), partial(load_vector, path))) for key, path in pairs]


def _sample(context: JobContext, composition: Composition, base: Checkpoint, dtype: Any) -> Sample:
    names = composition.names
    key: Hashable = ("sample", digest("sample", [str(base.path), str(dtype), list(names)]))
    return context.session.get(key, lambda: Sample(base, dtype, names))
