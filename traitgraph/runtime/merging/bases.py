"""Where the files of a base model lie: merging reads tensors from them, without loading the model."""

from __future__ import annotations

from pathlib import Path

from traitgraph.runtime.context import JobContext
from traitgraph.runtime.gguf import MODEL_FOLDER
from traitgraph.runtime.hub import named, pinned
from traitgraph.runtime.locations import verified
from traitgraph.runtime.models import note_commit
from traitgraph.specs.jobs import FolderModel, GgufModel, HubModel, ModelRef

from .errors import MergeError

_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]


def model_folder(context: JobContext, ref: ModelRef, prepared: str = "model") -> Path:
    """Folder with the model's safetensors: a local one, a converted GGUF file's, or the hub's cached snapshot.

    `prepared` is the input that holds the converted folder of a GGUF file.
    """
    match ref:
        case HubModel():
            folder = hub_folder(ref.id, ref.revision)
            note_commit(context, ref, folder.name)
            return folder
        case FolderModel():
            return verified(context.locations, ref.digest)
        case GgufModel():
            if not context.inputs.get(prepared):
                raise MergeError(f"{context.row.label}: a GGUF model needs its converted folder as input `{prepared}`")
            return context.inputs[prepared][0] / MODEL_FOLDER


def hub_folder(name: str, revision: str = "main") -> Path:
    """The hub's snapshot of a model, downloaded when it is not in the cache; never pickled weights."""
    from huggingface_hub import snapshot_download

    with named(name, revision):
        return Path(snapshot_download(name, allow_patterns=_FILES, **pinned(name, revision)))
