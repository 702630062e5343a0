"""A loaded base with what is needed to change it into one subject after another, and to bring it back bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.runtime.jobs.quiet import quiet_libraries
from traitgraph.runtime.merging.composition import Composition
from traitgraph.runtime.merging.direction_cache import DirectionCache
from traitgraph.runtime.models.fingerprint import weights_checksum
from traitgraph.runtime.models.free_memory import spare_memory
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError, TensorInfo, dtype_name, matrix_shape
from traitgraph.runtime.tensors.rounding import check_finite
from traitgraph.runtime.vectors.differences import piece_size, pieces
from traitgraph.runtime.vectors.fitting import names_of_training, renamed
from traitgraph.runtime.vectors.hooks import Removable, add_low_rank, module_of, takes_low_rank

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel


_ADAPTER = "subject"
_SHARE_OF_MEMORY = 0.5


class BaseChangedError(RuntimeError):
    """The base did not come back bit for bit: results after this point would be those of another model."""


class Workbench:
    """Changes the weights of a loaded base in place, always from pristine copies, and restores them.

    Keeps one pristine copy of each tensor that was ever changed and, as far as memory allows, the direction of the last
    merge, for as long as the session lasts. `active` names what is in place; None is the base.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.model: PreTrainedModel = loaded.model
        self.active: str | None = None
        self._parameters = dict(loaded.model.named_parameters())
        self._checksum = weights_checksum(loaded.model)
        self._pristine: dict[str, torch.Tensor] = {}
        self._changed: set[str] = set()
        self._direction = DirectionCache()
        self._peft: PeftModel | None = None
        self._remove_hooks: Removable | None = None

    # ---------------------------------------------------------------- what a change needs to know of the model

    def tensors(self) -> Mapping[str, TensorInfo]:
        """The model's tensors by name, as a checkpoint's: for fitting vectors to them."""
        return {name: _info(name, each) for name, each in self._parameters.items()}

    def rows(self, name: str, first: int, last: int) -> torch.Tensor:
        """Rows [first, last) of a tensor of the base: float32, flat; not to be changed."""
        source: torch.Tensor = self._pristine.get(name, self._parameters[name].detach())
        width = matrix_shape(tuple(source.shape))[1]
        return source.view(-1)[first * width : last * width].float()

    # ---------------------------------------------------------------- subjects

    def apply_merge(self, key: str, composition: Composition) -> None:
        """theta = round(base + change), every tensor from its pristine copy."""
        self._remove_adapters()
        self.active = None
        self._put_back(self._changed - set(composition.names))
        self._prepare_direction(composition)
        for name in composition.names:
            self._merge_tensor(name, composition)
        self.active = key

    def _merge_tensor(self, name: str, composition: Composition) -> None:
        """Compute a tensor piece by piece; nothing is checked twice where the kept direction says how far it goes."""
        parameter, source = self._parameters[name].detach(), self._pristine_of(name).view(-1)
        target, kept = parameter.view(-1), self._direction.tensors.get(name)
        self._changed.add(name)
        bounded = self._direction.stays_finite(name, composition.strength, parameter.dtype)
        if kept is not None and bounded and composition.is_plain_step and not composition.restores(name):
            return kept.add(source, composition.strength, out=target)
        width = matrix_shape(tuple(parameter.shape))[1]
        for first, last in pieces(tuple(parameter.shape), piece_size(parameter.device)):
            rows = slice(first * width, last * width)
            made = None if kept is None else kept.rows(source, rows.start, rows.stop)
            self._merge_rows(composition, name, (first, last), source[rows], made, target[rows])
        return None

    def _merge_rows(
        self,
        composition: Composition,
        name: str,
        rows: tuple[int, int],
        source: torch.Tensor,
        direction: torch.Tensor | None,
        target: torch.Tensor,
    ) -> None:
        import torch

        if target.dtype is torch.float32:
            composition.theta(name, *rows, source, direction=direction, out=target)
            check_finite(target, name)
            return
        target.copy_(composition.rounded(name, *rows, source.float(), target.dtype, direction=direction))

    def _prepare_direction(self, composition: Composition) -> None:
        """Keep the direction when it is costly to make again, as far as half of the free memory goes."""
        import torch

        key = composition.direction_key
        if key == self._direction.key:
            return
        self._direction = DirectionCache(key)
        low_rank = composition.steps.is_linear and all(
            composition.factors(name) is not None for name in composition.names
        )
        if low_rank or composition.steps.on_arc:
            return
        device = next(iter(self._parameters.values())).device
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else spare_memory()
        room = _SHARE_OF_MEMORY * free
        for name in composition.merged:
            if 4 * prod(composition.shape(name)) <= room:
                room -= self._direction.keep(composition, name, self._pristine_of(name).view(-1)).nbytes

    def apply_low_rank(self, key: str, composition: Composition) -> None:
        """The change beside the weights, as an adapter: the base is not touched."""
        changes = {name: composition.factors(name) or [] for name in composition.names}
        if not all(takes_low_rank(module_of(self.model, name)) for name in changes):
            return self.apply_merge(key, composition)
        return self.apply_hooks(key, lambda model: add_low_rank(model, changes))

    def apply_hooks(self, key: str, add: Callable[[PreTrainedModel], Removable]) -> None:
        """A change by hooks alone, which `add` puts on the base: no weight is touched."""
        self.restore()
        self._remove_hooks = add(self.model)
        self.active = key

    def apply_adapter(self, key: str, folder: Path) -> None:
        """A trained adapter, by the library that trained it."""
        from peft import PeftModel

        self.restore()
        self._attributes = dict(self.model.__dict__)
        self._gradients = {name: each.requires_grad for name, each in self._parameters.items()}
        with quiet_libraries():
            self._peft = PeftModel.from_pretrained(self.model, str(folder), adapter_name=_ADAPTER)
        self._peft.eval()
        self.active = key

    def apply_weights(self, key: str, tuned: Checkpoint) -> None:
        """The weights of a full training, in the base's number format."""
        self.restore()
        map_of_names = names_of_training(tuned, self._parameters)
        names = {name: renamed(name, map_of_names) for name in tuned}
        for theirs, ours in names.items():
            self._check_fits(theirs, ours, tuned[theirs].shape)
        for theirs, ours in names.items():
            self._pristine_of(ours)
            self._changed.add(ours)
            self._parameters[ours].detach().copy_(tuned.read(theirs))
        self.active = key

    def _check_fits(self, theirs: str, name: str, shape: tuple[int, ...]) -> None:
        if name not in self._parameters:
            raise MergeError(f"the loaded model has no tensor '{theirs}': the tuned weights are of another model")
        if tuple(self._parameters[name].shape) != shape:
            raise MergeError(
                f"tensor '{name}' has shape {list(self._parameters[name].shape)} in the loaded model and {list(shape)} "
                "in the tuned weights: they are of another model"
            )

    def _pristine_of(self, name: str) -> torch.Tensor:
        if name not in self._pristine:
            self._pristine[name] = self._parameters[name].detach().clone()
        return self._pristine[name]

    # ---------------------------------------------------------------- back to the base

    def restore(self) -> None:
        """The base, bit for bit. Raises BaseChangedError when any weight is not what it was when it was loaded."""
        if self.active is None and not self._changed and self._peft is None and self._remove_hooks is None:
            return
        self._remove_adapters()
        self._put_back(set(self._changed))
        self.active = None
        if weights_checksum(self.model) != self._checksum:
            raise BaseChangedError("the base model was not restored bit for bit; start the task again")

    def _put_back(self, names: set[str]) -> None:
        for name in names:
            self._parameters[name].detach().copy_(self._pristine[name])
            self._changed.discard(name)

    def _remove_adapters(self) -> None:
        if self._remove_hooks is not None:
            self._remove_hooks()
            self._remove_hooks, self.active = None, None
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
        self._direction = DirectionCache()


def _info(name: str, parameter: torch.Tensor) -> TensorInfo:
    return TensorInfo(
        name, tuple(parameter.shape), dtype_name(parameter.dtype), Path("the loaded model"), 0, parameter.nbytes
    )
