"""A loaded base with what is needed to change it into one subject after another, and to bring it back bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.process import quiet_libraries, spare_memory
from traitgraph.runtime.merging.composition import Composition
from traitgraph.runtime.merging.direction_cache import DirectionCache
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
        return {
            name: TensorInfo(
                name, tuple(each.shape), dtype_name(each.dtype), Path("the loaded model"), 0,
                each.numel() * each.element_size(),
            )
            for name, each in self._parameters.items()
        }  # fmt: skip

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
        import torch

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
            if target.dtype is torch.float32:
                composition.theta(name, first, last, source[rows], direction=made, out=target[rows])
                check_finite(target[rows], name)
            else:
                base = source[rows].float()
                target[rows].copy_(composition.rounded(name, first, last, base, target.dtype, direction=made))
        return None

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
        for theirs, ours in names.items():  # all of them, before anything is changed
            if ours not in self._parameters:
                raise MergeError(f"the loaded model has no tensor '{theirs}': the tuned weights are of another model")
            if tuple(self._parameters[ours].shape) != tuned[theirs].shape:
                raise MergeError(
                    f"tensor '{ours}' has shape {list(self._parameters[ours].shape)} in the loaded model and "
                    f"{list(tuned[theirs].shape)} in the tuned weights: they are of another model"
                )
        for theirs, ours in names.items():
            self._pristine_of(ours)
            self._changed.add(ours)
            self._parameters[ours].detach().copy_(tuned.read(theirs))
        self.active = key

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


def workbench_of(context: JobContext, loaded: LoadedModel) -> Workbench:
    """The workbench of a loaded model, kept for the session."""
    return context.session.get(("workbench", id(loaded)), lambda: Workbench(loaded))


def leave_subject(context: JobContext, loaded: LoadedModel) -> None:
    """Bring the base back, checked, for a job that needs it as it was loaded. Raises BaseChangedError."""
    context.session.drop(("workbench", id(loaded)))


_ROWS, _WIDTH = 64, 4096
_PRIME = 0x9E3779B1


def weights_checksum(model: torch.nn.Module) -> str:
    """16 hex digits that change with any bit of any parameter, and when values change places.

    Whether a base came back exactly as it was loaded. Reads memory once at its speed, on the device. Guards against
    mistakes, not against an adversary.
    """
    total = 0
    for name, parameter in model.named_parameters():
        total = (total * _PRIME + tensor_checksum(parameter.detach()) + len(name)) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def tensor_checksum(tensor: torch.Tensor) -> int:
    """The bits as 64-bit words, summed by row and by column of blocks, each sum weighted by its place, modulo 2^64."""
    import torch

    octets = tensor.contiguous().reshape(-1).view(torch.uint8)
    missing = -octets.numel() % 8
    words = (torch.nn.functional.pad(octets, (0, missing)) if missing else octets).view(torch.int64)
    blocks = words[: words.numel() // (_ROWS * _WIDTH) * (_ROWS * _WIDTH)].view(-1, _ROWS, _WIDTH)
    total = 0
    for part in (blocks.sum(1).flatten(), blocks.sum(2).flatten(), words[blocks.numel() :]):
        places = torch.arange(1, part.numel() + 1, device=part.device)
        total = total * _PRIME + int((part * places).sum())
    return total & 0xFFFFFFFFFFFFFFFF
