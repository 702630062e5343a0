"""Write a safetensors file tensor by tensor, in any order and in pieces, without holding it in memory.

The folder around it (`drafted`) has its name only when it is complete.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import TYPE_CHECKING, cast

from traitgraph.runtime.store.durable import sync

from .checkpoint import DTYPES, MergeError, matrix_shape, octets

if TYPE_CHECKING:
    import torch


_FORMAT_NAMES = {ours: theirs for theirs, ours in DTYPES.items()}


@dataclass(frozen=True)
class Slot:
    """A tensor to be written: name, shape, torch's name of the number format."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format itself."""
        import torch

        return cast("torch.dtype", getattr(torch, self.dtype))

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return prod(self.shape) * self.torch_dtype.itemsize


class TensorFile(AbstractContextManager["TensorFile"]):
    """A safetensors file of known layout whose bytes are given later; complete when `close` returns.

    Raises ValueError from `close` when bytes are missing: a file with holes must not look finished.
    """

    def __init__(self, path: Path, slots: Sequence[Slot]) -> None:
        self.path = path
        self._slots = {slot.name: slot for slot in slots}
        self._starts: dict[str, int] = {}
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for slot in slots:
            entries[slot.name] = {
                "dtype": _FORMAT_NAMES[slot.dtype],
                "shape": list(slot.shape),
                "data_offsets": [offset, offset + slot.nbytes],
            }
            self._starts[slot.name] = offset
            offset += slot.nbytes
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # the format wants the data aligned
        header = len(text).to_bytes(8, "little") + text
        self._starts = {name: start + len(header) for name, start in self._starts.items()}
        self._missing = len(header) + offset
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self.write_at(0, [memoryview(header)])

    def write(self, name: str, data: torch.Tensor, first_row: int = 0) -> None:
        """Put rows of a tensor (flat or in shape, in the slot's number format) at their place, from `first_row` on."""
        position, view = self.place(name, data, first_row)
        self.write_at(position, [view])

    def place(self, name: str, data: torch.Tensor, first_row: int) -> tuple[int, memoryview]:
        """Where rows of a tensor belong in the file, and their bytes. Raises for another format or too many rows."""
        slot = self._slots[name]
        width = matrix_shape(slot.shape)[1]
        if data.dtype is not slot.torch_dtype:
            raise TypeError(f"{name}: {data.dtype} given, {slot.dtype} declared")
        view, offset = octets(data.detach().cpu()), first_row * width * data.dtype.itemsize
        if len(view) > slot.nbytes - offset:
            raise ValueError(f"{name}: more rows than declared")
        return self._starts[name] + offset, view

    def write_at(self, position: int, views: list[memoryview]) -> None:
        """Write bytes that belong side by side; `views` is used up."""
        self._missing -= sum(map(len, views))
        while views:
            done = os.pwritev(self._handle, views, position)
            position += done
            while views and done >= len(views[0]):
                done -= len(views.pop(0))
            if done:
                views[0] = views[0][done:]

    def flush(self) -> None:
        """Bring what was written to the disk."""
        os.fsync(self._handle)

    def close(self) -> None:
        """Close the file; its content is then what was declared."""
        os.close(self._handle)
        if self._missing:
            raise ValueError(f"{self.path}: {self._missing} bytes were never written")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            os.close(self._handle)


@dataclass
class _Run:
    """Bytes that belong side by side, not yet written."""

    start: int
    views: list[memoryview] = field(default_factory=list)
    nbytes: int = 0


class BackgroundWriter(AbstractContextManager["BackgroundWriter"]):
    """Writes pieces in a thread of its own, so that the next ones are computed meanwhile.

    Pieces that follow each other are written by one call: a thread that woke for each would cost more than it saves.
    At most `runs` of them wait. What a write raises is raised by the next call, at the latest by `close`. Every `FLUSH`
    bytes go to the disk at once: the rest that is left to wait for at the end is then small.
    """

    RUN = 1 << 21
    MANY = 512  # a system call takes 1024 buffers
    FLUSH = 1 << 27

    def __init__(self, runs: int = 16) -> None:
        self._pool = ThreadPoolExecutor(1, "writer")
        self._room = BoundedSemaphore(runs)
        self._error: BaseException | None = None
        self._runs: dict[TensorFile, _Run] = {}
        self._unflushed: dict[TensorFile, int] = {}

    def write(self, file: TensorFile, name: str, data: torch.Tensor, first_row: int) -> None:
        """As `TensorFile.write`; `data` must not be changed afterwards."""
        if self._error is not None:
            raise self._error
        position, view = file.place(name, data, first_row)
        run = self._runs.setdefault(file, _Run(position))
        if position != run.start + run.nbytes:
            self._submit(file)
            run = self._runs.setdefault(file, _Run(position))
        run.views.append(view)
        run.nbytes += len(view)
        if run.nbytes >= self.RUN or len(run.views) >= self.MANY:
            self._submit(file)

    def _submit(self, file: TensorFile) -> None:
        self._room.acquire()
        self._pool.submit(self._write, file, self._runs.pop(file))

    def _write(self, file: TensorFile, run: _Run) -> None:
        try:
            if self._error is None:
                file.write_at(run.start, run.views)
                self._unflushed[file] = self._unflushed.get(file, 0) + run.nbytes
                if self._unflushed[file] >= self.FLUSH:
                    file.flush()
                    self._unflushed[file] = 0
        except BaseException as error:  # carried to the thread that asked for the write
            self._error = error
        finally:
            self._room.release()

    def close(self) -> None:
        """Wait for all writes. Raises what the first failing one raised."""
        for file in list(self._runs):
            self._submit(file)
        self._pool.shutdown(wait=True)
        if self._error is not None:
            raise self._error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._error = self._error or error
            self._pool.shutdown(wait=True)


def check_new(folder: Path) -> None:
    """Raise MergeError when there is something at `folder` that a result would overwrite."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MergeError(f"{folder} exists and is not empty; choose another folder or remove it")


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """A folder beside the final one, for the block to fill; renamed to it at the end, removed when the block raises.

    A link is followed: it stays, and what it names becomes the folder.
    """
    folder = folder.resolve()
    check_new(folder)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir(parents=True)
    try:
        yield draft
        for path in (*draft.iterdir(), draft):
            sync(path)
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
