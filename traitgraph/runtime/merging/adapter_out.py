"""Write a low-rank composition as one adapter that peft and vLLM load: exact, or the best of a given rank.

Exact: the factors of all vectors side by side; ranks add up, and every module is filled up with zeros to one rank,
because servers want one. Best of rank r: the first r singular values of the sum (Eckart-Young), found from the small
matrix between two QR decompositions, never from the full matrix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.tensors.errors import MergeError
from traitgraph.runtime.tensors.writer import check_new, drafted
from traitgraph.runtime.vectors.hooks import stacked
from traitgraph.specs.folders.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS

from .composition import Composition
from .model_card import model_card
from .statistics import WARN_BELOW

if TYPE_CHECKING:
    import torch


_PREFIX = "base_model.model."


@dataclass(frozen=True)
class AdapterReport:
    """What was written: rank, and the relative error |written - asked| / |asked| over all modules."""

    rank: int
    relative_error: float

    @property
    def statistics(self) -> dict[str, Any]:
        """What of the record is different for an adapter: nothing of it is rounded into weights of the base."""
        return {
            "adapter_rank": self.rank,
            "effective_alpha": 1 - self.relative_error**2,  # what is left out is orthogonal to what is kept
            "relative_error": self.relative_error,
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell the user when the rank does not hold the change."""
        effective = self.statistics["effective_alpha"]
        if effective >= WARN_BELOW:
            return ()
        return (f"only {effective:.0%} of the change fits into rank {self.rank}: raise `rank`, or drop it (exact)",)


def write_adapter(
    composition: Composition,
    folder: Path,
    *,
    base_name: str,
    rank: int | None = None,
    record: Mapping[str, Any] | None = None,
) -> AdapterReport:
    """Write adapter_model.safetensors (float32) and adapter_config.json with scale 1 into a new folder.

    `rank` None is exact. The card has the record, with the adapter's own statistics. Raises MergeError when the
    composition is not a sum of low-rank vectors (with the tensor), or the folder is not empty; a half-written adapter
    never has the folder's name.
    """
    from safetensors.torch import save_file

    check_new(folder)
    pairs, report = _pairs(composition, rank)
    about = dict(record or {})
    about |= {"base_name": base_name, "statistics": {**about.get("statistics", {}), **report.statistics}}
    about["warnings"] = [*about.get("warnings", ()), *report.warnings]
    tensors: dict[str, torch.Tensor] = {}
    for name, pair in pairs.items():
        tensors |= _tensors(composition, name, pair, report.rank)
    config = _config(composition, report.rank, base_name)
    with drafted(folder) as draft:
        save_file(tensors, draft / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        (draft / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (draft / "README.md").write_text(model_card(about), encoding="utf-8")
    return report


def _pairs(
    composition: Composition, rank: int | None
) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], AdapterReport]:
    """Both factors of each tensor that changes, exact or cut to a rank, and what the cut lost."""
    check_low_rank(composition)
    pairs = {name: stacked(composition.factors(name) or ()) for name in composition.names}
    lost = asked = 0.0
    if rank is not None:
        for name, (left, right) in pairs.items():
            pairs[name], dropped, whole = truncated(left, right, rank)
            lost, asked = lost + dropped, asked + whole
    width = max(left.shape[1] for left, _ in pairs.values())
    return pairs, AdapterReport(width, sqrt(lost / asked) if asked else 0.0)


def check_low_rank(composition: Composition) -> None:
    """Raise MergeError with the tensor unless an adapter can hold a composition."""
    if not composition.names:
        raise MergeError("nothing is changed: every coefficient is 0, and an adapter of nothing is not written")
    reason = "is not a sum of low-rank changes" if composition.is_linear else f"is changed by {composition.method}"
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
    module = _PREFIX + name.removesuffix(".weight")
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
        "target_modules": _targets(modules),
    }


def _targets(modules: list[str]) -> list[str]:
    """Last parts of the modules' names where every layer has all of them (servers want these), else whole names."""
    last = sorted({module.rpartition(".")[2] for module in modules})
    layers = {module.rpartition(".")[0].rpartition(".")[0] for module in modules}
    return last if len(modules) == len(last) * len(layers) else sorted(modules)
