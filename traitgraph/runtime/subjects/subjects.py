"""Turn the loaded base into a subject and back: base, tuned adapter or weights, merged in place, steered by hooks.

One model serves every subject. Merged weights are always computed from pristine copies of the base's tensors, never
from the last subject's, so that errors do not add up. A subject stays in place until another one is asked for, because
several benchmarks measure one subject; going back to the base is checked bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.merging.recipe import Recipe, read_recipe, store_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.tensors.checkpoint import Checkpoint
from traitgraph.runtime.vectors.vectors import load_vector
from traitgraph.specs.jobs.params import AssessParams, Steering

from .activations import shift_activations
from .neurons import shift_neurons
from .workbench import Workbench, workbench_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Subject:
    """The model as it is to be assessed; `name` says what was made of it."""

    model: torch.nn.Module
    name: str


@contextmanager
def subject(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Iterator[Subject]:
    """The loaded model turned into the subject of a job, in place, for the block.

    The base when the job has none of the inputs `tuned`, `merge`, `activations` and `neurons`. After an error in
    the block the base is restored at once; otherwise when another subject is asked for or the session ends. Raises
    MergeError or SteeringError when the change does not fit the model, BaseChangedError when the base cannot be brought
    back exactly.
    """
    workbench = workbench_of(context, loaded)
    try:
        yield _activate(context, workbench, params)
    except BaseException:
        workbench.restore()
        raise


def _activate(context: JobContext, workbench: Workbench, params: AssessParams) -> Subject:
    if merges := context.inputs.get("merge"):
        key = context.row.inputs["merge"][0]
        if workbench.active != key:
            _apply(context, workbench, key, read_recipe(merges[0]))
        return Subject(workbench.model, f"merge {key[:8]}")
    if tuned := context.inputs.get("tuned"):
        key = context.row.inputs["tuned"][0]
        if workbench.active == key:
            pass
        elif (tuned[0] / "adapter").is_dir():
            workbench.apply_adapter(key, tuned[0] / "adapter")
        else:
            workbench.apply_weights(key, Checkpoint(tuned[0] / "model"))
        return Subject(workbench.model, f"tuned {key[:8]}")
    if how := params.steering or params.neurons:
        name = "activations" if isinstance(how, Steering) else "neurons"
        folder, key = context.inputs[name][0], context.row.inputs[name][0]
        subject_key = f"{key} {how.model_dump_json()}"  # one measured artifact serves many subjects
        if workbench.active == subject_key:
            pass
        elif isinstance(how, Steering):
            workbench.apply_hooks(subject_key, lambda model: shift_activations(model, folder, how))
        else:
            workbench.apply_hooks(subject_key, lambda model: shift_neurons(model, folder, how))
        return Subject(workbench.model, f"steered by {key[:8]}")
    workbench.restore()
    return Subject(workbench.model, "base")


def _apply(context: JobContext, workbench: Workbench, key: str, recipe: Recipe) -> None:
    """A merge, under the names that the loaded model's tensors have; its vectors are read once per session."""
    session = context.session
    store = session.get(("store", recipe.folder.parent.parent), lambda: store_of(recipe.folder))
    composition = recipe.composition(
        lambda each: session.get(("vector", each), lambda: load_vector(store.open("vector", each).path)),
        workbench.tensors(),
        workbench.rows,
        session.get("merge: what was counted", dict),
    )
    if recipe.application == "adapter":
        workbench.apply_low_rank(key, composition)
    else:
        workbench.apply_merge(key, composition)
