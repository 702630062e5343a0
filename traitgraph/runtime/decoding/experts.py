"""The voice of an expert: the writer's own weights with an adapter beside them, or a model of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.quiet import quiet_libraries
from traitgraph.runtime.models.loading import LoadedModel, load_network
from traitgraph.runtime.vectors.adapters import read_adapter
from traitgraph.runtime.vectors.hooks import Terms, module_of, takes_low_rank

from .models_in_step import Voice

if TYPE_CHECKING:
    import torch


def expert_voice(context: JobContext, base: LoadedModel, name: str) -> Voice:
    """The voice of the trained artifact that is input `name`; without such an input the base is the expert.

    A plain LoRA adapter acts beside the base's weights. Anything else (every weight trained, saved modules, biases,
    DoRA) is a model of its own, which the session keeps.
    """
    folders = context.inputs.get(name)
    if not folders:
        return Voice(base)
    key = ("expert", context.row.inputs[name][0])
    adapter = folders[0] / "adapter"
    if not adapter.is_dir():
        return Voice(context.session.get(key, lambda: _whole(base, folders[0] / "model")))
    changes = low_rank_changes(base.model, adapter)
    return Voice(base, changes) if changes else Voice(context.session.get(key, lambda: _merged(base, adapter)))


def low_rank_changes(model: torch.nn.Module, adapter: Path) -> Mapping[str, Terms]:
    """The change of an adapter by weight, when that is all it is; empty when it is more."""
    read = read_adapter(adapter, dict(model.named_parameters()))
    if not read.is_plain or not all(takes_low_rank(module_of(model, name)) for name in read.factors):
        return {}
    return {name: [(1.0, factors)] for name, factors in read.factors.items()}


def _whole(base: LoadedModel, folder: Path) -> LoadedModel:
    model = load_network(str(folder), base.dtype)
    return LoadedModel(model, base.tokenizer, model.device, model.dtype)


def _merged(base: LoadedModel, adapter: Path) -> LoadedModel:
    """A copy of the base with the adapter merged into it, by the library that trained it."""
    from copy import deepcopy

    from peft import PeftModel

    with quiet_libraries():
        tuned = PeftModel.from_pretrained(deepcopy(base.model), str(adapter))
        model = tuned.merge_and_unload()
    return LoadedModel(model.eval(), base.tokenizer, base.device, base.dtype)
