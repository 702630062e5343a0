"""Take personality vectors out of trained artifacts and write them: LoRA factors as factors, else float32 differences.

Layout of the files: see `traitgraph.runtime.vectors.vectors`, which reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.tensors.checkpoint import (
    Checkpoint,
    CheckpointView,
    MergeError,
    dtype_name,
    is_buffer,
    matrix_shape,
    octets,
    quantised,
)
from traitgraph.runtime.tensors.rounding import check_finite
from traitgraph.runtime.tensors.writer import Slot, TensorFile
from traitgraph.specs.folders.model_folder import ADAPTER_CONFIG

from .adapters import MERGE_FIRST, Adapter, Factors, changed_names, read_adapter
from .differences import CheckpointDifference, common_rows, comparable_names, pieces, unequal_shapes
from .fitting import NameMap, Vocabulary, as_named, check_same_tokens, names_of_training, renamed
from .hooks import stacked
from .layers import places

if TYPE_CHECKING:
    import torch


TENSORS = "vector.safetensors"
RECORD = "vector.json"
FORMAT = 1
"""Changes when the record or the tensors no longer are what this program reads."""
Stored = Literal["float32", "bfloat16"]


def build_vector(
    tuned: Path | str,
    base: Checkpoint,
    out: Path | str,
    *,
    opposite: Path | str | None = None,
    stored: Stored = "float32",
    vocabulary: Vocabulary = "refuse",
    base_record: Mapping[str, Any] | None = None,
) -> list[dict[str, int]]:
    """Write the vector of a peft adapter or a checkpoint, in the very folder that is named, into `out`.

    With `opposite`, another artifact of the same base, the vector is tuned - opposite. `stored` is the number format of
    full differences: bfloat16 halves them, and the record says what it lost (adapters keep their own format).
    `vocabulary` is for adapters that hold embeddings of more or fewer rows than the base has. `base_record` says
    in plain data which base this is. Returns the tables that were resized, with the number of rows that are changed.
    Raises MergeError when the tuned weights do not belong to the base.
    """
    (out := Path(out)).mkdir(parents=True, exist_ok=True)
    folders = [Path(path) for path in (tuned, opposite) if path is not None]
    adapters = [is_adapter(folder) for folder in folders]
    resized: list[dict[str, int]] = []
    if all(adapters):
        base = _as_trained(base, changed_names(folders[0]))
        read = [read_adapter(folder, base) for folder in folders]
        resized = [_fit_vocabulary(adapter, base, vocabulary) for adapter in read]
        draft = _from_adapters(read, base, out)
    elif any(adapters):
        raise MergeError(f"{folders[0]} and {folders[1]}: one is an adapter, the other not; train both in the same way")
    else:
        whole = Checkpoint(folders[0])
        other = Checkpoint(folders[1]) if opposite else _as_trained(base, whole)
        exact = opposite is None and stored == "float32"
        draft = _from_checkpoint(CheckpointDifference(other, whole), out, exact, stored)
    draft.write_record(out, base_record)
    return resized


def _as_trained(base: Checkpoint, wanted: Iterable[str]) -> Checkpoint:
    """The base under the names that its tensors had in training."""
    names = names_of_training(wanted, base)
    return as_named(base, names) if names else base


def build_domain_vector(
    tuned: Path,
    base: Checkpoint,
    out: Path,
    *,
    names: NameMap | None = None,
    base_record: Mapping[str, Any] | None = None,
) -> None:
    """Write the vector of a ready-made model of the same base into `out`, under the base's names.

    `names` says where the base's tensors stand in a larger model (a vision-language model); what else that holds is not
    part of the vector. Embeddings of unequal size are compared in the rows that both have, if these mean the same
    tokens. Raises MergeError.
    """
    part = whole = Checkpoint(tuned)
    if names is not None:
        where = {name: renamed(name, names) for name in base if not is_buffer(base[name])}
        if lost := [theirs for theirs in where.values() if theirs not in whole]:
            raise MergeError(
                quantised((whole,)) or f"{whole.path} has no tensor '{lost[0]}', which the map of names asks for"
            )
        part = CheckpointView(whole, where)
    difference, _ = compared(base, part, "refuse" if names is None else "common")
    _from_checkpoint(difference, out, exact=True).write_record(out, base_record)


def compared(
    base: Checkpoint, tuned: Checkpoint, vocabulary: Vocabulary
) -> tuple[CheckpointDifference, dict[str, int]]:
    """tuned - base, with a policy for the tables whose rows (the vocabulary) differ: these, and the rows that count."""
    rows = common_rows(base, {name: tuned[name].shape for name in base if name in tuned})
    if vocabulary == "refuse" or not rows:
        return CheckpointDifference(base, tuned), {}
    if vocabulary == "common":
        check_same_tokens([base.path, tuned.path], max(rows.values()))
    names = comparable_names(base, tuned, rows)
    if vocabulary == "common":
        return CheckpointDifference(base, tuned, names=names, rows=rows), rows
    return CheckpointDifference(base, tuned, names=[each for each in names if each not in rows]), dict.fromkeys(rows, 0)


def is_adapter(path: Path) -> bool:
    """Whether a folder holds an adapter, and no whole checkpoint."""
    return (path / ADAPTER_CONFIG).is_file()


def trained_folder(artifact: Path) -> Path:
    """The folder with the weights in the artifact of a training: an adapter's, or a whole model's."""
    return next(artifact / part for part in ("adapter", "model") if (artifact / part).is_dir())


def _from_adapters(adapters: Sequence[Adapter], base: Checkpoint, out: Path) -> _Draft:
    """Write the factors of an adapter (less a second one's), and full differences where it saved whole tensors."""
    import torch
    from safetensors.torch import save_file

    draft = _Draft("adapter")
    full = [_full_changes(adapter, base) for adapter in adapters]
    for name in dict.fromkeys(name for part in full for name in part):
        zero = torch.zeros(base[name].shape)  # a part without the tensor changes nothing
        first, *others = (part.get(name, zero) for part in full)
        draft.add_delta(name, first - others[0] if others else first)
    terms: dict[str, list[tuple[float, Factors]]] = {}
    for adapter, sign in zip(adapters, (1.0, -1.0), strict=False):
        for name, factors in adapter.factors.items():
            if name not in adapter.magnitudes:  # a weight-decomposed change is not linear in alpha
                _check_shape(name, factors.shape, base)
                terms.setdefault(name, []).append((sign, factors))
    for name, signed in terms.items():
        if name in draft.about:
            raise MergeError(
                f"'{name}' is low-rank in one adapter and saved whole in another; train both in the same way"
            )
        sign, factors = signed[0]
        if len(signed) > 1 or sign < 0:  # the ranks add up
            factors = Factors(*stacked(signed), 1.0, factors.transposed)
        draft.add_factors(name, factors, base[name].shape)
    save_file(draft.tensors, out / TENSORS)
    draft.elements = sum(base[name].elements for name in draft.about)
    draft.stored = sorted({dtype_name(tensor.dtype) for tensor in draft.tensors.values()})
    return draft


def _fit_vocabulary(adapter: Adapter, base: Checkpoint, vocabulary: Vocabulary) -> dict[str, int]:
    """Bring an adapter's embedding and head to the base's rows, where a training resized them: returns how many count.

    Its rows mean the base's tokens as far as both go: it grew from that base. A tokenizer beside it is compared.
    """
    import torch

    shapes = {name: tuple(value.shape) for name, value in adapter.values.items()}
    shapes |= {name: factors.shape for name, factors in adapter.factors.items()}
    for name, (rows, values) in adapter.rows.items():
        height, width = matrix_shape(base[name].shape)
        _check_shape(name, (height, *values.shape[1:]), base)
        shapes[name] = (max([height, *(row + 1 for row in rows)]), width)
    common = common_rows(base, shapes)
    if common and vocabulary == "refuse":
        first = next(iter(common))
        raise MergeError(unequal_shapes(first, base[first].shape, shapes[first], str(adapter.folder)))
    if resized := adapter.magnitudes.keys() & common.keys():
        raise MergeError(f"{adapter.folder}: DoRA on '{resized.pop()}', which was resized; {MERGE_FIRST}")
    if vocabulary == "base":
        common = dict.fromkeys(common, 0)
    if any(common.values()) and (adapter.folder / "tokenizer.json").is_file():
        check_same_tokens([base.path, adapter.folder], max(common.values()))
    for name, height in common.items():
        factors, value = adapter.factors.pop(name, None), adapter.values.pop(name, None)
        some = adapter.rows.pop(name, None) or (None if value is None else (list(range(len(value))), value))
        if height and factors is not None:
            below = (0, 0, 0, base[name].shape[0] - height)
            adapter.factors[name] = replace(factors, left=torch.nn.functional.pad(factors.left[:height], below))
        elif height and some is not None:
            rows, values = some
            kept = [place for place, row in enumerate(rows) if row < height]
            adapter.rows[name] = [rows[place] for place in kept], values[kept]
    return common


def _full_changes(adapter: Adapter, base: Checkpoint) -> dict[str, torch.Tensor]:
    """Differences of saved modules, rows, biases, convolutions and weight-decomposed matrices that are not zero."""
    import torch

    changes: dict[str, torch.Tensor] = {}
    for name, value in adapter.values.items():
        _check_shape(name, tuple(value.shape), base)
        changes[name] = value.float() - base.read(name).float()
    for name, (rows, values) in adapter.rows.items():
        changes[name] = torch.zeros(base[name].shape)
        changes[name][rows] = values.float() - base.read(name).float()[rows]
    for name, shift in adapter.shifts.items():
        _check_shape(name, tuple(shift.shape), base)
        changes[name] = changes[name] + shift if name in changes else shift
    changes = {name: delta for name, delta in changes.items() if delta.any()}
    if both := sorted(set(changes) & set(adapter.factors)):
        raise MergeError(f"{adapter.folder}: '{both[0]}' is both saved whole and low-rank; keep one of the two")
    return changes | {name: _dora_difference(adapter, name, base) for name in adapter.magnitudes}


def _dora_difference(adapter: Adapter, name: str, base: Checkpoint) -> torch.Tensor:
    """m * (W + s B A) / |W + s B A| - W (Liu et al. 2024, arXiv:2402.09353): right at alpha = 1.

    One length for each output: a row, or a column where the base keeps [inputs, outputs], and of an embedding.
    """
    import torch

    factors, magnitude, weight = adapter.factors.get(name), adapter.magnitudes[name].float(), base.read(name).float()
    if factors is not None:
        _check_shape(name, factors.shape, base)
        moved = weight + factors.rows(0, factors.shape[0]).reshape(weight.shape)
    else:
        moved = weight + adapter.shifts[name]
    dims = 0 if factors is not None and factors.transposed else tuple(range(1, moved.dim()))
    lengths: torch.Tensor = torch.linalg.vector_norm(moved, dim=dims, keepdim=True)
    if magnitude.numel() != lengths.numel():
        raise MergeError(f"{adapter.folder}: '{name}' has {magnitude.numel()} magnitudes and {lengths.numel()} outputs")
    return moved * (magnitude.reshape(lengths.shape) / lengths) - weight


def _check_shape(name: str, shape: tuple[int, ...], base: Checkpoint) -> None:
    if not base[name].is_float:
        raise MergeError(f"tensor '{name}' of {base.path} is {base[name].dtype}: quantised weights take no vector")
    if shape != base[name].shape:
        raise MergeError(
            f"tensor '{name}' has shape {list(base[name].shape)} in {base.path} and {list(shape)} in the adapter: "
            "it was trained on another base"
        )


def _from_checkpoint(difference: CheckpointDifference, out: Path, exact: bool, stored: Stored = "float32") -> _Draft:
    """Stream a difference to disk, tensor by tensor.

    `exact` keeps what float32(tuned - base) lost, so that base + vector is the tuned model bit for bit.
    """
    draft = _Draft("checkpoint", elements=difference.elements, stored=[stored])
    changed: dict[str, dict[str, torch.Tensor]] = {}
    slots = []
    for name in difference.names:
        shape, rest = difference.shape(name), _rest_of_tensor(difference, name) if exact else {}
        draft.rest += rest["rest"].numel() if rest else 0
        if any(bool(difference.piece(name, *rows).any()) for rows in pieces(shape)):
            changed[name] = rest
            slots.append(Slot(f"{name}:delta", shape, stored))
            slots += (Slot(f"{name}:{part}", tuple(t.shape), dtype_name(t.dtype)) for part, t in rest.items())
    with TensorFile(out / TENSORS, slots) as file:
        for name, rest in changed.items():
            _write_tensor(difference, name, stored, rest, file, draft)
    return draft


def _write_tensor(
    difference: CheckpointDifference,
    name: str,
    stored: Stored,
    rest: Mapping[str, torch.Tensor],
    file: TensorFile,
    draft: _Draft,
) -> None:
    import torch

    squares = 0.0
    for first, last in pieces(difference.shape(name)):
        piece = difference.piece(name, first, last)
        check_finite(piece, name)
        kept = piece.to(getattr(torch, stored))
        squares += float(kept.double().square().sum())
        draft.lost += float((kept.float() - piece).double().square().sum()) if stored != "float32" else 0.0
        draft.hash(name, kept)
        file.write(f"{name}:delta", kept, first)
    for part, tensor in rest.items():
        draft.hash(name, tensor)
        file.write(f"{name}:{part}", tensor)
    draft.note(name, difference.shape(name), sqrt(squares), form="full")


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


@dataclass
class _Draft:
    """A vector while it is written: tensors, what is known of each, and a running digest."""

    source: Literal["adapter", "checkpoint"]
    elements: int = 0
    stored: Sequence[str] = ()
    """Number formats of the tensors."""
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: float = 0.0
    """Squared norm of what the number format lost."""
    rest: int = 0
    """How many elements have a rest."""
    digest: blake2b = field(default_factory=lambda: blake2b(b"traitgraph vector 1", digest_size=16))

    def add_factors(self, name: str, factors: Factors, shape: tuple[int, ...]) -> None:
        """Keep a low-rank change in the adapter's own number format."""
        self.tensors[f"{name}:left"], self.tensors[f"{name}:right"] = factors.left, factors.right
        self.digest.update(repr(factors.scale).encode())
        for part in (factors.left, factors.right):
            self.hash(name, part)
        self.note(
            name,
            shape,
            factors.norm,
            form="low-rank",
            rank=factors.left.shape[1],
            scale=factors.scale,
            **({"transposed": True} if factors.transposed else {}),
        )

    def add_delta(self, name: str, delta: torch.Tensor) -> None:
        """Keep a full difference."""
        self.tensors[f"{name}:delta"] = delta
        self.hash(name, delta)
        self.note(name, tuple(delta.shape), float(delta.double().norm()), form="full")

    def hash(self, name: str, part: torch.Tensor) -> None:
        """Mix a part of the values into the fingerprint."""
        self.digest.update(f"{name}:{part.dtype}:{tuple(part.shape)}".encode())
        self.digest.update(octets(part))

    def note(self, name: str, shape: tuple[int, ...], norm: float, **more: Any) -> None:
        """Remember what the record says of a tensor. Raises MergeError when its norm is no number."""
        if norm != norm or norm == float("inf"):
            raise MergeError(f"the change of '{name}' holds NaN or infinity; its training diverged: train again")
        self.about[name] = {"shape": list(shape), "norm": norm, **more}

    def write_record(self, out: Path, base: Mapping[str, Any] | None) -> None:
        """Write what is known of the vector, and of the base."""
        squares = {name: about["norm"] ** 2 for name, about in self.about.items()}
        forms = {about["form"] for about in self.about.values()}
        whole = sum(squares.values())
        lost = sqrt(self.lost / whole) if whole else 0.0
        record = {
            "format": FORMAT,
            "fingerprint": self.digest.hexdigest(),
            "source": self.source,
            "form": forms.pop() if len(forms) == 1 else "mixed",
            "elements": self.elements,
            "norm": sqrt(whole),
            "layer_norms": layer_norms(squares),
            "stored": {"dtype": sorted(self.stored), "round_trip_error": lost, "elements_with_a_rest": self.rest},
            "tensors": self.about,
            "base": dict(base or {}),
        }
        write_json(out / RECORD, record)


def layer_norms(squares: Mapping[str, float]) -> dict[str, float]:
    """Norm by layer, from squared norms by tensor; tensors outside the layers count under 'rest'.

    Where a model has several towers (text, vision), each layer goes by its tower as well.
    """
    sums: dict[str, float] = {}
    place = places(squares)
    for name, square in squares.items():
        key = "rest" if (where := place(name)) is None else str(where)
        sums[key] = sums.get(key, 0.0) + square
    return {layer: sqrt(total) for layer, total in sums.items()}
