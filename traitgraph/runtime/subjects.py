"""Turn the loaded base into a subject and back: base, tuned adapter or weights, merged in place.

One model serves every subject. Merged weights are always computed from pristine copies of the base's tensors, never
from the last subject's, so that errors do not add up. A subject stays in place until another one is asked for, because
several benchmarks measure one subject; going back to the base is checked bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.specs.jobs import AssessParams

from .context import JobContext
from .fingerprint import weights_checksum
from .merging.checkpoint import Checkpoint, matrix_shape
from .merging.composition import Composition
from .merging.differences import piece_size, pieces
from .merging.errors import MergeError
from .merging.recipe import Recipe, read_recipe, store_of
from .merging.rounding import round_to
from .models import LoadedModel
from .quiet import quiet_libraries
from .vectors import Vector, load_vector

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

_ADAPTER = "subject"


class BaseChangedError(RuntimeError):
    """The base did not come back bit for bit: results after this point would be those of another model."""


@dataclass(frozen=True)
class Subject:
    """The model as it is to be assessed; `name` says what was made of it."""

    model: torch.nn.Module
    name: str


@contextmanager
def subject(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Iterator[Subject]:
    """The loaded model turned into the subject of a job, in place, for the block.

    The base when the job has neither input `tuned` nor `merge`. After an error in the block the base is restored at
    once; otherwise when another subject is asked for or the session ends. Raises MergeError when the change does not
    fit the model, BaseChangedError when the base cannot be brought back exactly.
    """
    workbench = context.session.get(_workbench_key(loaded), lambda: Workbench(loaded))
    try:
        yield _activate(context, workbench)
    except BaseException:
        workbench.restore()
        raise


def leave_subject(context: JobContext, loaded: LoadedModel) -> None:
    """Bring the base back, checked, for a job that needs it as it was loaded. Raises BaseChangedError."""
    context.session.drop(_workbench_key(loaded))


def _workbench_key(loaded: LoadedModel) -> tuple[str, int]:
    return "workbench", id(loaded)


def _activate(context: JobContext, workbench: Workbench) -> Subject:
    if merges := context.inputs.get("merge"):
        key = context.row.inputs["merge"][0]
        if workbench.active != key:
            recipe = read_recipe(merges[0])
            workbench.apply_merge(key, recipe.composition(_vectors(context, recipe)), recipe)
        return Subject(workbench.model, f"merge {key[:8]}")
    if tuned := context.inputs.get("tuned"):
        key = context.row.inputs["tuned"][0]
        if workbench.active != key:
            workbench.apply_tuned(key, tuned[0])
        return Subject(workbench.model, f"tuned {key[:8]}")
    workbench.restore()
    return Subject(workbench.model, "base")


def _vectors(context: JobContext, recipe: Recipe) -> list[Vector]:
    root = recipe.folder.parent.parent
    store = context.session.get(("store", root), lambda: store_of(recipe.folder))
    return [
        context.session.get(("vector", key), lambda key=key: load_vector(store.open("vector", key).path))
        for key in recipe.vector_keys
    ]


class Workbench:
    """A loaded base with what is needed to change it and to bring it back.

    Keeps one pristine copy of each tensor that was ever changed: twice the memory of those tensors, for as long as the
    session lasts.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.model: torch.nn.Module = loaded.model
        self.active: str | None = None
        self._parameters = dict(loaded.model.named_parameters())
        self._checksum = weights_checksum(loaded.model)
        self._pristine: dict[str, torch.Tensor] = {}
        self._changed: set[str] = set()
        self._peft: PeftModel | None = None

    def apply_merge(self, key: str, composition: Composition, recipe: Recipe) -> None:
        """theta = round(base + change), every tensor from its pristine copy."""
        self._remove_adapter()
        self.active = None
        for name in composition.names:
            self._check(name, composition.shape(name))
        self._put_back(self._changed - set(composition.names))
        for name in composition.names:
            self._merge_tensor(name, composition, recipe)
        self.active = key

    def _merge_tensor(self, name: str, composition: Composition, recipe: Recipe) -> None:
        import torch

        parameter, pristine = self._parameters[name].detach(), self._pristine_of(name)
        target, source = parameter.view(-1), pristine.view(-1)
        width = matrix_shape(tuple(parameter.shape))[1]
        self._changed.add(name)
        for first, last in pieces(tuple(parameter.shape), piece_size(parameter.device)):
            rows = slice(first * width, last * width)
            if parameter.dtype is torch.float32:
                composition.theta(name, first, last, source[rows], out=target[rows])
            else:
                theta = composition.theta(name, first, last, source[rows].float())
                rounding = recipe.params.method.rounding
                target[rows] = round_to(theta, parameter.dtype, rounding, seed=0, name=name, offset=rows.start)

    def apply_tuned(self, key: str, folder: Path) -> None:
        """The trained artifact itself: its adapter through peft, or its full weights."""
        self.restore()
        if (folder / "adapter").is_dir():
            self._add_adapter(folder / "adapter")
        else:
            self._load_weights(Checkpoint(folder / "model"))
        self.active = key

    def _add_adapter(self, folder: Path) -> None:
        from peft import PeftModel

        self._attributes = dict(self.model.__dict__)
        self._gradients = {name: each.requires_grad for name, each in self._parameters.items()}
        with quiet_libraries():
            self._peft = PeftModel.from_pretrained(self.model, str(folder), adapter_name=_ADAPTER)
        self._peft.eval()

    def _load_weights(self, tuned: Checkpoint) -> None:
        for name, info in tuned.items():
            self._check(name, info.shape)
        for name in tuned:
            self._pristine_of(name)
            self._changed.add(name)
            self._parameters[name].detach().copy_(tuned.read(name))

    def _check(self, name: str, shape: tuple[int, ...]) -> None:
        if name not in self._parameters:
            raise MergeError(f"the loaded model has no tensor '{name}': it is another model than the vector's base")
        if tuple(self._parameters[name].shape) != shape:
            raise MergeError(
                f"tensor '{name}' has shape {list(self._parameters[name].shape)} in the loaded model and {list(shape)} "
                "in the change: it is another model than the vector's base"
            )

    def _pristine_of(self, name: str) -> torch.Tensor:
        if name not in self._pristine:
            self._pristine[name] = self._parameters[name].detach().clone()
        return self._pristine[name]

    def restore(self) -> None:
        """The base, bit for bit. Raises BaseChangedError when any weight is not what it was when it was loaded."""
        if self.active is None and not self._changed and self._peft is None:
            return
        self._remove_adapter()
        self._put_back(set(self._changed))
        self.active = None
        if weights_checksum(self.model) != self._checksum:
            raise BaseChangedError("the base model was not restored bit for bit; start the task again")

    def _put_back(self, names: set[str]) -> None:
        for name in names:
            self._parameters[name].detach().copy_(self._pristine[name])
            self._changed.discard(name)

    def _remove_adapter(self) -> None:
        if self._peft is None:
            return
        self._peft.unload()
        self._peft, self.active = None, None
        self.model.__dict__.clear()  # peft leaves its configuration behind, and would warn of it the next time
        self.model.__dict__.update(self._attributes)
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(self._gradients[name])

    def close(self) -> None:
        """Restore and check the base, and give the copies back."""
        self.restore()
        self._pristine.clear()
