"""The job `generate`: one steered reply to each scenario, for one trait and level.

Replies are kept as they are written, so that an interrupted job goes on where it was. A reply without a word is no
dialogue: it is counted and named in the record, and left out of the rows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from traitgraph.runtime.data.dialogues import GENERATED_FILE, Scenario, load_scenarios
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.chat import Lead, prompt_ids
from traitgraph.runtime.models.generation import BATCH_ROWS
from traitgraph.runtime.models.likelihood import Tokens
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.models.prompt_messages import lead_of
from traitgraph.runtime.models.resumable_generation import KeptRows
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.subjects.subjects import leave_subject
from traitgraph.specs.jobs.params import GenerateParams

from .combine import Steering
from .experts import expert_voice
from .guided import Reply, Sampling, steered_replies
from .models_in_step import Voice

RECORD_FILE = "generation.json"


def generate(context: JobContext, params: GenerateParams) -> None:
    """Write a reply to each scenario.

    writes  dialogues.jsonl (rows that training reads), generation.json (counts, settings, speed)
    raises  DialogueError for scenarios that cannot be read or when every reply is empty, VocabularyError for an expert
            of another vocabulary, Stopped between two batches
    """
    scenarios = load_scenarios(context, params.scenarios)[: params.limit]
    if not scenarios:
        raise DialogueError("the scenarios have no rows")
    writer = open_model(context, params.model)
    leave_subject(context, writer)
    voices = _voices(context, params, writer)
    lead = lead_of(context, params.persona)
    prompts = [_prompts(params, scenario, voices, lead) for scenario in scenarios]
    started = time.monotonic()
    kept = KeptRows(context.partial, "replies")
    written = sum(len(reply["tokens"]) for reply in _write(context, params, voices, scenarios, prompts, kept))
    _publish(
        context.out,
        params,
        scenarios,
        {row["number"]: row for row in kept.rows},
        writer.tokenizer.decode(prompts[0][0]),
        written / max(time.monotonic() - started, 1e-9),
    )


def _voices(context: JobContext, params: GenerateParams, writer: LoadedModel) -> list[Voice]:
    """The writer, the expert and, where one is subtracted that is not the writer, the anti-expert."""
    base = writer if params.expert == params.model else open_model(context, params.expert, "expert_model")
    leave_subject(context, base)
    voices = [Voice(writer), expert_voice(context, base, "expert")]
    return [*voices, expert_voice(context, base, "anti")] if params.opposite is not None else voices


def _prompts(params: GenerateParams, scenario: Scenario, voices: Sequence[Voice], lead: Lead | None) -> list[Tokens]:
    """What each voice reads: the writer the scene under its persona, the others their instruction alone."""
    told = (params.instruction, params.opposite or "")
    others = [prompt_ids(v.loaded.tokenizer, text) for v, text in zip(voices[1:], told, strict=False)]
    return [prompt_ids(voices[0].loaded.tokenizer, scenario.prompt, lead), *others]


def _write(
    context: JobContext,
    params: GenerateParams,
    voices: Sequence[Voice],
    scenarios: Sequence[Scenario],
    prompts: Sequence[Sequence[Tokens]],
    kept: KeptRows,
) -> Iterator[dict[str, Any]]:
    """Write what is missing, prompts of like length together; yields each new reply."""
    steering = Steering(params.combine, float(params.gamma), params.filter_p)
    sampling = Sampling(params.temperature, params.max_new_tokens, params.top_p, params.seed)
    there = {row["number"] for row in kept.rows}
    missing = [number for number in range(len(scenarios)) if number not in there]
    missing.sort(key=lambda number: len(prompts[number][0]))
    writer = voices[0].loaded
    size = BATCH_ROWS.get(writer.device.type, BATCH_ROWS["cpu"])
    context.progress(len(kept.rows), len(scenarios), "replies")
    for start in range(0, len(missing), size):
        if context.stop_wanted():
            raise Stopped("saved")
        batch = missing[start : start + size]
        read = [[prompts[number][voice] for number in batch] for voice in range(len(voices))]
        replies = steered_replies(voices, read, steering, sampling, [scenarios[number].id for number in batch])
        rows = [_row(number, reply, writer) for number, reply in zip(batch, replies, strict=True)]
        kept.add(rows)
        context.progress(len(kept.rows), len(scenarios), "replies")
        yield from rows


def _row(number: int, reply: Reply, writer: LoadedModel) -> dict[str, Any]:
    text = writer.tokenizer.decode(reply.tokens, skip_special_tokens=True).strip()
    return {"number": number, "text": text, "finished": reply.finished, "tokens": list(reply.tokens)}


def _publish(
    out: Path,
    params: GenerateParams,
    scenarios: Sequence[Scenario],
    replies: Mapping[int, dict[str, Any]],
    seen: str,
    speed: float,
) -> None:
    written = [(scenario, replies[number]) for number, scenario in enumerate(scenarios)]
    empty = [scenario.id for scenario, reply in written if not reply["text"]]
    if len(empty) == len(written):
        raise DialogueError(f"all {len(empty)} replies are empty: a smaller gamma, or another expert")
    rows = [_dialogue(params, scenario, reply) for scenario, reply in written if reply["text"]]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (out / GENERATED_FILE).write_text("".join(lines), encoding="utf-8")
    record = {
        "trait": params.trait,
        "level": params.level,
        "scenarios": len(written),
        "written": len(rows),
        "empty": empty,
        "cut": sum(not reply["finished"] for _, reply in written),
        "mean_tokens": sum(len(reply["tokens"]) for _, reply in written) / len(written),
        "tokens_per_second": round(speed, 1),
        "writer_sees": seen,
    }
    write_json(out / RECORD_FILE, record)


def _dialogue(params: GenerateParams, scenario: Scenario, reply: Mapping[str, Any]) -> dict[str, Any]:
    """A row under our own field names; high and low replies to one scenario form a pair."""
    return {
        "id": scenario.id,
        "pair": scenario.id,
        "split": scenario.split,
        "trait": params.trait,
        "level": params.level,
        "prompt": scenario.prompt,
        "reply": reply["text"],
        "finished": reply["finished"],
    }
