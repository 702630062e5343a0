"""Let the subject write about itself, or a story, and count the words of each category of a lexicon.

Sources: the self-description of Personality Vector (arXiv:2509.19727), the story of PersonaLLM (arXiv:2305.02547). Both
counted with LIWC, which is the property of others: the lexicon is the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from traitgraph.runtime.assessment.measurement import Measurement, Metric, disclaimers, mean, standard_error
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.chat import prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import Written, engine_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.benchmarks import ResolvedBenchmark
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.study.training import Sampling

from .lexicon import CUT, EMPTY, WORDS, Lexicon, category_counts, read_lexicon, words_of


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """For each category the mean over texts of its share of a text's words; `sampling.repeats` texts a prompt.

    Raises LexiconError for a lexicon that cannot be counted with.
    """
    lexicon = read_lexicon(verified(context.locations, benchmark.lexicon))
    sampling, prompt_message = params.sampling or Sampling(), prompt_message_of(context, params.prompt)
    asked = list(product(range(sampling.repeats), benchmark.prompts))
    texts = engine_of(sampling).write(
        loaded,
        [prompt_ids(loaded.tokenizer, prompt, prompt_message) for _, prompt in asked],
        temperature=sampling.temperature,
        max_new_tokens=sampling.max_new_tokens,
        stream=str(sampling.seed),
        on_batch=lambda done, total: context.progress(done, total, "texts"),
    )
    rows = [_row(lexicon, repeat, prompt, text) for (repeat, prompt), text in zip(asked, texts, strict=True)]
    return Measurement([row._asdict() for row in rows], word_metrics(list(lexicon), rows))


class TextRow(NamedTuple):
    """One text and what was counted in it."""

    repeat: int
    prompt: str
    text: str
    finished: bool
    """Whether the model ended it, before `max_new_tokens`."""
    words: int
    counts: dict[str, int]
    """Category -> words."""


def _row(lexicon: Lexicon, repeat: int, prompt: str, text: Written) -> TextRow:
    words = words_of(text.text)
    return TextRow(repeat, prompt, text.text, text.finished, len(words), category_counts(lexicon, words))


def word_metrics(categories: Sequence[str], rows: Sequence[TextRow]) -> list[Metric]:
    """Every metric of some texts; standard errors are over texts.

    score     <category>    mean share of a text's words, over the texts with words (`n`)
              words         mean number of words, over all texts
    validity  empty_texts   share of the texts without any word: left out of the shares
              cut_texts     share of the texts that `max_new_tokens` ended
              disclaimers   share of the texts that call their author an AI
    """
    full = [row for row in rows if row.words]
    return [
        *(_over_texts(name, [row.counts[name] / row.words for row in full]) for name in categories),
        _over_texts(WORDS, [float(row.words) for row in rows]),
        Metric(EMPTY, mean([float(not row.words) for row in rows]), len(rows), role="validity"),
        Metric(CUT, mean([float(not row.finished) for row in rows]), len(rows), role="validity"),
        disclaimers([row.text for row in rows]),
    ]


def _over_texts(name: str, values: list[float]) -> Metric:
    return Metric(name, mean(values), len(values), standard_error(values))
