"""Load base models, or only find their files: of the hub, of a folder, or of what `prepare` makes of a GGUF file.

One process keeps one copy of each base; whoever changes it (a subject, a training) gives it back bit for bit.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.jobs.context import JobContext, Progress, silent_progress
from traitgraph.runtime.jobs.locations import Locations, hub_folder, named, pinned, verified
from traitgraph.runtime.jobs.process import quiet_libraries
from traitgraph.specs.folders.model_folder import ModelFolderError, check_model
from traitgraph.specs.jobs.params import PrepareParams
from traitgraph.specs.jobs.refs import Dtype, FolderModel, GgufModel, HubModel, ModelRef

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


MODEL_FOLDER = "model"

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
    commit: str = ""
    """Of a model of the hub: what was loaded."""

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
    if isinstance(ref, FolderModel):
        verified(context.locations, ref.digest)  # by every job: what is loaded may be a view of the files
    loaded = context.session.get(("model", ref), lambda: load_model(context, ref, prepared=prepared))
    note_commit(context, ref, loaded.commit)
    return loaded


def note_commit(context: JobContext, ref: ModelRef, commit: str) -> None:
    """Keep in the artifact's record which commit of the hub was read, of a model that is the hub's."""
    if isinstance(ref, HubModel) and isinstance(context.locations, Locations):
        context.locations.commits[f"{ref.id}@{ref.revision}"] = commit


def load_model(context: JobContext, ref: ModelRef, dtype: Dtype | None = None, prepared: str = "model") -> LoadedModel:
    """A copy of the model of one's own, to change at will; `dtype` overrides the reference's."""
    import torch
    from transformers import AutoTokenizer

    trusted = not isinstance(ref, GgufModel) and ref.trust_remote_code
    telling: AbstractContextManager[None]
    if isinstance(ref, HubModel):
        where, telling = pinned(ref.id, ref.revision), named(ref.id, ref.revision)
        # transformers would take a folder of this name, wherever one stands, for the model
        source = str(hub_folder(ref.id, ref.revision)) if Path(ref.id).exists() else ref.id
    else:
        source, where, telling = str(local_folder(context, ref, prepared)), {}, nullcontext()
    with telling:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trusted, **where)
        model = load_network(source, getattr(torch, dtype or ref.dtype), trusted=trusted, **where)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    note_commit(context, ref, commit := where.get("revision", ""))
    return LoadedModel(model, tokenizer, model.device, model.dtype, commit)


def load_network(source: str, dtype: torch.dtype, *, trusted: bool = False, **where: Any) -> PreTrainedModel:
    """The model in a folder, or of a hub id, without a tokenizer: in evaluation mode, on the device of this machine.

    `where` are further arguments of from_pretrained. Raises ModelFolderError for what is no model, or more than one.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if Path(source).is_dir():
        check_model(Path(source), trusted=trusted, needs_tokenizer=False)
    with quiet_libraries():
        # Cast by loading: model.to(bfloat16) would also round the rotary frequencies, changing logits by up to 0.5.
        options = {"dtype": dtype, "use_safetensors": True, "trust_remote_code": trusted, **placement(), **where}
        model, found = AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **options)
    if lost := [name for name, _ in model.named_parameters() if name in found["missing_keys"]]:
        what = f"lacks weights, which would be drawn at random: {', '.join(lost[:5])}"
        raise ModelFolderError(Path(source), what, "copy or download it again")
    if getattr(model, "_hf_peft_config_loaded", False):
        what = "has an adapter beside the model, and both were loaded"
        raise ModelFolderError(Path(source), what, "name another one")
    if getattr(model, "hf_device_map", None) is None:
        model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loaded: PreTrainedModel = model.eval()
    return loaded


def placement() -> dict[str, Any]:
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


def local_folder(context: JobContext, ref: FolderModel | GgufModel, prepared: str = "model") -> Path:
    """Folder of a model that is no hub's, compared with its digest; a GGUF file's is the converted one.

    Raises ChangedFileError and MissingInputError.
    """
    if isinstance(ref, FolderModel):
        return verified(context.locations, ref.digest)
    if not context.inputs.get(prepared):
        raise MissingInputError(
            f"{context.row.label or context.row.kind}: a GGUF model needs its converted folder (input `{prepared}`)"
        )
    return context.inputs[prepared][0] / MODEL_FOLDER


def model_folder(context: JobContext, ref: ModelRef, prepared: str = "model") -> Path:
    """Folder with the model's safetensors: a local one, a converted GGUF file's, or the hub's cached snapshot.

    `prepared` is the input that holds the converted folder of a GGUF file.
    """
    if not isinstance(ref, HubModel):
        return local_folder(context, ref, prepared)
    folder = hub_folder(ref.id, ref.revision)
    note_commit(context, ref, folder.name)
    return folder


def prepare(context: JobContext, params: PrepareParams) -> None:
    """Write `model/`: float32 safetensors, configuration, tokenizer with chat template, generation settings.

    Once, so that later starts skip the slow dequantisation. Raises ChangedFileError when the file's digest is not the
    planned one.
    """
    convert(verified(context.locations, params.model.digest), context.out / MODEL_FOLDER, context.progress)


def convert(path: Path, folder: Path, progress: Progress = silent_progress) -> None:
    """Write a GGUF file as a folder that transformers loads in under a second, and that can be trained and saved.

    Values are the dequantised ones of the file: nothing of the lost precision comes back.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_libraries(), TemporaryDirectory() as alone:  # a tokenizer or template beside the file would be read too
        (Path(alone) / path.name).symlink_to(path.resolve())
        progress(0, 3, "reading tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=path.name)
        progress(1, 3, "reading weights")
        model = AutoModelForCausalLM.from_pretrained(alone, gguf_file=path.name, dtype=torch.float32)
        # The model is dense already, but carries the marks of a quantised one: it would refuse to be saved and trained.
        model.hf_quantizer = None
        for owner, mark in (
            (model, "is_quantized"), (model, "quantization_method"), (model.config, "quantization_config")
        ):  # fmt: skip
            if hasattr(owner, mark):
                delattr(owner, mark)
        progress(2, 3, "writing")
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    progress(3, 3, "converted")
