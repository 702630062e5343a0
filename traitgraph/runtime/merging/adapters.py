"""Read a peft LoRA adapter as changes of base weights: factors where it is low-rank, values where it is not.

The change of one module is scale * B A, scale = alpha / rank (rank-stabilised: alpha / sqrt(rank), arXiv:2312.03732).
Rank and alpha may differ by module; biases and whole saved modules are changes too, and are not in B A.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.specs.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, ModelFolderError, check_adapter

from .checkpoint import EMBEDDINGS, HEADS, Checkpoint, quantised
from .errors import MergeError

if TYPE_CHECKING:
    import torch

MERGE_FIRST = "merge it into its base with peft (merge_and_unload) and give the merged checkpoint"
_PREFIX = "base_model.model."
_UNSUPPORTED = {
    "layer_replication": "it repeats layers of the base",
    "target_parameters": "it changes parameters that are not modules",
    "trainable_token_indices": "it replaces single rows of the embedding",
    "alora_invocation_tokens": "it is active for a part of the text only",
    "use_qalora": "its A acts on pooled features",
    "use_bdlora": "its factors are block-diagonal",
    "arrow_config": "its parts are chosen for each token",
    "megatron_config": "its layers are those of Megatron",
}
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initialisations that also change the base: B A is then no difference to the published base weights."""


@dataclass(frozen=True)
class Factors:
    """A matrix of low rank: scale * left @ right, left [rows, rank], right [rank, columns]."""

    left: torch.Tensor
    right: torch.Tensor
    scale: float
    transposed: bool = False
    """Whether an adapter stores it the other way round: embeddings, and layers that keep [inputs, outputs]."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.left.shape[0], self.right.shape[1]

    @property
    def rank(self) -> int:
        """Inner dimension."""
        return self.left.shape[1]


@dataclass(frozen=True)
class Adapter:
    """What an adapter changes, by the name of the base's tensor."""

    folder: Path
    config: Mapping[str, Any]
    factors: dict[str, Factors] = field(default_factory=dict)
    values: dict[str, torch.Tensor] = field(default_factory=dict)
    """Saved modules and trained biases: the tuned values themselves."""
    shifts: dict[str, torch.Tensor] = field(default_factory=dict)
    """Biases of the low-rank path (`lora_bias`): added to the base's bias."""
    magnitudes: dict[str, torch.Tensor] = field(default_factory=dict)
    """DoRA (arXiv:2402.09353): length of each row after the change; such an adapter is not linear in alpha."""


def read_adapter(folder: Path, base_names: Collection[str] | None = None) -> Adapter:
    """The changes that a LoRA adapter makes, with the base's tensor names.

    `base_names` are the tensors of the base: a module that is not among them is refused, because then the adapter was
    trained on another base or other module names. Raises MergeError.
    """
    config = _read_config(folder)
    weights = Checkpoint(folder / ADAPTER_WEIGHTS)
    adapter = Adapter(folder, config)
    for key in weights:
        if not key.endswith(("lora_B.weight", "lora_embedding_B")):
            _add(adapter, key, weights)
    if base_names is not None:
        _check_names(adapter, base_names)
    return adapter


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        check_adapter(folder)
    except ModelFolderError as fault:
        raise MergeError(str(fault)) from fault
    config: dict[str, Any] = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA":
        raise MergeError(f"{folder}: a {config.get('peft_type')} adapter; only LoRA is read: {MERGE_FIRST}")
    for option, reason in _UNSUPPORTED.items():
        if config.get(option):
            raise MergeError(f"{folder}: the adapter sets `{option}`: {reason}; {MERGE_FIRST}")
    start = str(config.get("init_lora_weights", "")).lower()
    if start.startswith(_CHANGED_BASES):
        raise MergeError(
            f"{folder}: initialised by {start}, which changes the base as well; save it with peft's "
            "`path_initial_model_for_weight_conversion`, which turns it into a plain LoRA adapter"
        )
    return config


def _add(adapter: Adapter, key: str, weights: Checkpoint) -> None:
    """Sort one stored tensor (with its partner) into the adapter."""
    name = key.removeprefix(_PREFIX).replace(".base_layer.", ".")
    if name.endswith(".lora_A.weight"):
        module = name.removesuffix(".lora_A.weight")
        transposed = bool(adapter.config.get("fan_in_fan_out"))
        partner = key.replace("lora_A.weight", "lora_B.weight")
        adapter.factors[f"{module}.weight"] = _factors(adapter, module, weights, key, partner, transposed)
    elif name.endswith(".lora_embedding_A"):
        module = name.removesuffix(".lora_embedding_A")
        partner = key.replace("lora_embedding_A", "lora_embedding_B")
        adapter.factors[f"{module}.weight"] = _factors(adapter, module, weights, key, partner, transposed=True)
    elif name.endswith(".lora_B.bias"):
        module = name.removesuffix(".lora_B.bias")
        rank = weights[key.replace("lora_B.bias", "lora_A.weight")].shape[0]
        adapter.shifts[f"{module}.bias"] = weights.read(key).float() * _scale(adapter.config, module, rank)
    elif ".lora_magnitude_vector" in name:
        adapter.magnitudes[f"{name.split('.lora_magnitude_vector')[0]}.weight"] = weights.read(key)
    elif "lora_" in name:
        raise MergeError(f"{adapter.folder}: unknown tensor '{key}' of a LoRA variant; {MERGE_FIRST}")
    else:
        adapter.values[name.replace(".modules_to_save.", ".")] = weights.read(key)


def _factors(adapter: Adapter, module: str, weights: Checkpoint, key: str, partner: str, transposed: bool) -> Factors:
    if partner not in weights:
        raise MergeError(f"{adapter.folder}: '{key}' has no partner '{partner}'; save the adapter again")
    a, b = weights.read(key), weights.read(partner)  # [rank, in], [out, rank]
    if a.dim() != 2 or b.dim() != 2 or a.shape[0] != b.shape[1] or not a.numel() or not b.numel():
        raise MergeError(
            f"{adapter.folder}: '{key}' has shape {tuple(a.shape)} and its partner {tuple(b.shape)}; two matrices that "
            f"share their rank are needed (convolutions are not read, and DeepSpeed must gather before saving)"
        )
    scale = _scale(adapter.config, module, a.shape[0])
    return Factors(a.T.contiguous(), b.T.contiguous(), scale, True) if transposed else Factors(b, a, scale)


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    patterns: Mapping[str, float] = config.get("alpha_pattern") or {}
    own = [value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)]  # as peft matches them
    alpha = own[0] if own else config["lora_alpha"]
    return float(alpha) / (sqrt(rank) if config.get("use_rslora") else rank)


def _check_names(adapter: Adapter, base_names: Collection[str]) -> None:
    changed = [*adapter.factors, *adapter.values, *adapter.shifts]
    is_tied = not any(name.endswith(HEADS) for name in base_names)
    if is_tied and (tied := [name for name in changed if name.endswith(EMBEDDINGS)]):
        raise MergeError(
            f"{adapter.folder}: changes '{tied[0]}', which the base ties to its output head: a merge changes both; "
            "untie the base first (save it with tie_word_embeddings=false)"
        )
    unknown = [name for name in changed if name not in base_names]
    if set(unknown) == {"lm_head.weight"}:
        raise MergeError(
            f"{adapter.folder}: changes 'lm_head.weight', but the base has tied embeddings and no such tensor; "
            "untie the base first (save it with tie_word_embeddings=false)"
        )
    if unknown and (reason := quantised((base_names,))):
        raise MergeError(reason)
    if unknown:
        raise MergeError(
            f"{adapter.folder}: changes {len(unknown)} of {len(changed)} tensors that the base does not have, first "
            f"'{unknown[0]}'; it was trained on another base (its config says "
            f"{adapter.config.get('base_model_name_or_path') or 'nothing'}) or needs a name map"
        )
