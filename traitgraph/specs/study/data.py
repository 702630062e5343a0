"""Dialogue data that are there: a preset, a JSONL file, a data set of the hub. `generation.py` adds those to be made.

A row has a prompt and a reply, the trait and level of the reply, a split (train or test), and a `pair` that joins the
high and the low reply to one prompt; `fields` says how a file calls them.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from traitgraph.specs.fields.pydantic_errors import existing
from traitgraph.specs.fields.references import Local, Named, Reference
from traitgraph.specs.source.library import HUB_ID

Fields = dict[Literal["prompt", "reply", "trait", "level", "split", "pair"], str]


class DataSpec(Named):
    """What all dialogue data have."""

    fields: Fields = Field({}, description="Our field (prompt, reply, trait, level, split, pair): the file's field.")


class FileDataSpec(DataSpec, Local):
    """A JSONL file: one row a line, UTF-8."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl",)
    path: str = Field(min_length=1, description="The .jsonl file; relative paths start at the spec's folder.")

    def settled(self, folder: Path, name: str) -> Self:
        """Itself with a name and the absolute path of a file that exists."""
        existing(self.path, folder, "path", ".jsonl")
        return super().settled(folder, name)


class HubDataSpec(DataSpec):
    """A data set of the hub."""

    key: ClassVar[str] = "id"
    id: str = Field(pattern=HUB_ID, description="Owner and name on the hub: `owner/name`.")
    revision: str = Field("main", min_length=1, description="Commit, tag or branch; only a commit pins the rows.")
    config: str | None = Field(None, description="Configuration of the data set.")
    split: str = Field("train", min_length=1, description="Split that is read.")


DATA_FORMS = (FileDataSpec, HubDataSpec)

Rows = Annotated[DataSpec, Reference("data set", "data", *DATA_FORMS)]
"""Data that are there: a name, or a mapping with `path` or `id`."""
