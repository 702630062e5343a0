"""Load base models: from the hub, from a folder, or from the folder that a `prepare` job made of a GGUF file.

One process keeps one copy of each base; whoever changes it (a subject, a training) gives it back bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.specs.jobs import Dtype, FolderModel, GgufModel, HubModel, ModelRef

from .context import JobContext
from .gguf import MODEL_FOLDER
from .locations import locate

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


FILLED_SHARE = 0.8
"""Of a GPU's free memory, the share that weights may take where a model is spread over several."""


class MissingInputError(ValueError):
    """A job names a GGUF model, but its row has no converted folder as input `model`."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A language model in evaluation mode with its tokenizer; `device` is where its inputs go."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype

    @property
    def cache_name(self) -> str:
        """What the model calls the cache that it takes and gives.

        transformers renamed it in 5.24, from `past_key_values`; a model with code of its own may keep the old name.
        """
        return "cache" if "cache" in signature(self.model.forward).parameters else "past_key_values"


def open_model(context: JobContext, ref: ModelRef, prepared: str = "model") -> LoadedModel:
    """The model of a reference, loaded once per process and shared by the jobs of its session.

    It is the session's: change it only in a way that you undo. Safetensors only; Python files of a model's repository
    run only when the reference says so. `prepared` is the input with the converted folder of a GGUF file. Raises
    OSError for missing files, MissingInputError for an unconverted GGUF.
    """
    return context.session.get(("model", ref), lambda: load_model(context, ref, prepared=prepared))


def load_model(context: JobContext, ref: ModelRef, dtype: Dtype | None = None, prepared: str = "model") -> LoadedModel:
    """A copy of the model of one's own, to change at will; `dtype` overrides the reference's."""
    import torch
    from transformers import AutoTokenizer

    from .quiet import quiet_libraries

    source, revision = _source(context, ref, prepared)
    trusted = not isinstance(ref, GgufModel) and ref.trust_remote_code
    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=trusted)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load_network(source, getattr(torch, dtype or ref.dtype), revision=revision, trusted=trusted)
    return LoadedModel(model, tokenizer, model.device, model.dtype)


def load_network(source: str, dtype: torch.dtype, *, revision: str = "main", trusted: bool = False) -> PreTrainedModel:
    """The model in a folder, or of a hub id, without a tokenizer: in evaluation mode, on the device of this machine."""
    import torch
    from transformers import AutoModelForCausalLM

    from .quiet import quiet_libraries

    with quiet_libraries():
        # Cast by loading: model.to(bfloat16) would also round the rotary frequencies, changing logits by up to 0.5.
        model = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, dtype=dtype, use_safetensors=True, trust_remote_code=trusted, **_placement()
        )
    if getattr(model, "hf_device_map", None) is None:
        model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loaded: PreTrainedModel = model.eval()
    return loaded


def _placement() -> dict[str, Any]:
    """Options of from_pretrained by which a model that one GPU does not hold goes on on the next ones.

    They are filled in their order (accelerate's "sequential"), to the share that leaves room for activations; a model
    that fits the first one stays there whole. Each layer's arithmetic is the same wherever it is done.
    """
    import torch

    gpus = range(torch.cuda.device_count())
    if len(gpus) < 2:
        return {}
    limits = {gpu: int(torch.cuda.mem_get_info(gpu)[0] * FILLED_SHARE) for gpu in gpus}
    return {"device_map": "sequential", "max_memory": limits}


def _source(context: JobContext, ref: ModelRef, prepared: str) -> tuple[str, str]:
    """What transformers is asked for (hub id or folder), and the revision."""
    match ref:
        case HubModel():
            return ref.id, ref.revision
        case FolderModel():
            return str(locate(str(context.locations[ref.digest]))), "main"
        case GgufModel():
            return str(_prepared_folder(context, prepared)), "main"


def _prepared_folder(context: JobContext, prepared: str) -> Path:
    if not context.inputs.get(prepared):
        raise MissingInputError(
            f"{context.row.label or context.row.kind}: a GGUF model needs its converted folder (input `{prepared}`)"
        )
    return context.inputs[prepared][0] / MODEL_FOLDER
