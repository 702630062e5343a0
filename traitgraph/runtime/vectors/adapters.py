"""Read a peft LoRA adapter as changes of base weights: factors where it is low-rank, values where it is not.

The change of one module is scale * B A, scale = alpha / rank (rank-stabilised: alpha / sqrt(rank), arXiv:2312.03732).
Rank and alpha may differ by module; biases, whole saved modules and single rows of embeddings are changes too, and are
not in B A. Whether a matrix is stored as [outputs, inputs] is a fact of the base: the adapter's `fan_in_fan_out` is one
flag for all of its modules, and peft itself corrects it by the class of each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt, PositiveInt, ValidationError

from traitgraph.runtime.tensors.checkpoint import (
    EMBEDDINGS,
    HEADS,
    Checkpoint,
    MergeError,
    as_merge_error,
    quantised,
    read_object,
)
from traitgraph.specs.folders.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_adapter
from traitgraph.specs.study.merge_methods import Pattern

if TYPE_CHECKING:
    import torch


MERGE_FIRST = "merge it into its base with peft (merge_and_unload) and give the merged checkpoint"
PREFIX = "base_model.model."
"""What peft puts before the base's names in an adapter's file."""
_UNSUPPORTED = {
    "layer_replication": "it repeats layers of the base",
    "target_parameters": "it changes parameters that are not modules",
    "alora_invocation_tokens": "it is active for a part of the text only",
    "use_qalora": "its A acts on pooled features",
    "use_bdlora": "its factors are block-diagonal",
    "arrow_config": "its parts are chosen for each token",
    "megatron_config": "its layers are those of Megatron",
}
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initialisations that also change the base: B A is then no difference to the published base weights."""

_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_fpw_module"}
"""What compilation, sharding and checkpointing put into the names of modules."""
CONV1D_MODELS = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp", "clvp_decoder")
"""Types of models whose blocks keep [inputs, outputs] (transformers' Conv1D), in the modules that `_CONV1D` finds."""
_CONV1D = re.compile(r"\.(c_attn|q_attn|c_proj|c_fc)\.weight$")

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
"""A folder of the hub's cache: owner and name."""


class AdapterConfig(BaseModel):
    """What is read of adapter_config.json."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    peft_type: str
    lora_alpha: FiniteFloat
    r: PositiveInt | None = None
    use_rslora: bool | None = None
    use_dora: bool | None = None
    fan_in_fan_out: bool | None = None
    alpha_pattern: dict[Pattern, FiniteFloat] | None = None
    rank_pattern: dict[Pattern, PositiveInt] | None = None
    init_lora_weights: bool | str | None = None
    base_model_name_or_path: str | None = None
    trainable_token_indices: list[NonNegativeInt] | dict[str, list[NonNegativeInt]] | None = None

    def scale(self, module: str, rank: int) -> float:
        """alpha / rank of a module."""
        alpha = _own(self.alpha_pattern, module, self.lora_alpha)
        return alpha / (sqrt(rank) if self.use_rslora else rank)

    def tokens(self, module: str) -> list[int]:
        """Rows of an embedding that the adapter replaces, in the order in which it stores them."""
        given = self.trainable_token_indices
        if isinstance(given, dict):
            return next((rows for name, rows in given.items() if f".{module}".endswith(f".{name}")), [])
        return given or []


def _own(patterns: Mapping[str, float] | None, module: str, other: float) -> float:
    found = (value for key, value in (patterns or {}).items() if re.match(rf"(.*\.)?({key})$", module))
    return next(found, other)  # as peft matches them


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
    def norm(self) -> float:
        """Frobenius norm without forming the matrix: |.|^2 = sum((left^T left) * (right right^T))."""
        left, right = self.left.double(), self.right.double()
        return abs(self.scale) * sqrt(max(0.0, float(((left.T @ left) * (right @ right.T)).sum())))

    def rows(self, first: int, last: int, weight: float = 1.0) -> torch.Tensor:
        """Rows [first, last), times a weight: float32, flat."""
        return (self.scaled_left(first, last, weight) @ self.right.float()).reshape(-1)

    def scaled_left(self, first: int, last: int, weight: float) -> torch.Tensor:
        """Rows [first, last) of weight * scale * left: float32 [rows, rank]."""
        return self.left[first:last].float() * (self.scale * weight)


@dataclass(frozen=True)
class Adapter:
    """What an adapter changes, by the name of the base's tensor."""

    folder: Path
    config: AdapterConfig
    factors: dict[str, Factors] = field(default_factory=dict)
    values: dict[str, torch.Tensor] = field(default_factory=dict)
    """Saved modules and trained biases: the tuned values themselves."""
    rows: dict[str, tuple[list[int], torch.Tensor]] = field(default_factory=dict)
    """Single rows of embeddings (`trainable_token_indices`): which, and the tuned values themselves."""
    shifts: dict[str, torch.Tensor] = field(default_factory=dict)
    """What is added to a tensor: biases of the low-rank path (`lora_bias`), and B A of convolutions."""
    magnitudes: dict[str, torch.Tensor] = field(default_factory=dict)
    """DoRA (arXiv:2402.09353): length of each row after the change; such an adapter is not linear in alpha."""

    @property
    def is_plain(self) -> bool:
        """Whether B A is all of its change."""
        return not (self.values or self.rows or self.shifts or self.magnitudes)


def read_adapter(folder: Path, base: Mapping[str, Any] | None = None) -> Adapter:
    """The changes that a LoRA adapter makes, with the base's tensor names.

    `base` leads from the tensors of the base to what has a `shape`: a module that is not among them is refused, because
    then the adapter was trained on another base or other module names. Raises MergeError.
    """
    config = _read_config(folder)
    weights = Checkpoint(folder / ADAPTER_WEIGHTS)
    adapter = Adapter(folder, config)
    if len({_in_base(key) for key in weights}) < len(weights):
        raise MergeError(f"{folder / ADAPTER_WEIGHTS}: holds one tensor under two names (with a wrapper's and without)")
    if not len(weights):
        raise MergeError(f"{folder / ADAPTER_WEIGHTS}: holds no tensors; save the adapter again with peft")
    for key in weights:
        if ".original_module." not in key:  # what a saved module was before the training
            _add(adapter, key, weights, base)
    if base is not None:
        _check_names(adapter, base)
    changed = [*adapter.factors, *(name for name in adapter.shifts if name.endswith(".weight"))]
    if odd := [name for name in changed if bool(config.use_dora) != (name in adapter.magnitudes)]:
        there = "no magnitudes" if config.use_dora else "magnitudes"
        raise MergeError(
            f"{folder / ADAPTER_CONFIG}: `use_dora` is {bool(config.use_dora)}, and {ADAPTER_WEIGHTS} has {there} for "
            f"'{odd[0]}': one of the two files is of another adapter; save it again"
        )
    return adapter


def changed_names(folder: Path) -> list[str]:
    """The tensors that an adapter's file speaks of, without reading any: the weights of its modules, or saved ones."""
    file = folder / ADAPTER_WEIGHTS
    parted = map(_parted, Checkpoint(file) if file.is_file() else ())
    return list(dict.fromkeys(f"{module}.weight" if part else module for module, part in parted))


def _read_config(folder: Path) -> AdapterConfig:
    path = folder / ADAPTER_CONFIG
    with as_merge_error():
        check_adapter(folder)
    found = read_object(path)
    if isinstance(kind := found.get("peft_type"), str) and kind != "LORA":
        raise MergeError(f"{path}: a {kind} adapter; only LoRA is read: {MERGE_FIRST}")
    for option, reason in _UNSUPPORTED.items():
        if found.get(option):
            raise MergeError(f"{path}: the adapter sets `{option}`: {reason}; {MERGE_FIRST}")
    try:
        config = AdapterConfig.model_validate(found)
    except ValidationError as problems:
        first = problems.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise MergeError(f"{path}: `{place}`: {first['msg']}; save the adapter again with peft") from problems
    start = str(config.init_lora_weights).lower()
    if start.startswith(_CHANGED_BASES):
        raise MergeError(
            f"{path}: initialised by {start}, which changes the base as well; save it with peft's "
            "`path_initial_model_for_weight_conversion`, which turns it into a plain LoRA adapter"
        )
    return config


def _add(adapter: Adapter, key: str, weights: Checkpoint, base: Mapping[str, Any] | None) -> None:
    """Sort one stored tensor (with its partner) into the adapter."""
    module, part = _parted(key)
    name = f"{module}.weight"
    if not part:
        adapter.values[module] = weights.read(key)
    elif part in ("lora_A.weight", "lora_embedding_A"):
        a, b = _pair(adapter, module, weights, key, _beside(weights, key, part, part.replace("_A", "_B")))
        scale = adapter.config.scale(module, a.shape[0])
        if a.dim() > 2:  # the change of a convolution has no matrix form
            adapter.shifts[name] = (b.flatten(1).float() @ a.flatten(1).float() * scale).reshape(len(b), *a.shape[1:])
        elif part == "lora_embedding_A" or _keeps_inputs_first(adapter, name, (b.shape[0], a.shape[1]), base):
            adapter.factors[name] = Factors(a.T.contiguous(), b.T.contiguous(), scale, transposed=True)
        else:
            adapter.factors[name] = Factors(b, a, scale)
    elif part in ("lora_B.weight", "lora_embedding_B"):  # read with its partner
        _beside(weights, key, part, part.replace("_B", "_A"))
    elif part == "lora_B.bias":
        rank = weights[_beside(weights, key, part, "lora_A.weight")].shape[0]
        adapter.shifts[f"{module}.bias"] = weights.read(key).float() * adapter.config.scale(module, rank)
    elif part.startswith("lora_magnitude_vector"):
        adapter.magnitudes[name] = weights.read(key)
    elif part == "token_adapter.trainable_tokens_delta":
        rows, values = adapter.config.tokens(module), weights.read(key)
        if len(rows) != len(values):
            what = f"{len(rows)} tokens for '{module}', and {ADAPTER_WEIGHTS} {len(values)}"
            path = adapter.folder / ADAPTER_CONFIG
            raise MergeError(f"{path}: `trainable_token_indices` has {what}; save the adapter again")
        adapter.rows[name] = rows, values
    else:
        raise MergeError(f"{adapter.folder}: unknown tensor '{key}' of a LoRA variant; {MERGE_FIRST}")


def _parted(key: str) -> tuple[str, str]:
    """The module of the base, and which part of its change a tensor is; a tensor that is stored whole, and ''."""
    module, *part = re.split(r"\.(?=lora_|token_adapter\.)", _in_base(key), maxsplit=1)
    return (module, part[0]) if part else (module.replace(".modules_to_save.", "."), "")


def _in_base(key: str) -> str:
    """The base's name in the name that an adapter's file has, without what wrappers of the training added.

    >>> _in_base("base_model.model.model._fsdp_wrapped_module.layers.0._orig_mod.up_proj.lora_A.weight")
    'model.layers.0.up_proj.lora_A.weight'
    """
    name = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
    for start in ("module.", PREFIX, "module."):
        name = name.removeprefix(start)
    return name.replace(".base_layer.", ".")


def _beside(weights: Checkpoint, key: str, part: str, other: str) -> str:
    """The name of another part of the same module. Raises MergeError where it is not stored."""
    if (partner := key.removesuffix(part) + other) not in weights:
        raise MergeError(f"{weights.path.parent}: '{key}' has no partner '{partner}'; save the adapter again")
    return partner


def _pair(
    adapter: Adapter, module: str, weights: Checkpoint, key: str, partner: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """A [rank, inputs ...] and B [outputs, rank ...] of a module."""
    a, b = weights.read(key), weights.read(partner)
    if min(a.dim(), b.dim()) < 2 or a.shape[0] != b.shape[1] or not a.numel() or b[0, 0].numel() != 1:
        raise MergeError(
            f"{adapter.folder}: '{key}' has shape {tuple(a.shape)} and its partner {tuple(b.shape)}; two matrices that "
            f"share their rank are needed (grouped convolutions are not read, and DeepSpeed must gather before saving)"
        )
    wanted = _own(adapter.config.rank_pattern, module, adapter.config.r or a.shape[0])
    if a.shape[0] != wanted:
        what = f"rank {wanted} for '{module}' (`r`, `rank_pattern`), and {ADAPTER_WEIGHTS} has rank {a.shape[0]}"
        raise MergeError(f"{adapter.folder / ADAPTER_CONFIG}: {what}: one of the two files is of another adapter")
    return a, b


def _keeps_inputs_first(adapter: Adapter, name: str, shape: tuple[int, int], base: Mapping[str, Any] | None) -> bool:
    """Whether the base keeps a weight of (outputs, inputs) as [inputs, outputs]: by its shape, or by what it is."""
    stored = tuple(base[name].shape) if base is not None and name in base else None
    if stored in (shape, shape[::-1]) and shape[0] != shape[1]:
        return stored != shape
    if not isinstance(base, Checkpoint):
        return base is None and bool(adapter.config.fan_in_fan_out)
    if _has_conv1d(base.config):
        return _CONV1D.search(name) is not None
    if adapter.config.fan_in_fan_out and ("auto_map" in base.config or not base.config.get("model_type")):
        raise MergeError(
            f"{adapter.folder / ADAPTER_CONFIG}: `fan_in_fan_out` is set and '{name}' is square: nothing says which "
            f"way round {base.path} keeps it (no known `model_type` in its config.json); {MERGE_FIRST}"
        )
    return False


def _has_conv1d(config: Mapping[str, Any]) -> bool:
    """Whether a model, or a part of it, is of a type that keeps [inputs, outputs]."""
    parts = [part for part in config.values() if isinstance(part, dict)]
    return config.get("model_type") in CONV1D_MODELS or any(map(_has_conv1d, parts))


def _check_names(adapter: Adapter, base_names: Collection[str]) -> None:
    is_tied = not any(name.endswith(HEADS) for name in base_names)
    tables = [name for name in (*adapter.factors, *adapter.values) if name.endswith(EMBEDDINGS)]
    for table in tables if is_tied else ():
        # Stored whole under its own name and as the head, it is the tied table, and the base has no head.
        saved = None if table in adapter.factors else adapter.values[table]
        heads = [
            n for n, each in adapter.values.items() if n.endswith(HEADS) and saved is not None and each.equal(saved)
        ]
        if not heads:
            raise MergeError(
                f"{adapter.folder}: changes '{table}', which the base ties to its output head: a merge changes both; "
                "untie the base first (save it with tie_word_embeddings=false)"
            )
        for name in heads:
            del adapter.values[name]
    changed = [*adapter.factors, *adapter.values, *adapter.shifts]
    changed += adapter.rows  # which peft ties as well where the base is tied
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
            f"{adapter.config.base_model_name_or_path or 'nothing'}) or needs a name map"
        )


# ---------------------------------------------------------------- which base an adapter belongs to


class Doubt(NamedTuple):
    """What speaks against an adapter belonging to a base."""

    kind: Literal["warning", "note"]
    """warning: both are known by name, and the names differ; note: nothing says which model the base is."""
    text: str


def doubt_about_base(adapter: Path, base: Path, *, adapter_name: str, base_name: str) -> Doubt | None:
    """Why the base may not be the model that an adapter's config names; None where it is, or no hub id is named there.

    Both are folders, with what the recipe calls them. A path proves nothing: folders are moved and copied. A folder of
    the hub's cache is its model, whatever it is called.
    """
    named = str(read_object(adapter / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    plain = named.partition("@")[0]  # a hub id is the hub's model, whatever folder of that name stands somewhere
    told = plain if HUB_ID.fullmatch(plain) else _in_cache(named)
    found = _in_cache(str(base)) or _in_cache(str(base.resolve()))
    if told is None:
        return None
    what = f"{adapter_name}: its config says that it was trained on '{told}'"
    if found is None:
        last = told.rpartition("/")[2].lower()
        if last in (base.name.lower(), Path(base_name).name.lower()):
            return None
        return Doubt("note", f"{what}; nothing says whether {base_name} is that model")
    if told.lower() == found.lower():
        return None
    return Doubt("warning", f"{what}, and the base is '{found}': its change belongs to that model's weights alone")


def _in_cache(path: str) -> str | None:
    cached = _CACHED.search(path)
    return f"{cached[1]}/{cached[2]}" if cached else None
