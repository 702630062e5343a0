"""Where the files of a base model lie: merging reads tensors from them, without loading the model."""

from __future__ import annotations

from pathlib import Path

from traitgraph.runtime.context import JobContext
from traitgraph.runtime.hub import hub_folder
from traitgraph.runtime.models import local_folder, note_commit
from traitgraph.specs.jobs import HubModel, ModelRef


def model_folder(context: JobContext, ref: ModelRef, prepared: str = "model") -> Path:
    """Folder with the model's safetensors: a local one, a converted GGUF file's, or the hub's cached snapshot.

    `prepared` is the input that holds the converted folder of a GGUF file.
    """
    if not isinstance(ref, HubModel):
        return local_folder(context, ref, prepared)
    folder = hub_folder(ref.id, ref.revision)
    note_commit(context, ref, folder.name)
    return folder
