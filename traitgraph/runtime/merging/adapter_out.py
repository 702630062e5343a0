"""Write a low-rank composition as one adapter that peft and vLLM load: exact, or the best of a given rank.

Exact: the factors of all vectors side by side; ranks add up, and every module is filled up with zeros to one rank,
because servers want one. Best of rank r: the first r singular values of the sum (Eckart-Young), found from the small
matrix between two QR decompositions, never from the full matrix.
"""

from __future__ import annotations

import json
from math import sqrt
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.runtime.tensors.writer import check_new, drafted
from traitgraph.runtime.vectors.adapters import PREFIX
from traitgraph.runtime.vectors.hooks import stacked
from traitgraph.specs.folders.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS

from .composition import Composition
from .on_disk import Output, model_card
from .statistics import WARN_BELOW

if TYPE_CHECKING:
    import torch


def write_adapter(output: Output, rank: int | None = None) -> dict[str, Any]:
    """Write adapter_model.safetensors (float32) and adapter_config.json with scale 1 into a new folder.

    `rank` None is exact. Returns the output's record, which the card has as well, with the statistics of an adapter
    (nothing of it is rounded into weights of the base) and a warning where the rank does not hold the change. Raises
    MergeError when the composition is not a sum of low-rank vectors (with the tensor), or the folder is not empty; a
    half-written adapter never has the folder's name.
    """
    from safetensors.torch import save_file

    composition, record = output.composition, dict(output.record)
    check_new(output.folder)
    check_low_rank(composition)
    pairs = {name: stacked(composition.factors(name) or ()) for name in composition.names}
    lost = asked = 0.0
    if rank is not None:
        for name, (left, right) in pairs.items():
            pairs[name], dropped, whole = truncated(left, right, rank)
            lost, asked = lost + dropped, asked + whole
    width = max(left.shape[1] for left, _ in pairs.values())
    error = sqrt(lost / asked) if asked else 0.0  # |written - asked| / |asked| over all modules
    effective = 1 - error**2  # what is left out is orthogonal to what is kept
    own = {"adapter_rank": width, "effective_alpha": effective, "relative_error": error}
    record["statistics"] = {**record["statistics"], **own}
    if effective < WARN_BELOW:
        text = f"only {effective:.0%} of the change fits into rank {width}: raise `rank`, or drop it (exact)"
        record["warnings"] = [*record["warnings"], text]
    tensors: dict[str, torch.Tensor] = {}
    for name, pair in pairs.items():
        tensors |= _tensors(composition, name, pair, width)
    config = _config(composition, width, str(record["base_name"]))
    with drafted(output.folder) as draft:
        save_file(tensors, draft / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        (draft / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (draft / "README.md").write_text(model_card(record), encoding="utf-8")
    return record


def check_low_rank(composition: Composition) -> None:
    """Raise MergeError with the tensor unless an adapter can hold a composition."""
    if not composition.names:
        raise MergeError("nothing is changed: every coefficient is 0, and an adapter of nothing is not written")
    reason = (
        "is not a sum of low-rank changes" if composition.steps.is_linear else f"is changed by {composition.method}"
    )
    for name in composition.names:
        if composition.factors(name) is None or not name.endswith(".weight"):
            raise MergeError(f"'{name}' {reason}: no adapter holds this merge; write weights instead")


def truncated(
    left: torch.Tensor, right: torch.Tensor, rank: int
) -> tuple[tuple[torch.Tensor, torch.Tensor], float, float]:
    """The best approximation of left @ right of a rank, its squared error, and the squared norm of the whole.

    left [rows, n], right [n, columns], float32; the result has the same form with n = rank at most. QR of both factors
    leaves an n x n matrix whose singular values are those of the product.
    """
    import torch

    q_left, r_left = torch.linalg.qr(left.double())
    q_right, r_right = torch.linalg.qr(right.double().T)
    u, values, v = torch.linalg.svd(r_left @ r_right.T)
    root = values[:rank].sqrt()
    new_left = (q_left @ u[:, :rank]) * root
    new_right = (q_right @ v[:rank].T).T * root.unsqueeze(1)
    squares = values.square()
    return (new_left.float(), new_right.float()), float(squares[rank:].sum()), float(squares.sum())


def _tensors(
    composition: Composition, name: str, pair: tuple[torch.Tensor, torch.Tensor], width: int
) -> dict[str, torch.Tensor]:
    """The two tensors of a module under peft's names, filled up with zeros to the common rank."""
    from torch.nn.functional import pad

    left, right = pair
    left = pad(left, (0, width - left.shape[1])).contiguous()  # [rows, rank]
    right = pad(right, (0, 0, 0, width - right.shape[0])).contiguous()  # [rank, columns]
    module = PREFIX + name.removesuffix(".weight")
    if not _is_transposed(composition, name):
        return {f"{module}.lora_A.weight": right, f"{module}.lora_B.weight": left}
    if not _is_embedding(name):
        return {f"{module}.lora_A.weight": left.T.contiguous(), f"{module}.lora_B.weight": right.T.contiguous()}
    return {f"{module}.lora_embedding_A": left.T.contiguous(), f"{module}.lora_embedding_B": right.T.contiguous()}


def _is_transposed(composition: Composition, name: str) -> bool:
    return any(factors.transposed for _, factors in composition.factors(name) or ())


def _is_embedding(name: str) -> bool:
    return "embed" in name or name.endswith(("wte.weight", "wpe.weight"))


def _config(composition: Composition, rank: int, base_name: str) -> dict[str, Any]:
    """What peft and vLLM read; scale lora_alpha / r is 1, because the factors hold the coefficients."""
    modules = [name.removesuffix(".weight") for name in composition.names]
    last = sorted({module.rpartition(".")[2] for module in modules})
    layers = {module.rpartition(".")[0].rpartition(".")[0] for module in modules}
    turned = any(_is_transposed(composition, name) and not _is_embedding(name) for name in composition.names)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "fan_in_fan_out": turned,
        "inference_mode": True,
        "init_lora_weights": True,
        # Servers want the last parts of names; these are right only where every layer has all of the modules.
        "target_modules": last if len(modules) == len(last) * len(layers) else sorted(modules),
    }
