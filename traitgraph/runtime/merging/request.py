"""A merge that was asked for by a file: sources, coefficients, options, before any tensor is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from traitgraph.specs.merge_methods import MergeMethod

from .bases import hub_folder
from .errors import MergeError
from .fitting import NameMap, Vocabulary
from .layers import Weight


@dataclass(frozen=True)
class Source:
    """One vector: where it comes from and how much of it is taken."""

    kind: Literal["model", "adapter", "vector"]
    where: str
    weight: Weight
    density: float | None = None
    of: str | None = None
    """What a model was tuned from, when that is not the base of the merge."""


@dataclass(frozen=True)
class Request:
    """Everything that one merge is; `folder` is what relative paths start from."""

    base: str
    sources: tuple[Source, ...]
    options: MergeMethod
    folder: Path
    names: NameMap | None = None
    vocabulary: Vocabulary = "refuse"
    dtype: str | None = None
    form: Literal["weights", "adapter"] = "weights"
    rank: int | None = None
    notes: tuple[str, ...] = field(default=())
    """What the reader of the file should know of how it was understood."""

    def locate(self, where: str) -> Path:
        """Folder of a checkpoint or adapter: a path, else a hub id `owner/name` or `owner/name@revision`.

        Raises MergeError when it is neither.
        """
        path = Path(where).expanduser()
        local = path if path.is_absolute() else self.folder / path
        if local.exists():
            return local
        name, _, revision = where.partition("@")
        if name.count("/") != 1 or where.startswith((".", "/", "~")):
            raise MergeError(f"there is no file or folder '{where}' (looked in {self.folder}), and it is no hub id")
        return hub_folder(name, revision or "main")
