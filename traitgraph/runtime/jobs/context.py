"""What a job function is given: its row, verified inputs, an empty folder for its artifact, a cache of loaded models.

Knows no store, no launcher and no study; a job function that needs more than this needs too much.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.study.vocabulary import BIG_FIVE

Value = TypeVar("Value")


class Progress(Protocol):
    """How a job says how far it is: `context.progress(3, 12, "steps")`. Cheap to call often."""

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """Note that `done` of `total` steps are behind us; `what` names the steps."""
        ...


def silent_progress(done: int, total: int, what: str = "") -> None:
    """Tell nobody: for tests and for calls of a job function outside a worker."""


class Stopped(KeyboardInterrupt):
    """The process ends before its work is done, because it was asked to.

    A job function raises it after saving its state when `context.stop_wanted()` is true. Libraries that catch every
    Exception let a KeyboardInterrupt through.
    """


def never() -> bool:
    """Nobody asks this process to stop."""
    return False


class Session:
    """A cache of what is costly to load, kept from job to job of one process and released at the end.

    The worker clears it after a failed job: a model that an error left half changed must not serve the next job.

    >>> with Session() as session:
    ...     session.get("answer", lambda: 42), session.get("answer", lambda: 43)
    (42, 42)
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, object] = {}

    def get(self, key: Hashable, factory: Callable[[], Value]) -> Value:
        """The value kept under `key`, made by `factory` when there is none."""
        if key not in self._values:
            self._values[key] = factory()
        return cast("Value", self._values[key])

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def drop(self, key: Hashable) -> None:
        """Forget one value, closing it when it has a `close` method; an unknown key is ignored."""
        _close(self._values.pop(key, None))

    def clear(self) -> None:
        """Forget all values, newest first, and give accelerator memory back."""
        while self._values:
            _close(self._values.popitem()[1])
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()


def _close(value: object) -> None:
    close = getattr(value, "close", None)
    if callable(close):
        close()


@dataclass
class JobContext:
    """Everything that one job may touch."""

    row: JobRow
    inputs: Mapping[str, tuple[Path, ...]]
    """Input name -> verified artifact folders, in the order of the row. Read only."""
    out: Path
    """Empty folder; what stands in it when the function returns becomes the artifact."""
    locations: Mapping[str, str]
    """Digest of a file or folder -> path on this machine."""
    session: Session = field(default_factory=Session)
    progress: Progress = silent_progress
    stop_wanted: Callable[[], bool] = never
    """Whether the time is nearly up: a long job that can go on later saves what it has and raises `Stopped`."""
    partial: Path | None = None
    """Folder of this job that outlives the process, for checkpoints; goes when the job is done."""
    traits: Collection[str] = BIG_FIVE.whole_traits
    """Traits that rows of data may name."""


def without_torch(function: Callable[..., None]) -> Callable[..., None]:
    """Mark a job function that never uses torch, so that the worker need not import it to seed it."""
    function.without_torch = True  # type: ignore[attr-defined]  # read by the worker
    return function
