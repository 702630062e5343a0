"""Take personality vectors out of trained artifacts and write them: LoRA factors as factors, else float32 differences.

Layout of the files: see `traitgraph.runtime.vectors`, which reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.durable import write_json

from .adapters import Adapter, Factors, read_adapter
from .checkpoint import Checkpoint, matrix_shape
from .differences import CheckpointDifference, low_rank_rows, pieces
from .errors import MergeError
from .writer import Slot, TensorFile

if TYPE_CHECKING:
    import torch

TENSORS = "vector.safetensors"
RECORD = "vector.json"


def build_vector(tuned: Path, base: Checkpoint, out: Path, *, base_record: Mapping[str, Any] | None = None) -> None:
    """Write the vector of a trained artifact (`adapter/` or `model/`), a peft adapter or a checkpoint into `out`.

    `base_record` says in plain data which base this is. Raises MergeError when the tuned weights do not belong to it.
    """
    folder = next((tuned / part for part in ("adapter", "model") if (tuned / part).is_dir()), tuned)
    if (folder / "adapter_config.json").is_file():
        record = _from_adapter(read_adapter(folder, base), base, out)
    else:
        record = _from_checkpoint(Checkpoint(folder), base, out)
    write_json(out / RECORD, {"format": 1, **record, "base": dict(base_record or {})})


def _from_adapter(adapter: Adapter, base: Checkpoint, out: Path) -> dict[str, Any]:
    """Write an adapter's factors, and full differences for what it saves whole; returns the record."""
    from safetensors.torch import save_file

    draft = _Draft()
    for name, factors in adapter.factors.items():
        if name in adapter.magnitudes:
            draft.add_delta(name, _dora_difference(adapter, name, base))
        else:
            _check_shape(name, factors.shape, base)
            draft.add_factors(name, factors, base[name].shape)
    for name, delta in _full_changes(adapter, base).items():
        draft.add_delta(name, delta)
    save_file(draft.tensors, out / TENSORS)
    return draft.record(
        source="adapter",
        elements=sum(base[name].elements for name in draft.about),
        stored=_dtypes(draft.tensors.values()),
    )


def _full_changes(adapter: Adapter, base: Checkpoint) -> dict[str, torch.Tensor]:
    """Differences of saved modules and biases that are not zero."""
    changes: dict[str, torch.Tensor] = {}
    for name, value in adapter.values.items():
        _check_shape(name, tuple(value.shape), base)
        changes[name] = value.float() - base.read(name).float()
    for name, shift in adapter.shifts.items():
        changes[name] = changes[name] + shift if name in changes else shift
    changes = {name: delta for name, delta in changes.items() if delta.any()}
    if both := sorted(set(changes) & set(adapter.factors)):
        raise MergeError(f"{adapter.folder}: '{both[0]}' is both saved whole and low-rank; keep one of the two")
    return changes


def _dora_difference(adapter: Adapter, name: str, base: Checkpoint) -> torch.Tensor:
    """m * (W + s B A) / |W + s B A| - W, lengths by row (Liu et al. 2024, arXiv:2402.09353): right at alpha = 1."""
    factors, magnitude = adapter.factors[name], adapter.magnitudes[name].float().reshape(-1)
    _check_shape(name, factors.shape, base)
    if magnitude.numel() != factors.shape[0]:
        raise MergeError(f"{adapter.folder}: DoRA on '{name}' is of a kind that is not read (embedding or convolution)")
    weight = base.read(name).float()
    moved = weight + low_rank_rows(factors, 0, factors.shape[0]).reshape(weight.shape)
    return moved * (magnitude / moved.norm(dim=1)).unsqueeze(1) - weight


def _check_shape(name: str, shape: tuple[int, ...], base: Checkpoint) -> None:
    if not base[name].is_float:
        raise MergeError(f"tensor '{name}' of {base.path} is {base[name].dtype}: quantised weights take no vector")
    if shape != base[name].shape:
        raise MergeError(
            f"tensor '{name}' has shape {list(base[name].shape)} in {base.path} and {list(shape)} in the adapter: "
            "it was trained on another base"
        )


def _from_checkpoint(tuned: Checkpoint, base: Checkpoint, out: Path) -> dict[str, Any]:
    """Stream tuned - base in float32 to disk, tensor by tensor; returns the record."""
    difference = CheckpointDifference(base, tuned, identity="")
    rests = {name: _rest_of_tensor(difference, name) for name in difference.names}
    changed = [name for name in difference.names if _is_changed(difference, name)]
    draft = _Draft()
    slots = [slot for name in changed for slot in _slots(name, base[name].shape, rests[name])]
    with TensorFile(out / TENSORS, slots) as file:
        for name in changed:
            squares = 0.0
            for first, last in pieces(base[name].shape):
                piece = difference.piece(name, first, last)
                _refuse_nonfinite(name, piece, tuned)
                squares += float(piece.double().square().sum())
                draft.hash(name, piece)
                file.write(f"{name}:delta", piece, first)
            for part, tensor in rests[name].items():
                draft.hash(name, tensor)
                file.write(f"{name}:{part}", tensor)
            draft.note(name, base[name].shape, sqrt(squares), form="full")
    rest = sum(parts["rest"].numel() for parts in rests.values() if parts)
    return draft.record(source="checkpoint", elements=difference.elements, stored=["float32"], rest=rest)


def _is_changed(difference: CheckpointDifference, name: str) -> bool:
    return any(bool(difference.piece(name, *rows).any()) for rows in pieces(difference.shape(name)))


def _rest_of_tensor(difference: CheckpointDifference, name: str) -> dict[str, torch.Tensor]:
    """Where base + delta is not tuned: positions and what is lacking; empty when it is tuned everywhere."""
    import torch

    width = matrix_shape(difference.shape(name))[1]
    at, values = [], []
    for first, last in pieces(difference.shape(name)):
        rest = difference.rest(name, first, last)
        if rest is not None:
            found = rest.nonzero().flatten()
            at.append(found + first * width)
            values.append(rest[found])
    return {"rest.at": torch.cat(at), "rest": torch.cat(values)} if at else {}


def _slots(name: str, shape: tuple[int, ...], rest: Mapping[str, torch.Tensor]) -> list[Slot]:
    parts = [Slot(f"{name}:{part}", tuple(t.shape), str(t.dtype).removeprefix("torch.")) for part, t in rest.items()]
    return [Slot(f"{name}:delta", shape, "float32"), *parts]


def _refuse_nonfinite(name: str, piece: torch.Tensor, source: Checkpoint) -> None:
    if not bool(piece.isfinite().all()):
        raise MergeError(f"tensor '{name}' of {source.path} holds NaN or infinity; its training diverged: train again")


@dataclass
class _Draft:
    """A vector while it is written: tensors, what is known of each, and a running digest."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    digest: blake2b = field(default_factory=lambda: blake2b(b"traitgraph vector 1", digest_size=16))

    def add_factors(self, name: str, factors: Factors, shape: tuple[int, ...]) -> None:
        """Keep a low-rank change in the adapter's own number format."""
        self.tensors[f"{name}:left"], self.tensors[f"{name}:right"] = factors.left, factors.right
        self.digest.update(repr(factors.scale).encode())
        for part in (factors.left, factors.right):
            self.hash(name, part)
        self.note(name, shape, low_rank_norm(factors), form="low-rank", rank=factors.rank, scale=factors.scale)

    def add_delta(self, name: str, delta: torch.Tensor) -> None:
        """Keep a full difference."""
        self.tensors[f"{name}:delta"] = delta
        self.hash(name, delta)
        self.note(name, tuple(delta.shape), float(delta.double().norm()), form="full")

    def hash(self, name: str, part: torch.Tensor) -> None:
        """Mix a part of the values into the fingerprint."""
        import torch

        self.digest.update(f"{name}:{part.dtype}:{tuple(part.shape)}".encode())
        self.digest.update(memoryview(part.contiguous().reshape(-1).view(torch.uint8).numpy()))

    def note(self, name: str, shape: tuple[int, ...], norm: float, **more: Any) -> None:
        """Remember what the record says of a tensor. Raises MergeError when its norm is no number."""
        if norm != norm or norm == float("inf"):
            raise MergeError(f"the change of '{name}' holds NaN or infinity; its training diverged: train again")
        self.about[name] = {"shape": list(shape), "norm": norm, **more}

    def record(self, *, source: str, elements: int, stored: Sequence[str], rest: int = 0) -> dict[str, Any]:
        """What `vector.json` holds."""
        squares = {name: about["norm"] ** 2 for name, about in self.about.items()}
        forms = {about["form"] for about in self.about.values()}
        return {
            "fingerprint": self.digest.hexdigest(),
            "source": source,
            "form": forms.pop() if len(forms) == 1 else "mixed",
            "elements": elements,
            "norm": sqrt(sum(squares.values())),
            "layer_norms": layer_norms(squares),
            "stored": {"dtype": sorted(stored), "round_trip_error": 0.0, "elements_with_a_rest": rest},
            "tensors": self.about,
        }


def _dtypes(tensors: Iterable[torch.Tensor]) -> list[str]:
    return sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})


def low_rank_norm(factors: Factors) -> float:
    """Frobenius norm of scale * left @ right without forming it: |.|^2 = sum((left^T left) * (right right^T))."""
    left, right = factors.left.double(), factors.right.double()
    return abs(factors.scale) * sqrt(max(0.0, float(((left.T @ left) * (right @ right.T)).sum())))


def layer_norms(squares: Mapping[str, float]) -> dict[str, float]:
    """Norm by layer, from squared norms by tensor; tensors outside the layers count under 'rest'."""
    sums: dict[str, float] = {}
    for name, square in squares.items():
        found = re.search(r"\.(\d+)\.", name)
        layer = found.group(1) if found else "rest"
        sums[layer] = sums.get(layer, 0.0) + square
    return {layer: sqrt(total) for layer, total in sums.items()}
