"""A merge as a file asks for it, and where its models lie: a folder, a GGUF file, a hub id, or a preset of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from traitgraph.runtime.jobs.locations import PACKAGE_PREFIX, ChangedFileError, hub_folder, verified
from traitgraph.runtime.models.loading import convert
from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.runtime.vectors.fitting import NameMap, Vocabulary
from traitgraph.runtime.vectors.layers import Weight
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.context import ReadContext
from traitgraph.specs.fields.pydantic_errors import diagnose, validated
from traitgraph.specs.source.diagnostics import SpecError, near_hint
from traitgraph.specs.source.library import beside, exists, from_folder
from traitgraph.specs.source.positions import Document
from traitgraph.specs.source.yaml import to_plain
from traitgraph.specs.study.merge_methods import MergeMethod
from traitgraph.specs.study.models import HubModelSpec, LocalModelSpec, Model, ModelSpec, PackagedModelSpec

Form = TypeVar("Form", bound=Spec)
SourceKind = Literal["model", "adapter", "vector"]


@dataclass(frozen=True)
class Source:
    """One vector: where it comes from and how much of it is taken."""

    kind: SourceKind
    where: str
    weight: Weight
    density: Weight | None = None
    of: str | None = None
    """What a model was tuned from, when that is not the base of the merge."""


@dataclass(frozen=True)
class Request:
    """Everything that one merge is; models go by the names that `NamedModels` finds."""

    base: str
    sources: tuple[Source, ...]
    options: MergeMethod
    names: NameMap | None = None
    vocabulary: Vocabulary = "refuse"
    dtype: str | None = None
    form: Literal["weights", "adapter"] = "weights"
    rank: int | None = None
    notes: tuple[str, ...] = field(default=())
    """What the reader of the file should know of how it was understood."""


def read_as(form: type[Form], document: Document) -> Form:
    """A document in the form of a file. Raises SpecError with every fault of it."""
    data = to_plain(document.data)
    assert isinstance(data, dict), "a document is a mapping"
    try:
        return validated(form, data)
    except ValidationError as problems:
        raise SpecError(diagnose(problems, data, document)) from problems


class NamedModels:
    """Folders of the models of one recipe. GGUF files are converted into `scratch`, once each."""

    def __init__(self, recipe: Path, scratch: Path) -> None:
        self.recipe, self.scratch = recipe, scratch

    @cached_property
    def _context(self) -> ReadContext:
        return ReadContext(self.recipe.absolute())

    def plain(self, name: str) -> str:
        """The hub id that a preset stands for, owner/name@revision; any other name as it is."""
        preset = None if self.local(name) else self._preset(name)
        if not isinstance(preset, HubModelSpec):
            return name
        return preset.id if preset.revision == "main" else f"{preset.id}@{preset.revision}"

    def folder(self, name: str) -> Path:
        """Folder of a checkpoint or adapter: a path, a preset, else a hub id `owner/name` or `owner/name@revision`.

        Raises MergeError when it is none of these (`repair` says so), SpecError with what is wrong in a preset.
        """
        if (path := self.local(name)) is not None:
            return self._checkpoint(path)
        match self._preset(name):
            case LocalModelSpec() as local:
                return self._checkpoint(Path(local.path))
            case PackagedModelSpec() as packaged:
                return self._checkpoint(_in_package(packaged))
        hub_id, _, revision = self.plain(name).partition("@")
        if not _may_be_hub_id(hub_id):
            raise MergeError(f"there is no file, folder or model preset '{name}'")
        return hub_folder(hub_id, revision or "main")

    def is_nowhere(self, name: str) -> bool:
        """Whether a name is no path at which something lies, no preset, and cannot be a hub id."""
        if self.local(name) or self._context.preset("model", name) is not None:
            return False
        return not _may_be_hub_id(name.partition("@")[0])

    def hides_hub(self, name: str) -> bool:
        """Whether a name could be a hub id as well, and is a path because something lies there."""
        return _may_be_hub_id(name) and self.local(name) is not None

    def repair(self, name: str) -> str | None:
        """What could be meant by a name that is nowhere: what lies beside its path, or a preset."""
        presets = () if name.startswith((".", "/", "~")) else self._context.names("model")
        path = from_folder(self.recipe.absolute().parent, name)
        return near_hint(path.name, [*presets, *beside(path)])

    def local(self, name: str) -> Path | None:
        """The path that a name is, where something lies at it."""
        try:
            path = self.recipe.parent / Path(name).expanduser()  # links as they are: the hub's folders tell their model
        except RuntimeError:  # the home of nobody
            return None
        return path if exists(path) else None

    def _preset(self, name: str) -> ModelSpec | None:
        if self._context.preset("model", name) is None:
            return None
        try:
            model: ModelSpec = TypeAdapter(Model).validate_python(name, context=self._context)
        except ValidationError as problems:
            raise SpecError([*self._context.diagnostics, *diagnose(problems, name, None)]) from problems
        return model

    def _checkpoint(self, path: Path) -> Path:
        if path.suffix != ".gguf":
            return path
        folder = self.scratch / path.stem
        if not folder.exists():
            convert(path, folder)
        return folder


def _may_be_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def _in_package(model: PackagedModelSpec) -> Path:
    """The GGUF file that an installed package ships, compared with the preset's digest."""
    try:
        return verified({model.digest: f"{PACKAGE_PREFIX}{model.package}/{model.file}"}, model.digest)
    except ChangedFileError as problem:
        raise MergeError(f"{model.package}/{model.file} is not the file that the preset was written for") from problem
