"""Read tensors of a safetensors checkpoint (one file or shards) in pieces, so that memory is bounded by a piece.

Files are read, not mapped: the pages of a map count as the process's memory and are dropped late.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from traitgraph.specs.folders.model_folder import PLAIN, ModelFolderError, quantised_by, read_json, weight_files

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
    "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip
"""Names of the safetensors format -> names in torch."""
HEADS = ("lm_head.weight", "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
"""Ends of the names of output heads and of the tables that may be tied to them."""
FLOATS = ("float64", "float32", "float16", "bfloat16")
_BUFFERS = re.compile(r"(inv_freq|\.(cos|sin)_cached|\.masked_bias|(^|\.)position_ids)$")
_MAX_HEADER = 100_000_000


class MergeError(ValueError):
    """Inputs that cannot be merged as asked: names the tensor or file, what is wrong with it, and what to do."""


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies and what it is; `dtype` is torch's name of it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    file: Path
    start: int
    nbytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether differences of it have a meaning (float8 needs its scales, integers may be packed blocks)."""
        return self.dtype in FLOATS


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of a tensor seen as a matrix: the last axis is a row; a vector is one row, a number is 1 x 1."""
    if not shape:
        return 1, 1
    return prod(shape[:-1]), shape[-1]


def dtype_name(dtype: torch.dtype | str) -> str:
    """Torch's name of a number format, without the module's: 'bfloat16'."""
    return str(dtype).removeprefix("torch.")


def octets(tensor: torch.Tensor) -> memoryview:
    """The bytes of a tensor on the processor, in order; writing to them changes a contiguous tensor."""
    import torch

    return memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]  # it is a buffer


@contextmanager
def as_merge_error() -> Iterator[None]:
    """Raise MergeError where the block finds that a folder is not what it is taken for."""
    try:
        yield
    except ModelFolderError as fault:
        raise MergeError(str(fault)) from fault


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises MergeError when it cannot be read."""
    with as_merge_error():
        return read_json(path)


def check_format(record: Mapping[str, Any], wanted: int, path: Path) -> None:
    """Raise MergeError unless a record of the store has the format that this program reads and writes."""
    if (found := record.get("format")) != wanted:
        raise MergeError(
            f"{path}: format {found}, and this traitgraph reads format {wanted}: another version wrote it; remove the "
            f"folder {path.parent} and run the study again"
        )


class Checkpoint(Mapping[str, TensorInfo]):
    """The tensors of a folder or file by name, in the order of the files; nothing is read before `read` is called.

    Raises MergeError for a folder without safetensors, a shard that is missing, an index that names a tensor no shard
    holds, and a file that ends early or is no safetensors file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path = Path(path)
        with as_merge_error():
            self.files, indexed = ((path,), ()) if path.is_file() else weight_files(path)
        self._infos: dict[str, TensorInfo] = {}
        self._open_nothing()
        for file in self.files:
            for info in read_header(file):
                if info.name in self._infos:
                    raise MergeError(f"{path}: tensor '{info.name}' stands in two shards; write the checkpoint again")
                self._infos[info.name] = info
        if lost := [name for name in indexed if name not in self._infos]:
            raise MergeError(f"{path}: its index names tensors that no shard holds: {', '.join(lost[:5])}")
        self._one_table()

    def _one_table(self) -> None:
        """Leave one table where transformers ties the output head to the embeddings, whichever of the two is stored.

        As it does: a stored head of the same numbers is a copy, one of other numbers is a head of its own.
        """
        heads, tables = ([name for name in self if name.endswith(ends)] for ends in (HEADS, EMBEDDINGS))
        if not self.path.is_dir() or len(heads) != 1 or len(tables) > 1:
            return
        if tables and not self._are_equal(heads[0], tables[0]):
            return
        told = tables[0] if tables and self.config.get("tie_word_embeddings") is True else ""
        if tied := tied_table(self.path, heads[0]) or told:
            head = self._infos.pop(heads[0])
            self._infos.setdefault(*((tables[0], head) if tables else (tied, replace(head, name=tied))))

    def _are_equal(self, left: str, right: str) -> bool:
        """Whether two tensors hold the same; of unequal ones a few rows are read."""
        one, two = self[left], self[right]
        if (one.shape, one.dtype) != (two.shape, two.dtype):
            return False
        rows = [(row, row + 1) for row in sampled_rows(one.shape)]
        rows += [(row, min(row + 1024, one.shape[0])) for row in range(0, one.shape[0], 1024)]
        return all(octets(self.read(left, each)) == octets(self.read(right, each)) for each in rows)

    def _open_nothing(self) -> None:
        self._handles: dict[Path, int] = {}
        self._last_floats: tuple[tuple[str, int, int, torch.device | None], torch.Tensor] | None = None
        self._raw: torch.Tensor | None = None
        finalize(self, _close, self._handles)  # not __del__: at the end of the process `os` may be gone before it

    def __getitem__(self, name: str) -> TensorInfo:
        return self._infos[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(info.nbytes for info in self._infos.values())

    @cached_property
    def config(self) -> dict[str, Any]:
        """The folder's config.json, empty where there is none. Raises MergeError when it cannot be read."""
        path = self.path / "config.json"
        return read_object(path) if path.is_file() else {}

    def read(self, name: str, rows: tuple[int, int] | None = None) -> torch.Tensor:
        """Rows [first, last) of a tensor seen as a matrix, flat, or the whole tensor in its shape; in its own dtype.

        The memory is the caller's.
        """
        import torch

        info = self._infos[name]
        dtype = getattr(torch, info.dtype)
        height, width = matrix_shape(info.shape)
        first, last = rows or (0, height)
        flat = torch.empty((last - first) * width, dtype=dtype)
        self._fill(info, first * width * dtype.itemsize, flat)
        return flat if rows else flat.reshape(info.shape)

    def rows_in(self, dtype: str) -> Callable[[str, int, int], torch.Tensor]:
        """What gives rows [first, last) of a tensor as a model has them that is loaded in `dtype`: float32, flat."""
        import torch

        return lambda name, first, last: self.read(name, (first, last)).to(getattr(torch, dtype)).float()

    def floats(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last), flat, in float32 on a device; not to be changed: the next caller gets the same."""
        key = (name, first, last, device)
        if self._last_floats is None or self._last_floats[0] != key:
            self._last_floats = key, self.read_floats(name, first, last, device)
        return self._last_floats[1]

    def read_floats(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last), flat, in float32 on a device; the memory is the caller's."""
        import torch

        info = self._infos[name]
        if info.dtype == "float32":
            return self.read(name, (first, last)).to(device)
        dtype, size = getattr(torch, info.dtype), (last - first) * matrix_shape(info.shape)[1]
        if self._raw is None or self._raw.dtype is not dtype or self._raw.numel() < size:
            self._raw = torch.empty(size, dtype=dtype)
        raw = self._raw[:size]
        self._fill(info, first * matrix_shape(info.shape)[1] * dtype.itemsize, raw)
        return raw.to(device).float()

    def _fill(self, info: TensorInfo, offset: int, flat: torch.Tensor) -> None:
        view, position = octets(flat), info.start + offset
        if info.file not in self._handles:
            self._handles[info.file] = os.open(info.file, os.O_RDONLY)
        while view:
            got = os.preadv(self._handles[info.file], [view], position)
            if not got:
                raise MergeError(f"{info.file}: ends inside tensor '{info.name}'; copy or download the file again")
            view, position = view[got:], position + got


def _close(handles: dict[Path, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])


def skeleton(folder: Path) -> PreTrainedModel | None:
    """The model of a folder without its weights: what transformers makes of the names. None where it knows no class."""
    import torch
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind = getattr(transformers, (config.architectures or [""])[0], None)
        with torch.device("meta"):
            return kind(config) if kind else transformers.AutoModelForCausalLM.from_config(config)
    except Exception:  # a configuration may ask for anything: then the names alone must tell
        return None


def tied_table(folder: Path, head: str) -> str:
    """Name of the embeddings that a folder's configuration ties to an output head, empty where it ties none."""
    if (model := skeleton(folder)) is None:
        return ""
    end = ".".join(head.split(".")[-2:])  # a larger model may have it under another module
    return next((table for name, table in model.all_tied_weights_keys.items() if name.endswith(end)), "")


def unread(folder: Path, infos: Iterable[TensorInfo]) -> set[str]:
    """Of some tensors those that are no weights: buffers that transformers computes itself and never loads."""
    known = {info.name: is_buffer(info) for info in infos}
    found = {name for name, is_known in known.items() if is_known}
    if len(found) < len(known) and (model := skeleton(folder)) is not None:
        buffers = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
        passed = model._keys_to_ignore_on_load_unexpected or ()
        found |= {name for name in known if name in buffers or any(re.search(each, name) for each in passed)}
    return found


def is_buffer(info: TensorInfo) -> bool:
    """Whether a tensor is a buffer by its name: frequencies of rotary embeddings, causal masks, positions."""
    mask = info.name.endswith(("attn.bias", "attention.bias")) and len(info.shape) == 4
    return mask or bool(_BUFFERS.search(info.name))


def sampled_fingerprint(checkpoint: Checkpoint) -> str:
    """32 hex digits of names, shapes, formats and a few rows of each tensor: cheap, and tells models apart."""
    state = blake2b(b"traitgraph checkpoint 1", digest_size=16)
    for name in sorted(checkpoint):
        info = checkpoint[name]
        state.update(f"{name}:{info.shape}:{info.dtype}".encode())
        for row in sampled_rows(info.shape):
            state.update(octets(checkpoint.read(name, (row, row + 1))[:64]))
    return state.hexdigest()


def sampled_rows(shape: tuple[int, ...]) -> list[int]:
    """Up to four rows of a tensor, evenly spread."""
    height = matrix_shape(shape)[0]
    return sorted({index * height // 4 for index in range(4)} if height else ())


def quantised(sides: Iterable[object]) -> str | None:
    """Why no difference is taken: the first of these that is a quantised checkpoint."""
    for side in sides:
        if isinstance(side, Checkpoint) and (method := quantised_by(side.config)):
            return (
                f"{side.path} is quantised by {method} (quantization_config in its config.json): quantised "
                f"weights have no differences; {PLAIN}"
            )
    return None


class CheckpointView(Checkpoint):
    """A checkpoint under other names: what it holds of one model inside a larger one. Shares the files of `whole`."""

    def __init__(self, whole: Checkpoint, names: Mapping[str, str]) -> None:
        """`names` maps the names here to the names in `whole`."""
        self.path, self.files = whole.path, whole.files
        self._infos = {ours: replace(whole[theirs], name=ours) for ours, theirs in names.items()}
        self._open_nothing()


def read_header(file: Path) -> list[TensorInfo]:
    """What a safetensors file holds, in the order of the data. Raises MergeError when it is not one."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise MergeError(f"{file}: not a safetensors file, or cut off; copy or download it again")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        infos = [_info(file, name, entry, 8 + length, size) for name, entry in header.items()]
    except MergeError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise MergeError(f"{file}: its header cannot be read; copy or download the file again") from problem
    return sorted(infos, key=lambda info: info.start)


def _info(file: Path, name: str, entry: dict[str, Any], data: int, size: int) -> TensorInfo:
    dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in DTYPES:
        raise MergeError(f"{file}: tensor '{name}' has the unknown number format {dtype}; convert it to BF16 or F32")
    if data + end > size:
        raise MergeError(f"{file}: ends before tensor '{name}'; copy or download the file again")
    bits = int((re.search(r"\d+", dtype) or ["8"])[0])
    if begin < 0 or 8 * (end - begin) != bits * prod(shape):
        raise ValueError(f"{name}: {end - begin} bytes for {shape} of {dtype}")
    return TensorInfo(name, tuple(shape), DTYPES[dtype], file, data + begin, end - begin)
