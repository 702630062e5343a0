"""Base models, and the model that vectors are carried onto.

`model: llama-3.1-8b-instruct` names a preset, `owner/name` the hub, `./folder` or `file.gguf` this machine. After
validation an arm holds one of the three classes below, with a name and an absolute path.
"""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from traitgraph.specs.fields.axes import Axis
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.pydantic_errors import located
from traitgraph.specs.fields.references import Local, Named, Reference
from traitgraph.specs.folders.model_folder import ModelFolderError, check_model, read_config
from traitgraph.specs.source.library import DIGEST, HUB_ID, VARIABLE, is_file


def _config_in(folder: Path) -> dict[str, Any]:
    try:
        return read_config(folder)
    except (ModelFolderError, OSError):  # of a revision, say, that no file system takes
        return {}


class ModelSpec(Named):
    """What every base model has, wherever it lies."""

    dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        None, description="Number format of the loaded weights; absent: bfloat16 from the hub, else float32."
    )
    trust_remote_code: bool = Field(False, description="Run the Python files that come with the model.")
    parameters: PositiveInt | None = Field(
        None, description="Number of weights: for prices only, it changes no result. [weights]"
    )

    def config(self) -> dict[str, Any]:
        """What lies at hand of the model's config.json; empty where nothing does, or a file cannot be read."""
        return {}


class HubModelSpec(ModelSpec):
    """A model of the hub."""

    key: ClassVar[str] = "id"
    id: str = Field(pattern=HUB_ID, description="Owner and name on the hub: `owner/name`.")
    revision: str = Field("main", min_length=1, description="Commit, tag or branch; only a commit pins the weights.")

    def config(self) -> dict[str, Any]:
        """As it lies in the hub's cache on this machine; its layout is public, and its library takes long to import."""
        home = os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
        cache = Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()
        folder = cache / f"models--{self.id.replace('/', '--')}"
        named = folder / "refs" / self.revision
        commit = named.read_text(encoding="utf-8").strip() if is_file(named) else self.revision
        return _config_in(folder / "snapshots" / commit)


class LocalModelSpec(ModelSpec, Local):
    """A folder that transformers loads, or one GGUF file."""

    suffixes: ClassVar[tuple[str, ...]] = (".gguf",)
    path: str = Field(min_length=1, description="Folder or .gguf file; relative paths start at the spec's folder.")

    needs_tokenizer: ClassVar[bool] = True

    def settled(self, folder: Path, name: str) -> Self:
        """Itself with a name and the absolute path of what transformers can load."""
        settled = super().settled(folder, name)
        if not (settled.is_gguf and Path(settled.path).is_file()):
            try:
                where, trusted = Path(settled.path), self.trust_remote_code
                check_model(where, trusted=trusted, needs_tokenizer=self.needs_tokenizer)
            except ModelFolderError as fault:
                facts = {"value": self.path, "reason": fault.reason, "repair": fault.repair}
                raise located("path", self.path, "model_folder", **facts) from fault
        return settled

    def config(self) -> dict[str, Any]:
        """As it lies in the folder."""
        return {} if self.is_gguf else _config_in(Path(self.path))

    @property
    def is_gguf(self) -> bool:
        """Whether the path is a GGUF file, which a `prepare` job turns into a folder."""
        return self.path.endswith(".gguf")


class TunedModelSpec(LocalModelSpec):
    """A folder of which only the weights are read."""

    needs_tokenizer: ClassVar[bool] = False


class PackagedModelSpec(ModelSpec):
    """A GGUF file that an installed Python package ships."""

    key: ClassVar[str] = "package"
    package: str = Field(pattern=VARIABLE, description="Import name of the package; it is never imported.")
    file: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.gguf$", description="The .gguf file in the package's folder."
    )
    digest: str = Field(
        pattern=DIGEST, description="BLAKE2b-128 of the file, so that a plan needs no installed package."
    )

    def location(self) -> Path | None:
        """Where the file is on this machine; None when the package is not installed."""
        from importlib.util import find_spec

        found = find_spec(self.package)
        path = Path(found.origin).parent / self.file if found and found.origin else None
        return path if path and path.is_file() else None


MODEL_FORMS = (HubModelSpec, LocalModelSpec, PackagedModelSpec)

Model = Annotated[ModelSpec, Reference("model", "model", *MODEL_FORMS)]
"""One model: a name, or a mapping with `id`, `path` or `package`."""

TunedModel = Annotated[ModelSpec, Reference("model", "model", HubModelSpec, TunedModelSpec, PackagedModelSpec)]
"""One model of which the weights count, and not the tokenizer."""

Models = Annotated[tuple[ModelSpec, ...], Reference("model", "model", *MODEL_FORMS, many=True)]
"""An axis of models."""


class Onto(Spec):
    """The model that the vectors are added to, and how much of it. Papers state neither: both must be given.

    theta = base + a * (domain - base) + alpha * vector
    """

    model: TunedModel = Field(description="A tuned model of the same base, or a vision-language model built on it.")
    alpha: Axis = Field(description="Axis: how much of the domain, domain - base, is taken; 1 is the model itself.")
    names: dict[str, str] | None = Field(
        None,
        description="Start of a tensor's name in the base: its start in the model, {model.: model.language_model.}; "
        "tensors without a partner (vision parts) stay as they are.",
    )
