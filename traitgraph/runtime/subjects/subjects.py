"""Turn the loaded base into a subject and back: base, tuned adapter or weights, merged in place, steered by hooks.

One model serves every subject. Merged weights are always computed from pristine copies of the base's tensors, never
from the last subject's, so that errors do not add up. A subject stays in place until another one is asked for, because
several benchmarks measure one subject; going back to the base is checked bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.merging.recipe import Recipe, read_recipe, store_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.tensors.checkpoint import Checkpoint
from traitgraph.runtime.vectors.vectors import load_vector
from traitgraph.specs.jobs.params import AssessParams, Steering

from .activations import shift_activations
from .neurons import shift_neurons
from .workbench import Workbench, workbench_of


@contextmanager
def subject(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Iterator[None]:
    """The loaded model turned into the subject of a job, in place, for the block.

    The base when the job has none of the inputs `tuned`, `merge`, `activations` and `neurons`. After an error in
    the block the base is restored at once; otherwise when another subject is asked for or the session ends. Raises
    MergeError or SteeringError when the change does not fit the model, BaseChangedError when the base cannot be brought
    back exactly.
    """
    workbench = workbench_of(context, loaded)
    try:
        _activate(context, workbench, params)
        yield
    except BaseException:
        workbench.restore()
        raise


def _activate(context: JobContext, workbench: Workbench, params: AssessParams) -> None:
    how = params.steering or params.neurons
    if source := next((name for name in ("merge", "tuned") if context.inputs.get(name)), ""):
        key = context.row.inputs[source][0]
    elif how:
        source = "activations" if isinstance(how, Steering) else "neurons"
        key = f"{context.row.inputs[source][0]} {how.model_dump_json()}"  # one measured artifact serves many subjects
    else:
        return workbench.restore()
    folder = context.inputs[source][0]
    if workbench.active == key:
        return None
    if source == "merge":
        return _merge(context, workbench, key, read_recipe(folder))
    if source == "tuned":
        adapter = folder / "adapter"
        if adapter.is_dir():
            return workbench.apply_adapter(key, adapter)
        return workbench.apply_weights(key, Checkpoint(folder / "model"))
    if isinstance(how, Steering):
        return workbench.apply_hooks(key, lambda model: shift_activations(model, folder, how))
    assert how is not None, "steered, by neurons"
    return workbench.apply_hooks(key, lambda model: shift_neurons(model, folder, how))


def _merge(context: JobContext, workbench: Workbench, key: str, recipe: Recipe) -> None:
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
