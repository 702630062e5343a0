"""Turn a GGUF file into a folder that transformers loads in under a second and that can be trained and saved.

A model read from GGUF is dense already, but carries the marks of a quantised one: it refuses to be saved and trained.
Converting once removes the marks, and later starts skip the slow dequantisation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.specs.jobs.params import PrepareParams

if TYPE_CHECKING:
    from transformers import PreTrainedModel


MODEL_FOLDER = "model"

Progress = Callable[[int, int, str], None]
"""Told of each step: steps done, all steps, what is being done."""


def prepare(context: JobContext, params: PrepareParams) -> None:
    """Write `model/`: float32 safetensors, configuration, tokenizer with chat template, generation settings.

    Raises ChangedFileError when the file's digest is not the planned one.
    """
    convert(verified(context.locations, params.model.digest), context.out / MODEL_FOLDER, context.progress)


def convert(path: Path, folder: Path, progress: Progress = lambda done, total, note: None) -> None:
    """Write a GGUF file as a folder that transformers loads. Values are the dequantised ones of the file: nothing of
    the lost precision comes back.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from traitgraph.runtime.jobs.quiet import quiet_libraries

    with quiet_libraries(), TemporaryDirectory() as alone:  # a tokenizer or template beside the file would be read too
        (Path(alone) / path.name).symlink_to(path.resolve())
        progress(0, 3, "reading tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=path.name)
        progress(1, 3, "reading weights")
        model = AutoModelForCausalLM.from_pretrained(alone, gguf_file=path.name, dtype=torch.float32)
        _forget_quantisation(model)
        progress(2, 3, "writing")
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    progress(3, 3, "converted")


def _forget_quantisation(model: PreTrainedModel) -> None:
    """Remove the marks that make transformers refuse to save a dense model read from GGUF."""
    model.hf_quantizer = None
    for mark in ("is_quantized", "quantization_method"):
        if hasattr(model, mark):
            delattr(model, mark)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
