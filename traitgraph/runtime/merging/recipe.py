"""The recipe of a merged model: what is added to which base, from which vectors, as data.

A merged model is virtual: its artifact is this record, and the vectors stay where they are in the store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitgraph.runtime.store import Store
from traitgraph.runtime.vectors import Vector, load_vector
from traitgraph.specs.jobs import MergeParams

from .composition import Composition

RECIPE = "recipe.json"
FORMAT = 1


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was written: parameters, vector keys, statistics."""

    folder: Path
    params: MergeParams
    vector_keys: tuple[str, ...]
    record: dict[str, Any]

    def composition(self, vectors: Sequence[Vector]) -> Composition:
        """What the recipe does, with its vectors."""
        return Composition(vectors, [float(value) for value in self.params.coefficients], self.params.method)


def read_recipe(folder: Path) -> Recipe:
    """The recipe in an artifact folder."""
    record = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    keys = tuple(each["key"] for each in record["vectors"])
    return Recipe(folder, MergeParams.model_validate(record["params"]), keys, record)


def stored_vectors(recipe: Recipe, store: Store) -> list[Vector]:
    """The recipe's vectors from the store, verified. Raises MissingArtifactError with the key of one that is gone."""
    return [load_vector(store.open("vector", key).path) for key in recipe.vector_keys]


def store_of(folder: Path) -> Store:
    """The store that an artifact folder (STORE/kind/key) is in."""
    return Store(folder.parent.parent)
