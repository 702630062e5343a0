"""Shares of word categories in texts that a model writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.assessment.word_categories import TextRow, category_counts, read_lexicon, word_metrics, words_of
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.generation import written
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams, Prompt
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import Sampling

PROMPTS = ("Tell me about yourself.", "Who are you?")
CATEGORIES = {"vowels": ["a*", "e*", "i*", "o*", "u*"], "digits": [f"{digit}*" for digit in range(10)]}


def row(words: int, joy: int = 0, *, finished: bool = True) -> TextRow:
    return TextRow(0, "", "", finished, words, {"joy": joy})


def test_a_share_is_of_the_words_of_each_text_and_an_empty_text_has_none() -> None:
    """Texts weigh the same however long they are; a text without words is counted, and no share of 0."""
    found = {each.metric: each for each in word_metrics(["joy"], [row(10, 5), row(100, 10, finished=False), row(0)])}
    assert found["joy"].value == pytest.approx((0.5 + 0.1) / 2)
    assert found["joy"].n == 2
    assert found["joy"].stderr == pytest.approx(0.2)
    assert found["words"].value == pytest.approx(110 / 3)
    assert found["words"].n == 3
    assert found["empty_texts"].value == pytest.approx(1 / 3)
    assert found["cut_texts"].value == pytest.approx(1 / 3)
    assert {each.role for name, each in found.items() if name.endswith("_texts")} == {"validity"}


def test_shares_of_empty_texts_alone_are_undefined() -> None:
    assert word_metrics(["joy"], [row(0), row(0)])[0].value is None


@pytest.fixture
def lexicon(tmp_path: Path, locations: dict[str, str]) -> Path:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(CATEGORIES), encoding="utf-8")
    locations[digest_path(path)] = str(path)
    return path


@pytest.mark.parametrize("kind", ["linguistic", "story"])
def test_raw_texts_hold_every_metric_and_come_again(
    make_context: MakeContext,
    loaded: LoadedModel,
    model_ref: FolderModel,
    lexicon: Path,
    kind: str,
) -> None:
    """Each prompt is answered `repeats` times; the same job writes the same texts, a prompt or seed changes them."""

    def measure(seed: int = 0, prompt: Prompt | None = None) -> Measurement:
        benchmark = ResolvedBenchmark(kind=kind, lexicon=digest_path(lexicon), prompts=PROMPTS)
        sampling = Sampling(temperature=1.0, repeats=3, seed=seed, max_new_tokens=24)
        params = AssessParams(model=model_ref, benchmark=benchmark, sampling=sampling, prompt=prompt)
        return run_benchmark(make_context(params), loaded, params)

    found = measure()
    assert [(each["repeat"], each["prompt"]) for each in found.answers] == [(n, p) for n in range(3) for p in PROMPTS]
    texts = [str(each["text"]) for each in found.answers]
    assert len(set(texts)) == 6
    for each, text in zip(found.answers, texts, strict=True):
        assert each["words"] == len(words_of(text))
        assert each["counts"] == category_counts(read_lexicon(lexicon), words_of(text))
    rows = [TextRow(**each) for each in found.answers]  # type: ignore[arg-type]  # rows as they are written
    assert word_metrics(list(CATEGORIES), rows) == found.metrics
    others = (measure(seed=1), measure(prompt=Prompt(system="You are shy.")))
    assert all(other.answers != found.answers for other in others)
    assert measure() == found


def test_a_text_that_the_model_ends_is_finished(loaded: LoadedModel) -> None:
    """With the same random numbers, what ended within a few tokens ends there under a larger limit too."""
    prompts = [prompt_ids(loaded.tokenizer, "Hello?")] * 8
    few, many = (written(loaded, prompts, temperature=20.0, max_new_tokens=limit, stream="3") for limit in (150, 600))
    ended = [at for at, each in enumerate(few) if each.finished]
    assert 0 < len(ended) < len(few)
    assert [few[at] for at in ended] == [many[at] for at in ended]
    assert sum(each.finished for each in many) > len(ended)
    assert all(long.text.startswith(short.text) for short, long in zip(few, many, strict=True))
