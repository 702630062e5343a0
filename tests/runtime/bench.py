"""Adapters and fine-tunes of a tiny base, and a store in which jobs run as a worker runs them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.jobs.context import JobContext, Session
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.worker.job_kinds import job_kind
from traitgraph.specs.jobs.params import AssessParams, JobRow, MergeParams, VectorParams
from traitgraph.specs.jobs.refs import FolderModel
from traitgraph.specs.source.hashing import digest, digest_path
from traitgraph.specs.study.merge_methods import MergeMethod, TaskArithmetic

if TYPE_CHECKING:
    import torch


def load(folder: Path, dtype: str = "float32") -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()


def untied(base: Path, folder: Path) -> Path:
    """The base with an output head of its own."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32", tie_word_embeddings=False)
    model.lm_head.weight.data = model.model.embed_tokens.weight.data.clone()
    model.save_pretrained(folder)
    return folder


def save_adapter(base: Path, folder: Path, seed: int, **options: Any) -> Path:
    """A LoRA adapter with random factors on both sides, saved by peft itself."""
    import torch
    from peft import LoraConfig, get_peft_model

    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **options}
    torch.manual_seed(seed)
    model = get_peft_model(load(base), LoraConfig(**options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    model.save_pretrained(folder)
    return folder


def save_fine_tune(base: Path, folder: Path, seed: int, size: float = 0.05, dtype: str = "float32") -> Path:
    """The base with noise on every weight, saved by transformers."""
    import torch

    model = load(base, dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_((torch.randn(parameter.shape, generator=generator) * size).to(parameter.dtype))
    model.save_pretrained(folder)
    return folder


@dataclass
class Bench:
    """Runs job functions into a store, all in one session."""

    store: Store
    locations: dict[str, str]
    session: Session = field(default_factory=Session)

    def run(self, kind: str, params: Any, **inputs: tuple[str, ...]) -> str:
        """Run a job and publish its artifact; its key."""
        context = self.context(kind, params, **inputs)
        with self.store.publish(context.row) as out:
            context.out = out
            job_kind(kind).function(context, params)
        return context.row.key

    def context(self, kind: str, params: Any, **inputs: tuple[str, ...]) -> JobContext:
        key = digest(kind, [params, inputs])
        row = JobRow(key=key, kind=kind, version=1, params=params.model_dump(mode="json"), inputs=inputs, label=kind)
        paths = {
            name: tuple(self.store.path(str(self.store.kind_of(each)), each) for each in keys)
            for name, keys in inputs.items()
        }
        return JobContext(row, paths, self.store.root, self.locations, self.session)

    def publish(self, part: str, folder: Path) -> str:
        """Put a trained folder into the store as `adapter/` or `model/`; its key."""
        key = digest("train", digest_path(folder))
        row = JobRow(key=key, kind="train", version=1, params={}, label="train")
        with self.store.publish(row) as out:
            (out / part).mkdir()
            for file in folder.iterdir():
                (out / part / file.name).write_bytes(file.read_bytes())
        return key

    def vector(self, base: Path, part: str, folder: Path, dtype: str = "float32") -> str:
        tuned = self.publish(part, folder)
        return self.run("vector", VectorParams(model=self.ref(base, dtype)), tuned=(tuned,))

    def merge(
        self,
        base: Path,
        vectors: list[str],
        coefficients: list[str],
        method: MergeMethod | None = None,
        dtype: str = "float32",
        onto: tuple[str, str] | None = None,
        **more: Any,
    ) -> str:
        """Merge vectors by key; `onto` is a domain's vector with its factor."""
        params = MergeParams(
            model=self.ref(base, dtype),
            method=method or TaskArithmetic(),
            coefficients=tuple(Decimal(each) for each in coefficients),
            onto=Decimal(onto[1]) if onto else None,
            **more,
        )
        inputs = {"vectors": tuple(vectors)} | ({"onto": (onto[0],)} if onto else {})
        return self.run("merge", params, **inputs)

    def ref(self, base: Path, dtype: str = "float32") -> FolderModel:
        found = digest_path(base)
        self.locations[found] = str(base)
        return FolderModel(digest=found, dtype=dtype)

    def assess_params(self, base: Path, dtype: str = "float32") -> AssessParams:
        benchmark = {"kind": "questionnaire", "items": "0" * 32}
        return AssessParams.model_validate({"model": self.ref(base, dtype).model_dump(), "benchmark": benchmark})

    def record(self, kind: str, key: str, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.store.path(kind, key) / name).read_text())
        return loaded


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of a model's parameters by name."""
    return {name: each.detach().clone() for name, each in model.named_parameters()}


def same_bits(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    import torch

    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
