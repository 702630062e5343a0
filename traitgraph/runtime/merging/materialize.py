"""Turn recipes of a store into checkpoints, in one pass over base and vectors, or into adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError
from traitgraph.runtime.tensors.writer import check_new
from traitgraph.runtime.vectors.vectors import Vector, load_vector

from .adapter_out import check_low_rank, write_adapter
from .on_disk import Output, Progress, write_merges
from .pruned import Cache
from .recipe import read_recipe, store_of

Form = Literal["weights", "adapter"]


def materialize(
    recipes: Sequence[Path | str],
    folders: Sequence[Path | str],
    base: Path | str,
    *,
    form: Form = "weights",
    rank: int | None = None,
    dtype: str | None = None,
    base_name: str = "",
    progress: Progress | None = None,
) -> None:
    """Write each recipe of a store (an artifact folder of kind `merge`) to its folder.

    recipes    STORE/merge/KEY, all of one base; their vectors are read from the same store
    base       the base's checkpoint: what `from_pretrained` would load
    form       weights: a checkpoint that transformers loads, all of them in one pass; adapter: peft and vLLM load it
    rank       of an adapter: None is exact (the vectors' ranks add up), a number takes the best of that rank
    dtype      of the weights; absent: the number format in which the recipe's base is loaded
    base_name  what cards and adapters call the base

    The weights are bit for bit those that were assessed in place (on the same kind of device). Raises MergeError when a
    folder is not empty, a vector does not fit the base, the disk is too small, or an adapter is asked of a merge that
    has no low rank; MissingArtifactError when a vector is gone. Nothing half-written stays.
    """
    checkpoint = Checkpoint(base)
    outputs = outputs_of(recipes, folders, checkpoint, form=form, dtype=dtype, base_name=base_name)
    write_outputs(checkpoint, outputs, form=form, rank=rank, progress=progress)


def outputs_of(
    recipes: Sequence[Path | str],
    folders: Sequence[Path | str],
    checkpoint: Checkpoint,
    *,
    form: Form = "weights",
    dtype: str | None = None,
    base_name: str = "",
) -> list[Output]:
    """What `materialize` writes, checked before the first of it is written; arguments and errors are its own."""
    if len(recipes) != len(folders) or len(set(folders)) != len(folders):
        raise MergeError(f"{len(recipes)} recipes and {len(set(folders))} folders: one folder for each is needed")
    outputs, cache, known = list[Output](), Cache(), dict[str, Vector]()
    for path, folder in zip(map(Path, recipes), map(Path, folders), strict=True):
        check_new(folder)
        recipe, store = read_recipe(path), store_of(path)
        keys, loaded_as = (*recipe.vector_keys, *recipe.onto_keys), recipe.params.model.dtype
        opened = {key: store.open("vector", key) for key in keys}
        known |= {key: load_vector(artifact.path) for key, artifact in opened.items() if key not in known}
        composition = recipe.composition(known.__getitem__, checkpoint, checkpoint.rows_in(loaded_as), cache)
        labels = [opened[key].row.label.removeprefix("vector ") or key[:8] for key in keys]
        record = {**recipe.record, "base_name": base_name or str(checkpoint.path), "sources": labels}
        if form == "adapter":
            check_low_rank(composition)
            record["warnings"] = []  # they are about rounding, and an adapter is not rounded
        outputs.append(Output(composition, folder, dtype or loaded_as, record, loaded_as))
    return outputs


def write_outputs(
    checkpoint: Checkpoint,
    outputs: Sequence[Output],
    *,
    form: Form = "weights",
    rank: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write what `outputs_of` made."""
    if form == "adapter":
        for output in outputs:
            write_adapter(output, rank)
    else:
        write_merges(checkpoint, outputs, progress=progress)
