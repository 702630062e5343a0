"""The recipe of a merged model: what is added to which base, from which vectors, as data; and the job that writes it.

A merged model is virtual: its artifact is this record, and the vectors stay where they are in the store.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import model_folder
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.tensors.checkpoint import EMBEDDINGS, Checkpoint, TensorInfo, check_format
from traitgraph.runtime.vectors.differences import Difference, inner_product
from traitgraph.runtime.vectors.fitting import fit_trained
from traitgraph.runtime.vectors.vectors import Vector, load_vector
from traitgraph.specs.jobs.params import MergeParams
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.merge_conventions import resolve
from traitgraph.specs.study.merge_methods import MergeMethod

from .composition import BaseRows, Composition
from .on_disk import Output, write_merges
from .pruned import Cache, counts_of, counts_record
from .statistics import Sample, statistics_of, warning

RECIPE = "recipe.json"
FORMAT = 2
"""Changes when the record no longer has what this program reads from it."""
Application = Literal["adapter", "in place"]


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
        base.rows_in(params.model.dtype),
        context.session.get("merge: what was counted", dict),
    )

    def inner(left: Difference, right: Difference) -> float:
        """The inner product of two vectors, each pair's computed once per session."""
        first, second = (left, right) if left.id <= right.id else (right, left)
        return context.session.get(("inner product", first.id, second.id), lambda: inner_product(first, second))

    names = composition.names
    key: Hashable = ("sample", digest("sample", [str(base.path), str(dtype), list(names)]))
    sample = context.session.get(key, lambda: Sample(base, dtype, names))
    statistics = statistics_of(composition, sample, inner)
    how, text = application(composition, params), None
    if how == "in place":
        text = warning(statistics["effective_alpha"], params.model.dtype, params.method.rounding)
    if text:
        sys.stderr.write(f"warning: {context.row.label}: {text}\n")
    record = {
        "format": FORMAT,
        "params": params.model_dump(mode="json"),
        "resolved": resolved_record(params.method),
        "vectors": _named(vectors),
        **({"onto": _named(onto)} if onto else {}),
        "application": how,
        "counted": counts_record(composition.counted()),
        "statistics": statistics,
        "warnings": [text] if text else [],
    }
    write_json(context.out / RECIPE, record)
    if params.keep == "weights":
        write_merges(base, [Output(composition, context.out / "model", params.model.dtype, record, params.model.dtype)])


def _vectors(context: JobContext, name: str) -> list[tuple[str, Vector]]:
    """Keys and vectors of an input; none when the job does not have it."""
    pairs = zip(context.row.inputs.get(name, ()), context.inputs.get(name, ()), strict=True)
    return [(key, context.session.get(("vector", key), partial(load_vector, path))) for key, path in pairs]


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was written: parameters, vector keys, and the whole record."""

    folder: Path
    params: MergeParams
    vector_keys: tuple[str, ...]
    onto_keys: tuple[str, ...]
    """The domain's vector, where the vectors are carried onto one."""
    record: dict[str, Any]

    @property
    def application(self) -> Application:
        """How the change reaches the model."""
        how: Application = self.record["application"]
        return how

    def composition(
        self, vector_of: Callable[[str], Vector], tensors: Mapping[str, TensorInfo], base: BaseRows, cache: Cache
    ) -> Composition:
        """What the recipe does to a base of these tensors, whose rows `base` gives; `vector_of` gives a key's vector.

        What the merge job counted of whole vectors (thresholds) goes into the cache, so that it is not counted again.
        """
        cache.update(counts_of(self.record["counted"]))
        vectors = [vector_of(key) for key in (*self.vector_keys, *self.onto_keys)]
        return composed(vectors, self.params, tensors, base, cache)


def composed(
    vectors: Sequence[Vector], params: MergeParams, tensors: Mapping[str, TensorInfo], base: BaseRows, cache: Cache
) -> Composition:
    """What a merge job's parameters do with its vectors and, behind them, the domain's where there is one."""
    fitted, count = fit_trained(vectors, tensors, params.names), len(params.coefficients)
    return Composition(
        fitted[:count],
        [float(value) for value in params.coefficients],
        params.method,
        onto=(fitted[count], float(params.onto)) if len(fitted) > count and params.onto is not None else None,
        cache=cache,
        base=base,
        base_names=tensors,
    )


def application(composition: Composition, params: MergeParams) -> Application:
    """How a change reaches the loaded base: as an unmerged low-rank adapter, or into its weights.

    Into float32 weights a change goes without loss, and evaluating is 10 to 20 % faster than with an adapter beside
    them. Below float32 a small change would vanish in rounding: there, what is low-rank stays an adapter, and no weight
    is touched, but for layers that keep [inputs, outputs]. Weights that are kept are assessed as they are kept.
    """

    def acts_beside(name: str) -> bool:
        terms = composition.factors(name)
        return terms is not None and (name.endswith(EMBEDDINGS) or not any(each.transposed for _, each in terms))

    lossy = params.model.dtype != "float32"
    beside = lossy and params.keep == "recipe" and all(map(acts_beside, composition.names))
    return "adapter" if beside else "in place"


def _named(vectors: Iterable[tuple[str, Vector]]) -> list[dict[str, Any]]:
    return [{"key": key, "fingerprint": each.id, "norm": each.record["norm"]} for key, each in vectors]


def resolved_record(method: MergeMethod) -> dict[str, Any]:
    """Every choice of a method as it was resolved, as plain data."""
    return resolve(method).model_dump(mode="json", exclude_none=True)


def read_recipe(folder: Path) -> Recipe:
    """The recipe in an artifact folder. Raises OSError when it is not there, MergeError for another format of it."""
    record = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    check_format(record, FORMAT, folder / RECIPE)
    keys, onto = (tuple(each["key"] for each in record.get(part, ())) for part in ("vectors", "onto"))
    return Recipe(folder, MergeParams.model_validate(record["params"]), keys, onto, record)


def store_of(folder: Path) -> Store:
    """The store that an artifact folder (STORE/kind/key) is in."""
    return Store(folder.parent.parent)
