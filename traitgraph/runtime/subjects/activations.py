"""Steering by a direction of activations: the job `activations` measures it, the subject of `steer` is shifted by it.

Direction = mean at the highest level - mean at the lowest (Persona Vectors: mean over the tokens of each reply, then
over replies), after every block. The replies are given: those of people, of a corpus, or written before by a `generate`
job. The subject: what one block puts out, changed by an operator with the direction.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.data.dialogues import Dialogue, differing_rows, load_dialogues
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.forward_pass import Passes, Positions, decoder_blocks, seen_by
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.vectors.hooks import Removable
from traitgraph.specs.jobs.params import ActivationsParams, OperatorSteering, Steering
from traitgraph.specs.source.hashing import digest_stream
from traitgraph.specs.study.method import Add, SteeringOperator
from traitgraph.specs.study.vocabulary import Level, Vocabulary

from .spans import Span, SteeringError, counted, in_batches, read_batch, reply_span
from .workbench import leave_subject

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


TENSORS, RECORD = "activations.safetensors", "activations.json"
_PARTIAL = "sums.safetensors"


def activations(context: JobContext, params: ActivationsParams) -> None:
    """Measure the direction from the lowest level to the highest after every block.

    reads   data?                      dialogues of `generate` jobs; the training split of the trait
    writes  activations.safetensors    LEVEL (both), direction: float32 [blocks, hidden]
            activations.json           numbers of replies and tokens, norms and projections block by block
    raises  DialogueError for a level without rows, SteeringError where nothing differs, Stopped between two batches
    """
    ends = Vocabulary.of_levels(params.data.levels).ends
    read = differing_rows(load_dialogues(context, params.data), params.trait, params.read_out, ends)
    loaded = open_model(context, params.model)
    leave_subject(context, loaded)
    spans: dict[str, list[Span]] = {
        level: [_span(loaded, row, params.read_out) for row in rows] for level, rows in read.items()
    }
    sums = _sums(
        context, loaded, [(row, batch) for row, level in enumerate(ends) for batch in in_batches(loaded, spans[level])]
    )
    means: dict[str, torch.Tensor] = {level: total / len(spans[level]) for level, total in zip(ends, sums, strict=True)}
    _publish(context.out, params, spans, means, ends)


def _span(loaded: LoadedModel, row: Dialogue, read_out: str) -> Span:
    if read_out == "response":
        return reply_span(loaded.tokenizer, row.prompt, row.reply)
    prompt = prompt_ids(loaded.tokenizer, row.prompt)
    return Span(prompt, 0 if read_out == "prompt" else len(prompt) - 1)


def _sums(context: JobContext, loaded: LoadedModel, batches: Sequence[tuple[int, list[Span]]]) -> torch.Tensor:
    """Sum over replies of their mean activations: float64 [2 levels, blocks, hidden], on the CPU.

    What is summed is kept after each batch, in this order, so that an interrupted job gives the same bits.
    """
    import torch
    from safetensors.torch import save_file

    blocks = decoder_blocks(loaded.model)
    hidden = loaded.model.config.get_text_config().hidden_size
    sums, done = _earlier(context.partial) or (
        torch.zeros(2, len(blocks), hidden, dtype=torch.float64),
        0,
    )
    for number, (row, batch) in enumerate(batches):
        context.progress(number, len(batches), "batches of replies")
        if number < done:
            continue
        if context.stop_wanted():
            raise Stopped("saved")
        sums[row] += _sum_of(loaded, blocks, batch)
        if context.partial is not None:
            tensors = {"sums": sums, "done": torch.tensor(number + 1)}
            save_file(tensors, context.partial / f".{_PARTIAL}", metadata={"seal": _seal(sums, number + 1)})
            (context.partial / f".{_PARTIAL}").replace(context.partial / _PARTIAL)
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


def _seal(sums: torch.Tensor, done: int) -> str:
    return digest_stream(BytesIO(done.to_bytes(8, "little") + sums.numpy().tobytes()))


def _publish(
    out: Path,
    params: ActivationsParams,
    spans: dict[str, list[Span]],
    means: dict[str, torch.Tensor],
    ends: tuple[Level, Level],
) -> None:
    from safetensors.torch import save_file

    upper, lower = ends
    direction = means[upper] - means[lower]
    norms = direction.norm(dim=1)
    if not norms.all():
        raise SteeringError(f"the activations of {params.trait} {upper} and {lower} are equal")
    projections = {level: (mean * direction).sum(1) / norms for level, mean in means.items()}
    tensors = {**means, "direction": direction}
    save_file({name: tensor.float().contiguous() for name, tensor in tensors.items()}, out / TENSORS)
    record = {
        "trait": params.trait,
        "read_out": params.read_out,
        "replies": {level: len(rows) for level, rows in spans.items()},
        "tokens": {level: sum(len(each.tokens) - each.first for each in rows) for level, rows in spans.items()},
        "norms": {name: tensor.norm(dim=1).tolist() for name, tensor in tensors.items()},
        "projections": {level: values.tolist() for level, values in projections.items()},
    }
    write_json(out / RECORD, record)


def shift_activations(model: PreTrainedModel, folder: Path, steering: Steering) -> Removable:
    """Steer the model by the direction of an `activations` artifact; call the result to undo it.

    Raises SteeringError for a layer that the model does not have.
    """
    from safetensors.torch import load_file

    blocks = decoder_blocks(model)
    if not 1 <= steering.layer <= len(blocks):
        raise SteeringError(f"layer {steering.layer}: the model has {len(blocks)} blocks; give 1 to {len(blocks)}")
    direction = load_file(folder / TENSORS)["direction"][steering.layer - 1]
    if steering.normalise:
        direction = direction / direction.norm()
    return steer_block(
        model,
        blocks[steering.layer - 1],
        direction,
        steering.positions,
        coefficient=float(steering.coefficient),
        operator=steering.operation if isinstance(steering, OperatorSteering) else Add(),
    )


def steer_block(
    model: torch.nn.Module,
    block: torch.nn.Module,
    direction: torch.Tensor,
    positions: Positions = "all",
    *,
    coefficient: float = 1.0,
    operator: SteeringOperator | None = None,
) -> Removable:
    """Change the output of a block at some positions, by an operator (absent: add); call the result to stop.

    The operator works in float32, and what it gives is rounded once: a sum with 0 changes nothing.
    """
    passes, act, undo = Passes(model), operator or Add(), contextlib.ExitStack()
    direction = direction.float().to(next(block.parameters()).device)  # [hidden]

    def hook(module: Any, given: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output  # [rows, tokens, hidden]
        at = passes.columns(positions, hidden.shape[1])
        before = hidden[:, at].float()
        after = act.apply(before, direction, coefficient)
        if after.shape != before.shape:  # an assignment would spread it over the positions without an error
            raise SteeringError(
                f"the steering operator {act.kind!r} makes {list(after.shape)} of activations {list(before.shape)}"
            )
        steered = hidden.clone()
        steered[:, at] = after.to(hidden.dtype)
        return (steered, *output[1:]) if isinstance(output, tuple) else steered

    undo.callback(passes.remove)
    undo.enter_context(block.register_forward_hook(hook))
    return undo.close
