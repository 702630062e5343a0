"""Written answers: repeatable, and parsed strictly."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.contexts import MakeContext
from tests.runtime.questionnaires import write_questionnaire
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.questionnaires.items import Scale
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.generation import Written, written, written_texts
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import Sampling

SCALE = Scale(min=1, max=5, anchors=("a", "b", "c", "d", "e"))


def test_a_stream_gives_the_same_texts_whatever_was_drawn_before(loaded: LoadedModel) -> None:
    """Equal streams give equal texts, another stream gives others, and the process's generator is left alone."""
    import torch

    prompts = [prompt_ids(loaded.tokenizer, question) for question in ("Hello?", "How was your weekend?", "Why?")]

    def write(stream: str, temperature: float = 1.0) -> list[str]:
        return written_texts(loaded, prompts, temperature=temperature, max_new_tokens=8, stream=stream)

    torch.manual_seed(1)
    expected = torch.rand(1).item()
    torch.manual_seed(1)
    first = write("0/0")
    assert torch.rand(1).item() == expected
    assert write("0/0") == first
    assert write("0/1") != first
    assert write("0/0", temperature=0) == write("0/1", temperature=0)


def test_a_greedy_text_is_the_likeliest_token_again_and_again_whatever_the_model_would_rather(
    loaded: LoadedModel,
) -> None:
    """Token by token, one prompt at a time, without a cache; the model's own settings neither count nor are lost."""
    import torch
    from transformers import GenerationConfig

    prompts = [prompt_ids(loaded.tokenizer, question) for question in ("Hello?", "How was your weekend?", "Why?")]
    expected = []
    for prompt in prompts:
        tokens = list(prompt)
        for _ in range(8):
            with torch.inference_mode():
                tokens.append(int(loaded.model(torch.tensor([tokens])).logits[0, -1].argmax()))
        expected.append(loaded.tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True).strip())
    habits = {"no_repeat_ngram_size": 1, "suppress_tokens": list(range(200)), "num_beams": 3, "min_p": 0.5}
    own = loaded.model.generation_config = GenerationConfig(eos_token_id=2, **habits)
    assert written_texts(loaded, prompts, temperature=0, max_new_tokens=8, stream="0") == expected
    assert loaded.model.generation_config is own


def test_a_reply_ends_at_the_end_of_turn_of_the_model_or_of_its_tokenizer(loaded: LoadedModel) -> None:
    """Models that were tuned for conversations often keep their base's end of text among their settings."""
    import torch

    prompt = prompt_ids(loaded.tokenizer, "Hello?")
    with torch.inference_mode():
        first = int(loaded.model(torch.tensor([prompt])).logits[0, -1].argmax())

    def write() -> Written:
        return written(loaded, [prompt], temperature=0, max_new_tokens=4, stream="0")[0]

    assert not write().finished
    loaded.tokenizer.eos_token = loaded.tokenizer.convert_ids_to_tokens(first)
    assert write() == Written("", finished=True)
    loaded.tokenizer.eos_token = "<|endoftext|>"
    loaded.model.generation_config.eos_token_id = [2, first]
    assert write().finished


def test_failures_are_counted_and_left_out(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path, locations: dict[str, str]
) -> None:
    """A random model writes no numbers: the share of failures says so, and a domain without answers has no value."""
    path = write_questionnaire(tmp_path / "four.json")
    locations[digest_path(path)] = str(path)
    benchmark = ResolvedBenchmark(kind="questionnaire", items=digest_path(path), mode="generate")
    params = AssessParams(model=model_ref, benchmark=benchmark, sampling=Sampling(repeats=2))
    measured = run_benchmark(make_context(params), loaded, params)
    usable = [row for row in measured.answers if row["answer"] is not None]
    assert [row["scale"] for row in measured.answers] == [(1, 5)] * 8
    assert measured.metrics[-1].metric == "parse_failures"
    assert measured.metrics[-1].value == 1 - len(usable) / 8
    for metric in measured.metrics[:-2]:
        assert metric.n == sum((row["trait"], row["repeat"]) == (metric.metric, metric.repeat) for row in usable)
        assert (metric.value is None) == (metric.n == 0)
