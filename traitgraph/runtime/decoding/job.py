"""The job `generate`: one reply, guided by an expert, to each scenario, for one trait and level.

Replies are kept as they are written, so that an interrupted job goes on where it was. A reply without a word is no
dialogue: it is counted and named in the record, and left out of the rows.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.data.conversations import Said, messages_of
from traitgraph.runtime.data.dialogues import GENERATED_FILE, Scenario, read_scenarios
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.jobs.process import quiet_libraries
from traitgraph.runtime.models.chat import PromptMessage, prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import BATCH_ROWS
from traitgraph.runtime.models.likelihood import Tokens
from traitgraph.runtime.models.loading import LoadedModel, load_network, open_model
from traitgraph.runtime.models.resumable_generation import KeptRows
from traitgraph.runtime.store.durable import write_json, write_json_lines
from traitgraph.runtime.subjects.workbench import leave_subject
from traitgraph.runtime.vectors.adapters import read_adapter
from traitgraph.runtime.vectors.hooks import Terms, module_of, takes_low_rank
from traitgraph.specs.jobs.params import GenerateParams

from .guided import Guidance, Sampling, Variant, guided_replies

if TYPE_CHECKING:
    import torch


RECORD_FILE = "generation.json"


def generate(context: JobContext, params: GenerateParams) -> None:
    """Write a reply to each scenario.

    writes  dialogues.jsonl (rows that training reads), generation.json (counts, settings, speed)
    raises  DialogueError for scenarios that cannot be read or when every reply is empty, VocabularyError for an expert
            of another vocabulary, Stopped between two batches
    """
    scenarios = read_scenarios.load(context, params.scenarios)[: params.limit]
    if not scenarios:
        raise DialogueError("the scenarios have no rows")
    writer = open_model(context, params.model)
    leave_subject(context, writer)
    base = writer if params.expert == params.model else open_model(context, params.expert, "expert_model")
    leave_subject(context, base)
    others = ["expert"] if params.opposite is None else ["expert", "anti"]  # without one the writer is subtracted
    variants = [Variant(writer), *(expert_variant(context, base, name) for name in others)]
    prompt_message = prompt_message_of(context, params.persona)
    prompts = [_prompts(params, scenario, variants, prompt_message) for scenario in scenarios]
    started = time.monotonic()
    kept = KeptRows(context.partial, "replies")
    written = sum(len(reply["tokens"]) for reply in _write(context, params, variants, scenarios, prompts, kept))
    _publish(
        context.out,
        params,
        scenarios,
        {row["number"]: row for row in kept.rows},
        writer.tokenizer.decode(prompts[0][0]),
        written / max(time.monotonic() - started, 1e-9),
    )


def expert_variant(context: JobContext, base: LoadedModel, name: str) -> Variant:
    """The variant of the trained artifact that is input `name`; without such an input the base is the expert.

    A plain LoRA adapter acts beside the base's weights. Anything else (every weight trained, saved modules, biases,
    DoRA) is a model of its own, which the session keeps.
    """
    folders = context.inputs.get(name)
    if not folders:
        return Variant(base)
    adapter = folders[0] / "adapter"
    if adapter.is_dir() and (changes := low_rank_changes(base.model, adapter)):
        return Variant(base, changes)
    key = ("expert", context.row.inputs[name][0])
    return Variant(context.session.get(key, lambda: _model_of_its_own(base, folders[0])))


def low_rank_changes(model: torch.nn.Module, adapter: Path) -> Mapping[str, Terms]:
    """The change of an adapter by weight, when that is all it is; empty when it is more."""
    read = read_adapter(adapter, dict(model.named_parameters()))
    if not read.is_plain or not all(takes_low_rank(module_of(model, name)) for name in read.factors):
        return {}
    return {name: [(1.0, factors)] for name, factors in read.factors.items()}


def _model_of_its_own(base: LoadedModel, trained: Path) -> LoadedModel:
    """Trained weights as they are; an adapter merged into a copy of the base, by the library that trained it."""
    if not (trained / "adapter").is_dir():
        model = load_network(str(trained / "model"), base.dtype)
    else:
        from peft import PeftModel

        with quiet_libraries():
            tuned = PeftModel.from_pretrained(copy.deepcopy(base.model), str(trained / "adapter"))
            model = tuned.merge_and_unload().eval()
    return LoadedModel(model, base.tokenizer, model.device, base.dtype)


def _prompts(
    params: GenerateParams, scenario: Scenario, variants: Sequence[Variant], prompt_message: PromptMessage | None
) -> list[Tokens]:
    """What each variant reads: the writer the scene under its persona, the others their instruction alone."""
    told = (params.instruction, params.opposite or "")
    others = [prompt_ids(v.loaded.tokenizer, text) for v, text in zip(variants[1:], told, strict=False)]
    return [prompt_ids(variants[0].loaded.tokenizer, scenario.prompt, prompt_message), *others]


def _write(
    context: JobContext,
    params: GenerateParams,
    variants: Sequence[Variant],
    scenarios: Sequence[Scenario],
    prompts: Sequence[Sequence[Tokens]],
    kept: KeptRows,
) -> Iterator[dict[str, Any]]:
    """Write what is missing, prompts of like length together; yields each new reply."""
    guidance = Guidance(params.combine, float(params.gamma), params.filter_p)
    sampling = Sampling(params.temperature, params.max_new_tokens, params.top_p, params.seed)
    there = {row["number"] for row in kept.rows}
    missing = [number for number in range(len(scenarios)) if number not in there]
    missing.sort(key=lambda number: len(prompts[number][0]))
    writer = variants[0].loaded
    size = BATCH_ROWS.get(writer.device.type, BATCH_ROWS["cpu"])
    context.progress(len(kept.rows), len(scenarios), "replies")
    for start in range(0, len(missing), size):
        if context.stop_wanted():
            raise Stopped("saved")
        batch = missing[start : start + size]
        read = [[prompts[number][variant] for number in batch] for variant in range(len(variants))]
        replies = guided_replies(variants, read, guidance, sampling, [scenarios[number].id for number in batch])
        texts = writer.tokenizer.batch_decode([list(reply.tokens) for reply in replies], skip_special_tokens=True)
        rows = [
            {"number": number, "text": text.strip(), "finished": reply.finished, "tokens": list(reply.tokens)}
            for number, text, reply in zip(batch, texts, replies, strict=True)
        ]
        kept.add(rows)
        context.progress(len(kept.rows), len(scenarios), "replies")
        yield from rows


def _said(prompt: Said, reply: str) -> dict[str, object]:
    """A prompt and its reply as training reads them."""
    if isinstance(prompt, str):
        return {"prompt": prompt, "reply": reply}
    return {"messages": [*messages_of(prompt), {"role": "assistant", "content": reply}]}


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
    rows = [
        {
            "id": scenario.id,
            "pair": scenario.id,  # replies of all levels to one scenario form a pair
            "split": scenario.split,
            "trait": params.trait,
            "level": params.level,
            **_said(scenario.prompt, reply["text"]),
            "finished": reply["finished"],
        }
        for scenario, reply in written
        if reply["text"]
    ]
    write_json_lines(out / GENERATED_FILE, rows)
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
