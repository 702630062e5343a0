"""The job `activations`: mean activations of the replies at both levels of a trait, after every block.

Direction = mean at the high level - mean at the low level (Persona Vectors: mean over the tokens of each reply, then
over replies). The replies are given: those of people, of a corpus, or written before by a `generate` job.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.runtime.data.dialogues import Dialogue, differing_rows, load_dialogues
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.blocks import decoder_blocks, seen_by
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.subjects.shift import TENSORS, SteeringError
from traitgraph.runtime.subjects.subjects import leave_subject
from traitgraph.specs.jobs.params import ActivationsParams
from traitgraph.specs.source.hashing import digest_stream
from traitgraph.specs.study.traits import LEVELS, Level

from .spans import Span, counted, in_batches, read_batch, reply_span

if TYPE_CHECKING:
    import torch


RECORD = "activations.json"
_PARTIAL = "sums.safetensors"


def activations(context: JobContext, params: ActivationsParams) -> None:
    """Measure the direction from low to high after every block.

    reads   data?                      dialogues of `generate` jobs; the training split of the trait
    writes  activations.safetensors    high, low, direction: float32 [blocks, hidden]
            activations.json           numbers of replies and tokens, norms and projections block by block
    raises  DialogueError for a level without rows, SteeringError where nothing differs, Stopped between two batches
    """
    read = differing_rows(load_dialogues(context, params.data), params.trait, params.read_out)
    loaded = open_model(context, params.model)
    leave_subject(context, loaded)
    spans: dict[str, list[Span]] = {
        level: [_span(loaded, row, params.read_out) for row in rows] for level, rows in read.items()
    }
    sums = _sums(context, loaded, [(level, batch) for level in LEVELS for batch in in_batches(loaded, spans[level])])
    means: dict[str, torch.Tensor] = {
        level: total / len(spans[level]) for level, total in zip(LEVELS, sums, strict=True)
    }
    _publish(context.out, params, spans, means)


def _span(loaded: LoadedModel, row: Dialogue, read_out: str) -> Span:
    if read_out == "response":
        return reply_span(loaded.tokenizer, row.prompt, row.reply)
    prompt = prompt_ids(loaded.tokenizer, row.prompt)
    return Span(prompt, 0 if read_out == "prompt" else len(prompt) - 1)


def _sums(context: JobContext, loaded: LoadedModel, batches: Sequence[tuple[Level, list[Span]]]) -> torch.Tensor:
    """Sum over replies of their mean activations: float64 [levels, blocks, hidden], on the CPU.

    What is summed is kept after each batch, in this order, so that an interrupted job gives the same bits.
    """
    import torch

    blocks = decoder_blocks(loaded.model)
    hidden = loaded.model.config.get_text_config().hidden_size
    sums, done = _earlier(context.partial) or (torch.zeros(len(LEVELS), len(blocks), hidden, dtype=torch.float64), 0)
    for number, (level, batch) in enumerate(batches):
        context.progress(number, len(batches), "batches of replies")
        if number < done:
            continue
        if context.stop_wanted():
            raise Stopped("saved")
        sums[LEVELS.index(level)] += _sum_of(loaded, blocks, batch)
        _keep(context.partial, sums, number + 1)
    context.progress(len(batches), len(batches), "batches of replies")
    return sums


def _sum_of(loaded: LoadedModel, blocks: Sequence[torch.nn.Module], batch: Sequence[Span]) -> torch.Tensor:
    """Sum over the rows of a batch of the mean over positions that count: float64 [blocks, hidden]."""
    import torch

    mask = counted(batch, loaded.device)
    weights = (mask / mask.sum(1, keepdim=True)).double().flatten()  # [rows * tokens]
    found: list[torch.Tensor] = []
    sum_up = lambda hidden: found.append((weights @ hidden.flatten(0, 1).double()).cpu())  # noqa: E731
    with seen_by(blocks, sum_up, loaded.device):
        read_batch(loaded, batch)
    return torch.stack(found)


def _earlier(partial: Path | None) -> tuple[torch.Tensor, int] | None:
    from safetensors import SafetensorError, safe_open

    if partial is None or not (partial / _PARTIAL).exists():
        return None
    with contextlib.suppress(OSError, SafetensorError), safe_open(partial / _PARTIAL, framework="pt") as file:
        sums, done, sealed = file.get_tensor("sums"), int(file.get_tensor("done")), (file.metadata() or {}).get("seal")
        if sealed == _seal(sums, done):
            return sums, done
    print(f"{partial / _PARTIAL} is damaged, or of an earlier version, and is not used", file=sys.stderr)
    return None


def _keep(partial: Path | None, sums: torch.Tensor, done: int) -> None:
    import torch
    from safetensors.torch import save_file

    if partial is not None:
        tensors, seal = {"sums": sums, "done": torch.tensor(done)}, {"seal": _seal(sums, done)}
        save_file(tensors, partial / f".{_PARTIAL}", metadata=seal)
        (partial / f".{_PARTIAL}").replace(partial / _PARTIAL)


def _seal(sums: torch.Tensor, done: int) -> str:
    return digest_stream(BytesIO(done.to_bytes(8, "little") + sums.numpy().tobytes()))


def _publish(
    out: Path, params: ActivationsParams, spans: dict[str, list[Span]], means: dict[str, torch.Tensor]
) -> None:
    from safetensors.torch import save_file

    direction = means["high"] - means["low"]
    norms = direction.norm(dim=1)
    if not norms.all():
        raise SteeringError(f"the activations of {params.trait} high and low are equal")
    projections = {level: (mean * direction).sum(1) / norms for level, mean in means.items()}
    tensors = {**means, "direction": direction}
    save_file({name: tensor.float().contiguous() for name, tensor in tensors.items()}, out / TENSORS)
    record = {
        "trait": params.trait,
        "read_out": params.read_out,
        "replies": {level: len(rows) for level, rows in spans.items()},
        "tokens": {level: sum(each.length for each in rows) for level, rows in spans.items()},
        "norms": {name: tensor.norm(dim=1).tolist() for name, tensor in tensors.items()},
        "projections": {level: values.tolist() for level, values in projections.items()},
    }
    write_json(out / RECORD, record)
