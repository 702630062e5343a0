"""Load base models: from the hub, from a folder, or from the folder that a `prepare` job made of a GGUF file.

One process keeps one copy of each base; whoever changes it (a subject, a training) gives it back bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.specs.jobs import Dtype, FolderModel, GgufModel, HubModel, ModelRef

from .context import JobContext
from .gguf import MODEL_FOLDER
from .locations import locate

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class MissingInputError(ValueError):
    """A job names a GGUF model, but its row has no converted folder as input `model`."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A language model in evaluation mode with its tokenizer, on one device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype


def open_model(context: JobContext, ref: ModelRef) -> LoadedModel:
    """The model of a reference, loaded once per process and shared by the jobs of its session.

    It is the session's: change it only in a way that you undo. Safetensors only; Python files of a model's repository
    run only when the reference says so. Raises OSError for missing files, MissingInputError for an unconverted GGUF.
    """
    return context.session.get(("model", ref), lambda: load_model(context, ref))


def load_model(context: JobContext, ref: ModelRef, dtype: Dtype | None = None) -> LoadedModel:
    """A copy of the model of one's own, to change at will; `dtype` overrides the reference's."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from .quiet import quiet_libraries

    source, revision = _source(context, ref)
    trusted = not isinstance(ref, GgufModel) and ref.trust_remote_code
    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=trusted)
        # Cast by loading: model.to(bfloat16) would also round the rotary frequencies, changing logits by up to 0.5.
        model = AutoModelForCausalLM.from_pretrained(
            source,
            revision=revision,
            dtype=getattr(torch, dtype or ref.dtype),
            use_safetensors=True,
            trust_remote_code=trusted,
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).eval()
    return LoadedModel(model, tokenizer, device, model.dtype)


def _source(context: JobContext, ref: ModelRef) -> tuple[str, str]:
    """What transformers is asked for (hub id or folder), and the revision."""
    match ref:
        case HubModel():
            return ref.id, ref.revision
        case FolderModel():
            return str(locate(str(context.locations[ref.digest]))), "main"
        case GgufModel():
            return str(_prepared_folder(context)), "main"


def _prepared_folder(context: JobContext) -> Path:
    if not context.inputs.get("model"):
        raise MissingInputError(
            f"{context.row.label or context.row.kind}: a GGUF model needs its converted folder (input `model`)"
        )
    return context.inputs["model"][0] / MODEL_FOLDER
