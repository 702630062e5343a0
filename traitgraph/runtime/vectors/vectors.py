"""Personality vectors: phi = tuned - base as an artifact, low-rank factors where training was low-rank.

`vector.safetensors` holds, for a tensor NAME of the base, either `NAME:left` and `NAME:right` (phi = scale * left @
right, the scale stands in the record) or `NAME:delta` in float32, with `NAME:rest.at` and `NAME:rest` for the few
elements where base + delta is not tuned bit for bit. `vector.json` is the record: norms, layers, fingerprint, base.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.loading import model_folder
from traitgraph.runtime.tensors.checkpoint import Checkpoint, check_format, matrix_shape, read_object
from traitgraph.specs.jobs.params import VectorParams

from .adapters import Factors
from .differences import Difference
from .extraction import FORMAT, RECORD, TENSORS, build_domain_vector, build_vector, trained_folder

if TYPE_CHECKING:
    import torch


def vector(context: JobContext, params: VectorParams) -> None:
    """Keep what training changed, as small and exact as it can be kept.

    reads   tuned      `adapter/` of a LoRA training, or `model/` of a full one; or `params.tuned`, a ready-made model
            opposite?  the training that is subtracted in place of the base
    writes  vector.safetensors, vector.json
    raises  MergeError when the tuned weights do not belong to the base
    """
    base = Checkpoint(model_folder(context, params.model))
    about = params.model.model_dump(mode="json")
    if params.tuned is not None:
        tuned = model_folder(context, params.tuned, prepared="tuned_model")
        build_domain_vector(tuned, base, context.out, names=params.names, base_record=about)
    else:
        opposite = next(map(trained_folder, context.inputs.get("opposite", ())), None)
        build_vector(
            trained_folder(context.inputs["tuned"][0]), base, context.out, opposite=opposite, base_record=about
        )


class Vector(Difference):
    """phi of one trait and level, read from its artifact; its id is the fingerprint of all values."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / RECORD).stat()  # raises OSError where there is none
        self.record: Mapping[str, Any] = read_object(folder / RECORD)
        check_format(self.record, FORMAT, folder / RECORD)
        self._about: Mapping[str, Mapping[str, Any]] = self.record["tensors"]
        self.id: str = self.record["fingerprint"]
        self.names = tuple(self._about)
        self.elements: int = self.record["elements"]
        self._factors: dict[tuple[str, torch.device | None], Factors] = {}
        self._rests: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    @cached_property
    def _file(self) -> Checkpoint:
        return Checkpoint(self.folder / TENSORS)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self._about[name]["shape"])

    def delta(self, name: str) -> torch.Tensor:
        """The whole difference of one tensor: float32, in the tensor's shape."""
        return self.piece(name, 0, matrix_shape(self.shape(name))[0]).reshape(self.shape(name))

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of the difference: float32, flat."""
        if (factors := self.factors(name, device)) is not None:
            return factors.rows(first, last)
        return self._file.read(f"{name}:delta", (first, last)).to(device).float()

    def rest(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor | None:
        """What base + difference lacks of the tuned rows [first, last), or None where nothing."""
        import torch

        if f"{name}:rest" not in self._file:
            return None
        if name not in self._rests:
            self._rests[name] = (self._file.read(f"{name}:rest.at"), self._file.read(f"{name}:rest"))
        at, values = self._rests[name]
        width = matrix_shape(self.shape(name))[1]
        begin, end = torch.searchsorted(at, torch.tensor([first * width, last * width])).tolist()
        if begin == end:
            return None
        rest = torch.zeros((last - first) * width)
        rest[at[begin:end] - first * width] = values[begin:end]
        return rest.to(device)

    def factors(self, name: str, device: torch.device | None = None) -> Factors | None:
        """Low-rank form of a tensor's difference, on a device, or None when it is stored in full."""
        about = self._about[name]
        if about["form"] != "low-rank":
            return None
        if (name, device) not in self._factors:
            left, right = (self._file.read(f"{name}:{side}").to(device) for side in ("left", "right"))
            self._factors[name, device] = Factors(left, right, about["scale"], about.get("transposed", False))
        return self._factors[name, device]


def load_vector(folder: Path | str) -> Vector:
    """The vector of an artifact folder; tensors are read when they are used.

    Raises OSError when it is not there, MergeError when another version of this program wrote it.
    """
    return Vector(Path(folder))
