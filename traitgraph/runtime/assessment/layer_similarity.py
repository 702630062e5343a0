"""How far a subject's hidden states turn away from the base's, layer by layer (Personality Vector, arXiv:2509.19727).

For each row both read the same reply, each under its own prompt. After every block the hidden states are averaged over
the tokens of the reply, and the cosine of the two means is taken: 1 where the subject sees what the base sees. Which
positions count is not in what we have of the paper; the reply's are our choice: they are the same under every prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitgraph.runtime.data.dialogues import Dialogue, load_dialogues, spread_rows
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import PromptMessage, Turn, prompt_message_of, turn
from traitgraph.runtime.models.forward_pass import decoder_blocks, reading, seen_by
from traitgraph.runtime.models.likelihood import BATCH_TOKENS, NoNumbersError, batches_by_length, padded
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark

from .measurement import Measurement, Metric

if TYPE_CHECKING:
    import torch


LAYER = "layer "
"""Start of the metrics' names."""


def remember_base(context: JobContext, loaded: LoadedModel, params: AssessParams) -> None:
    """Take the base's hidden states, once a session; must stand before the subject takes the base's place.

    Raises DialogueError when the data hold no row.
    """
    benchmark = params.benchmark
    if benchmark.kind != "layer_similarity" or (key := _key(context, params)) in context.session:
        return
    leave_subject(context, loaded)
    rows = spread_rows(load_dialogues(context, benchmark.data), benchmark.rows)
    context.session.get(key, lambda: (rows, mean_states(loaded, _turns(loaded, rows, None))))


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """`layer K`: the mean over rows of the cosine after block K, counted from 0, with its standard error over rows."""
    import torch

    rows, base = context.session.get(_key(context, params), _not_remembered)
    states = mean_states(loaded, _turns(loaded, rows, prompt_message_of(context, params.prompt)))
    alike = torch.nn.functional.cosine_similarity(base.double(), states.double(), dim=-1)  # [rows, layers]
    cosines: list[list[float]] = alike.tolist()
    answers = list[dict[str, object]]()
    for row, each in zip(rows, cosines, strict=True):
        place = {"id": row.id, "trait": row.trait, "level": row.level, "split": row.split}
        answers.append({**place, "prompt": str(row.prompt), "reply": row.reply, "cosines": each})
    columns = zip(*cosines, strict=True)
    return Measurement(answers, [Metric.over(f"{LAYER}{layer}", column) for layer, column in enumerate(columns)])


def mean_states(loaded: LoadedModel, turns: Sequence[Turn]) -> torch.Tensor:
    """Hidden states after every block, averaged over the tokens of each reply: float32 on the processor.

    [rows, layers, hidden]; the states of the last block are those before the final norm. Raises NoNumbersError.
    """
    import torch

    size = BATCH_TOKENS.get(loaded.device.type, BATCH_TOKENS["cpu"])
    found: dict[int, torch.Tensor] = {}
    for batch in batches_by_length([len(each.context) + len(each.reply) for each in turns], size):
        means = _batch_means(loaded, [turns[at] for at in batch])
        found |= dict(zip(batch, means, strict=True))
    states = torch.stack([found[at] for at in range(len(turns))])
    if not bool(states.isfinite().all()):
        raise NoNumbersError
    return states


def _batch_means(loaded: LoadedModel, turns: Sequence[Turn]) -> torch.Tensor:
    """[rows, layers, hidden]"""
    import torch

    rows = padded(turns, loaded.device)  # all replies in one column: some subjects change prompts and replies apart
    layers: list[torch.Tensor] = []

    def take_means(states: torch.Tensor) -> None:
        replies = (states[row, rows.start : rows.start + len(each.reply)] for row, each in enumerate(turns))
        layers.append(torch.stack([reply.float().mean(0) for reply in replies]))

    with torch.inference_mode(), reading(rows.start), seen_by(decoder_blocks(loaded.model), take_means, loaded.device):
        loaded.model(
            input_ids=rows.ids,
            attention_mask=rows.mask,
            position_ids=rows.positions,
            use_cache=False,
            logits_to_keep=1,
        )
    return torch.stack(layers, dim=1).cpu()


def _turns(loaded: LoadedModel, rows: Sequence[Dialogue], prompt_message: PromptMessage | None) -> list[Turn]:
    return [turn(loaded.tokenizer, row.prompt, row.reply, prompt_message) for row in rows]


def _key(context: JobContext, params: AssessParams) -> tuple[str, object, str, object]:
    """Generated data are named by their jobs; everything else stands in the benchmark."""
    return "base states", params.model, params.benchmark.model_dump_json(), context.row.inputs.get("data")


def _not_remembered() -> tuple[list[Dialogue], torch.Tensor]:
    raise AssertionError("the job takes the base's states before it makes the subject")
