"""What guidance costs while a model writes: python benchmarks/decoding.py MODEL_FOLDER.

MODEL_FOLDER holds a chat model that transformers loads (a store has one in `prepare/*/model`). Every way writes the
same greedy tokens from the same prompts, eight rows at once; the expert is a LoRA adapter with random factors. A figure
is CPU time, the median of some rounds in which the ways take turns. Give torch one thread where other programs run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from traitgraph.runtime.decoding.guided import (  # noqa: E402
    Guidance,
    Sampling,
    Variant,
    guided_replies,
)
from traitgraph.runtime.decoding.job import low_rank_changes  # noqa: E402
from traitgraph.runtime.models.chat import prompt_ids  # noqa: E402
from traitgraph.runtime.models.loading import LoadedModel, load_network  # noqa: E402

GAMMA = 0.5
SCENES = ("A friend calls on Friday evening.", "You have a free day. What do you do?", "Your train is late.", "Lunch?")


def main() -> None:
    """Print one line for each way, with its ratio to the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.set_verbosity_error()
    loaded = load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        adapter = save_adapter(options.model, Path(folder))
        ways = ways_of(loaded, options.model, adapter, options.tokens)
        times: dict[str, list[float]] = {name: [] for name in ways}
        written: dict[str, list[list[int]]] = {}
        for number in range(options.rounds + 1):  # the first round warms up
            for name, way in ways.items():
                started = time.process_time()
                written[name] = way()
                times[name] += [time.process_time() - started] if number else []
    plain = statistics.median(times["plain"])
    for name, taken in times.items():
        seconds = statistics.median(taken)
        same = (
            "" if name == "plain" else f"  same tokens: {written[name] == written['steered, one copy of the weights']}"
        )
        print(f"{name:<42}{seconds:8.2f} cpu-s  {seconds / plain:5.2f} x plain{same}", flush=True)


def load(folder: Path) -> LoadedModel:
    model = load_network(str(folder), torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.generation_config.eos_token_id = []  # every way writes the same number of tokens
    tokenizer.pad_token_id, tokenizer.eos_token_id = tokenizer.pad_token_id or tokenizer.eos_token_id, None
    return LoadedModel(model, tokenizer, model.device, model.dtype)


def save_adapter(folder: Path, out: Path) -> Path:
    torch.manual_seed(0)
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
    )
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.002)
    tuned.save_pretrained(str(out))
    return out


def ways_of(loaded: LoadedModel, folder: Path, adapter: Path, count: int) -> dict[str, Callable[[], list[list[int]]]]:
    """Plain decoding, ours, and the ways that libraries offer."""
    prompts = [prompt_ids(loaded.tokenizer, scene) for scene in SCENES * 2]
    told = [prompt_ids(loaded.tokenizer, "You are very outgoing.")] * len(prompts)
    expert = Variant(loaded, low_rank_changes(loaded.model, adapter))
    copy = load(folder)
    copy = LoadedModel(
        PeftModel.from_pretrained(copy.model, str(adapter)).merge_and_unload(), copy.tokenizer, copy.device, copy.dtype
    )
    mixed = PeftModel.from_pretrained(load(folder).model, str(adapter)).eval()
    toggled = PeftModel.from_pretrained(load(folder).model, str(adapter)).eval()
    sampling, guidance = Sampling(0, count), Guidance("difference", GAMMA)

    def ours(*variants: Variant) -> list[list[int]]:
        replies = guided_replies(
            variants, [prompts, told][: len(variants)], guidance, sampling, [str(i) for i in range(8)]
        )
        return [list(reply.tokens) for reply in replies]

    return {
        "plain": lambda: loop(lambda *given: [loaded.model(**one) for one in given], [prompts], count),
        "plain, transformers' generate": lambda: generated(loaded, prompts, count),
        "steered, one copy of the weights": lambda: ours(Variant(loaded), expert),
        "steered, two copies of the weights": lambda: ours(Variant(loaded), Variant(copy)),
        "peft, adapter switched off and on": lambda: loop(lambda a, b: switched(toggled, a, b), [prompts, told], count),
        "peft, adapter by row (mixed batch)": lambda: loop(None, [prompts, told], count, together=mixed),
    }


def switched(model: PeftModel, base: dict[str, Any], expert: dict[str, Any]) -> list[Any]:
    with model.disable_adapter():
        first = model(**base)
    return [first, model(**expert)]


def generated(loaded: LoadedModel, prompts: list[Any], count: int) -> list[list[int]]:
    ids, mask = padded(prompts)
    with torch.inference_mode():
        made = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
    tokens: list[list[int]] = made[:, ids.shape[1] :].tolist()
    return tokens


def loop(step: Any, prompts: list[list[Any]], count: int, together: PeftModel | None = None) -> list[list[int]]:
    """Greedy decoding with a cache for each list of prompts, or one for all of them in one batch."""
    rows = len(prompts[0])
    groups = (
        [padded([p for each in prompts for p in each])] if together is not None else [padded(each) for each in prompts]
    )
    given: list[dict[str, Any]] = [
        {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
        for ids, mask in groups
    ]
    out: list[torch.Tensor] = []
    names = ["__base__"] * rows + ["default"] * rows
    with torch.inference_mode():
        for _ in range(count):
            for each in given:
                each.update(use_cache=True, logits_to_keep=1)
            done = [together(**given[0], adapter_names=names)] if together is not None else step(*given)
            logits = [each.logits[:, -1].float() for each in done]
            if together is not None:
                logits = list(logits[0].split(rows))
            chosen = logits[0] if len(logits) == 1 else logits[0] + GAMMA * (logits[1] - logits[0])
            out.append(chosen.argmax(-1))
            for each, made in zip(given, done, strict=True):
                token = out[-1].repeat(len(each["input_ids"]) // rows).unsqueeze(-1)
                mask = torch.cat([each["attention_mask"], torch.ones_like(token)], -1)
                each.update(
                    input_ids=token, attention_mask=mask, past_key_values=made.past_key_values,
                    position_ids=mask.sum(-1, keepdim=True) - 1,
                )  # fmt: skip
    return torch.stack(out, 1).tolist()


def padded(prompts: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    return ids, torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])


if __name__ == "__main__":
    main()
