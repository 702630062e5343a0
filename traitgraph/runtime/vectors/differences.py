"""Differences tuned - base by tensor name, read in pieces: of tensors in memory, of checkpoints, as low-rank factors.

Everything is float32. A piece is a run of whole rows of a tensor seen as a matrix, flat.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from math import sqrt
from typing import TYPE_CHECKING

from traitgraph.runtime.tensors.checkpoint import (
    FLOATS,
    Checkpoint,
    MergeError,
    TensorInfo,
    dtype_name,
    is_buffer,
    matrix_shape,
    octets,
    quantised,
    sampled_rows,
    unread,
)

from .adapters import Factors
from .layers import layer_of

if TYPE_CHECKING:
    import torch


_OF_TOKENS = re.compile(
    r"(^|\.)(embed_tokens(_per_layer)?|(word|tok|input)?_?embed(ding)?s?|tokens_embed|embed_in|wte|shared"
    r"|(generator_)?lm_head|head|embed_out|output(_layer|_projection)?|proj_out|predictions\.decoder)\.weight$"
)
"""Names of the tables whose rows are tokens, in and out, over all architectures; positions and types are none."""

PIECE = 1 << 17
"""Elements of a piece on a processor: ten float32 pieces of this size fit into a second-level cache."""
PIECE_ON_ACCELERATOR = 1 << 25


class Difference(ABC):
    """phi = tuned - base: named tensors that are computed when asked for.

    Most have no low-rank form, and no rest: base + difference is all there is.
    """

    names: Sequence[str]
    """Tensors that it changes."""
    elements: int
    """Size n of the vector: the elements that a whole-model trim counts, changed or not."""

    @cached_property
    def id(self) -> str:
        """Identity of the values: keys the random masks, so it does not depend on where they are stored.

        32 hex digits of names, shapes and sampled float32 values, equal in memory and on disk. Four rows of each
        tensor, 64 values of each: enough to tell two trainings apart, cheap enough to take always.
        """
        state = blake2b(b"traitgraph difference 1", digest_size=16)
        for name in sorted(self.names):
            state.update(f"{name}:{self.shape(name)}".encode())
            for row in sampled_rows(self.shape(name)):
                state.update(octets(self.piece(name, row, row + 1)[:64].cpu()))
        return state.hexdigest()

    @cached_property
    def history(self) -> str:
        """Identity of the values with what was taken out of them since."""
        return self.id

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that it changes."""

    @abstractmethod
    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last) of the difference: float32 [(last - first) * columns], the caller's to change."""

    def rest(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor | None:
        """tuned - (base + difference) in float32 for the same rows, or None where it is zero: makes alpha = 1 exact."""
        return None

    def factors(self, name: str, device: torch.device | None = None) -> Factors | None:
        """Low-rank form of a tensor's difference on a device, or None when it has none."""
        return None


def pieces(shape: tuple[int, ...], elements: int = PIECE) -> Iterator[tuple[int, int]]:
    """Row ranges [first, last) that cover a tensor in runs of about `elements` elements, at least one row each.

    Depends on the shape alone, so that the same merge is computed in the same pieces everywhere.
    """
    height, width = matrix_shape(shape)
    step = max(1, elements // max(width, 1))
    for first in range(0, height, step):
        yield first, min(first + step, height)


def piece_size(device: torch.device | None) -> int:
    """Elements of a piece that suit a device."""
    return PIECE if device is None or device.type == "cpu" else PIECE_ON_ACCELERATOR


def rest_of(tuned: torch.Tensor, base: torch.Tensor) -> torch.Tensor | None:
    """What base + (tuned - base) lacks of tuned in float32: added last, it gives tuned bit for bit. None for nothing.

    tuned - base loses bits where the two are far apart; base + (tuned - base) is then an ulp off.
    """
    import torch

    reached = (tuned - base).add_(base)
    return None if torch.equal(reached, tuned) else torch.sub(tuned, reached, out=reached)


class TensorDifference(Difference):
    """tuned - base of two mappings name -> tensor in memory; without a base the tensors are the difference."""

    def __init__(
        self, tuned: Mapping[str, torch.Tensor], identity: str = "", base: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        self._base, self._tuned = base, tuned
        if identity:
            self.id = identity
        self.names = tuple(name for name in tuned if is_float(tuned[name]))
        self.elements = sum(tuned[name].numel() for name in self.names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self._tuned[name].shape)

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """float32(tuned) - float32(base) for rows [first, last)."""
        tuned = rows_of(self._tuned[name], first, last, device)
        return tuned.clone() if self._base is None else tuned - rows_of(self._base[name], first, last, device)

    def rest(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor | None:
        """What the float32 difference lost."""
        if self._base is None:
            return None
        return rest_of(*(rows_of(each[name], first, last, device) for each in (self._tuned, self._base)))


class CheckpointDifference(Difference):
    """The difference of two checkpoints on disk, computed as it is read.

    `base` may be shared by several differences and with the writer: each of its pieces is then read once. `rows` names
    tensors of which only the first rows are compared, because the vocabularies differ.
    """

    def __init__(
        self,
        base: Checkpoint,
        tuned: Checkpoint,
        identity: str = "",
        names: Sequence[str] | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        self._base, self._tuned, self._rows = base, tuned, rows or {}
        if identity:
            self.id = identity
        self.names = tuple(names if names is not None else comparable_names(base, tuned))
        self.elements = sum(base[name].elements for name in self.names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._base[name].shape

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """float32(tuned) - float32(base) for rows [first, last)."""
        base = self._base.floats(name, first, last, device)
        end = min(last, max(first, self._rows.get(name, last)))
        if end == last:
            return self._tuned.read_floats(name, first, last, device).sub_(base)
        difference = base.new_zeros(base.shape)
        if end > first:
            width = matrix_shape(self.shape(name))[1]
            count = (end - first) * width
            difference[:count] = self._tuned.floats(name, first, end, device) - base[:count]
        return difference

    def rest(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor | None:
        """What the float32 difference lost."""
        if name in self._rows:
            return None
        tuned, base = self._tuned.floats(name, first, last, device), self._base.floats(name, first, last, device)
        return rest_of(tuned, base)


def is_float(tensor: torch.Tensor) -> bool:
    """Whether differences of a tensor have a meaning: float8 needs its scales, integers may be packed blocks."""
    return dtype_name(tensor.dtype) in FLOATS


def have_equal_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors of one shape have one format and the same bits; torch compares no float8 itself."""
    import torch

    if left.dtype is not right.dtype:
        return False
    flat = (each.detach().contiguous().reshape(-1).view(torch.uint8) for each in (left, right.to(left.device)))
    return torch.equal(*flat)


def rows_of(tensor: torch.Tensor, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
    """Rows [first, last) of a tensor seen as a matrix: float32, flat. A view where nothing has to be converted."""
    width = matrix_shape(tuple(tensor.shape))[1]
    return tensor.detach().contiguous().reshape(-1)[first * width : last * width].to(device).float()


def weighted_sum(
    terms: Sequence[tuple[Difference, float]], name: str, first: int, last: int, device: torch.device | None = None
) -> torch.Tensor:
    """Rows [first, last) of sum_k weight_k * difference_k, added in the order given: float32, flat.

    Low-rank terms are multiplied straight into the sum. Raises IndexError without terms.
    """
    total: torch.Tensor | None = None
    for difference, weight in terms:
        factors = difference.factors(name, device)
        if factors is None:
            term = difference.piece(name, first, last, device)
            term = term if weight == 1.0 else term.mul_(weight)
            total = term if total is None else total.add_(term)
        elif total is None:
            total = factors.rows(first, last, weight)
        else:
            total.view(last - first, -1).addmm_(factors.scaled_left(first, last, weight), factors.right.float())
    if total is None:
        raise IndexError(f"{name}: a sum without terms")
    return total


def comparable_names(base: Checkpoint, tuned: Checkpoint, rows: Collection[str] = ()) -> list[str]:
    """Float tensors whose difference has a meaning, in the base's order; those in `rows` may differ in their rows.

    Buffers have none: they stay as in the base, whichever side stores them. Raises MergeError for tensors that only one
    side has, other shapes, float8, unequal integers, and quantised checkpoints.
    """
    if reason := quantised((base, tuned)):  # where all integers are equal, scales alone would be subtracted
        raise MergeError(reason)
    only_base = [name for name in base if name not in tuned]
    only_tuned = [name for name in tuned if name not in base]
    if only_base or only_tuned:
        idle = unread(base.path, (*(base[name] for name in only_base), *(tuned[name] for name in only_tuned)))
        only_base, only_tuned = ([name for name in names if name not in idle] for names in (only_base, only_tuned))
    if only_base or only_tuned:
        raise MergeError(_unmatched(base, tuned, only_base, only_tuned))
    shared = [name for name in base if name in tuned and not is_buffer(base[name])]
    for name in shared:
        if name not in rows:
            check_pair(base[name], tuned[name], tuned)
        info = base[name]
        if info.is_float or (info.dtype == tuned[name].dtype and have_equal_bits(base.read(name), tuned.read(name))):
            continue
        raise MergeError(
            f"tensor '{name}' is {info.dtype} and differs between {base.path} and {tuned.path}: numbers of this format "
            "are not subtracted; dequantise the model, or exclude the tensor"
        )
    return [name for name in shared if base[name].is_float]


def _unmatched(base: Checkpoint, tuned: Checkpoint, only_base: list[str], only_tuned: list[str]) -> str:
    if only_tuned == ["lm_head.weight"] or only_base == ["lm_head.weight"]:
        tied, untied = (base, tuned) if only_tuned else (tuned, base)
        return (
            f"'lm_head.weight' stands in {untied.path} and not in {tied.path}: one has tied embeddings, the other not; "
            "save both with the same tie_word_embeddings"
        )
    sides = [(base.path, only_base), (tuned.path, only_tuned)]
    found = [f"{len(names)} only in {path} (first '{names[0]}')" for path, names in sides if names]
    repair = "give a name map, or the base it was tuned from"
    if all(any(".experts." in name for name in names) for names in (only_base, only_tuned)):
        repair = "one has each expert by itself: load and save it by transformers, with save_original_format=False"
    return f"the checkpoints hold different tensors: {', '.join(found)}; {repair}"


def differ_in_vocabulary(name: str, ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    """Whether two shapes of a tensor are those of token embeddings (or heads) of unequal vocabularies."""
    is_table = bool(_OF_TOKENS.search(name)) and layer_of(name) is None and len(ours) == len(theirs) == 2
    return is_table and ours[1] == theirs[1] and ours[0] != theirs[0]


def common_rows(base: Mapping[str, TensorInfo], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The tables of `shapes` that are of another vocabulary than the base's -> the rows that both have."""
    return {
        name: min(base[name].shape[0], shape[0])
        for name, shape in shapes.items()
        if differ_in_vocabulary(name, base[name].shape, shape)
    }


def unequal_shapes(name: str, base: tuple[int, ...], other: tuple[int, ...], where: str) -> str:
    """What is told of a tensor that has one shape in the base and another one in `where`."""
    if differ_in_vocabulary(name, base, other):
        hint = (
            "the vocabularies differ; set vocabulary: common (change the rows that both have) or vocabulary: base "
            "(leave this tensor as in the base)"
        )
    else:
        hint = "it belongs to another base; give the one that it was tuned from"
    return f"tensor '{name}' has shape {list(base)} in the base and {list(other)} in {where}: {hint}"


def check_pair(base: TensorInfo, tuned: TensorInfo, source: Checkpoint) -> None:
    """Raise MergeError unless a tensor has one shape on both sides and is no quantised block on one of them."""
    if base.shape != tuned.shape:
        raise MergeError(unequal_shapes(base.name, base.shape, tuned.shape, str(source.path)))
    if base.is_float != tuned.is_float:
        raise MergeError(
            f"tensor '{base.name}' is {base.dtype} in the base and {tuned.dtype} in {source.path}: a quantised "
            "checkpoint has no differences; give the model in float32, bfloat16 or float16"
        )


# ---------------------------------------------------------------- inner products, without forming low-rank ones

Gram = list[list[float]]


def inner_product(left: Difference, right: Difference) -> float:
    """sum_i left_i right_i in float64. Low-rank tensors cost rank^2 times their sides, others one pass."""
    return sum(inner_of_tensor(left, right, name) for name in left.names if name in right.names)


def inner_of_tensor(left: Difference, right: Difference, name: str) -> float:
    """The part of one tensor in the inner product."""
    ours, theirs = left.factors(name), right.factors(name)
    if ours is not None and theirs is not None:
        # <s L R, t M S> = s t sum((L^T M) * (R S^T))
        lefts = ours.left.double().T @ theirs.left.double()
        rights = ours.right.double() @ theirs.right.double().T
        return ours.scale * theirs.scale * float((lefts * rights).sum())
    return sum(
        float(left.piece(name, *rows).double() @ right.piece(name, *rows).double()) for rows in pieces(left.shape(name))
    )


def norm_of_sum(table: Gram, weights: Sequence[float]) -> float:
    """|sum_k w_k phi_k| from the inner products."""
    size = range(len(weights))
    return sqrt(max(0.0, sum(weights[i] * weights[j] * table[i][j] for i in size for j in size)))


def cosines(table: Gram) -> Gram:
    """Cosine of the angle between each pair; 0 with a vector that is zero."""
    norms = [sqrt(max(table[i][i], 0.0)) for i in range(len(table))]
    return [
        [table[i][j] / (norms[i] * norms[j]) if norms[i] and norms[j] else 0.0 for j in range(len(table))]
        for i in range(len(table))
    ]
