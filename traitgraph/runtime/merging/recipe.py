"""The recipe of a merged model: what is added to which base, from which vectors, as data.

A merged model is virtual: its artifact is this record, and the vectors stay where they are in the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from traitgraph.runtime.store.store import Store
from traitgraph.runtime.tensors.checkpoint import EMBEDDINGS
from traitgraph.runtime.tensors.errors import check_format
from traitgraph.runtime.vectors.differences import Difference
from traitgraph.runtime.vectors.vectors import Vector, load_vector
from traitgraph.specs.jobs.params import MergeParams
from traitgraph.specs.study.merge_conventions import resolve
from traitgraph.specs.study.merge_methods import MergeMethod

from .composition import BaseRows, Composition
from .pruned import Cache, counts_of, counts_record

RECIPE = "recipe.json"

FORMAT = 2
"""Changes when the record no longer has what this program reads from it."""

Application = Literal["adapter", "in place"]


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
    def coefficients(self) -> list[float]:
        """Alpha of each vector."""
        return [float(value) for value in self.params.coefficients]

    @property
    def application(self) -> Application:
        """How the change reaches the model."""
        how: Application = self.record["application"]
        return how

    def composition(
        self,
        vectors: Sequence[Difference],
        *,
        base_names: Iterable[str],
        cache: Cache | None = None,
        base: BaseRows | None = None,
    ) -> Composition:
        """What the recipe does, with its vectors (and the domain's after them) under the base's names."""
        count, factor = len(self.vector_keys), self.params.onto
        onto = (vectors[count], float(factor)) if len(vectors) > count and factor is not None else None
        return Composition(
            vectors[:count],
            self.coefficients,
            self.params.method,
            onto=onto,
            cache=cache,
            base=base,
            base_names=base_names,
        )

    def counted(self) -> Cache:
        """What the merge job counted of whole vectors (thresholds), so that it need not be counted again."""
        return counts_of(self.record["counted"])


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


def recipe_record(
    params: MergeParams,
    vectors: Iterable[tuple[str, Vector]],
    onto: Iterable[tuple[str, Vector]],
    composition: Composition,
    statistics: dict[str, Any],
    how: Application,
    warning: str | None,
) -> dict[str, Any]:
    """What `recipe.json` holds."""
    return {
        "format": FORMAT,
        "params": params.model_dump(mode="json"),
        "resolved": resolved_record(params.method),
        "vectors": _named(vectors),
        **({"onto": domain} if (domain := _named(onto)) else {}),
        "application": how,
        "counted": counts_record(composition.counted()),
        "statistics": statistics,
        "warnings": [warning] if warning else [],
    }


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


def stored_vectors(keys: Sequence[str], store: Store) -> list[Vector]:
    """Vectors of a store, verified. Raises MissingArtifactError with the key of one that is gone."""
    return [load_vector(store.open("vector", key).path) for key in keys]


def store_of(folder: Path) -> Store:
    """The store that an artifact folder (STORE/kind/key) is in."""
    return Store(folder.parent.parent)
