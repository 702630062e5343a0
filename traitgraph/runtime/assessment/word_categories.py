"""Let the subject write about itself, or a story, and count the words of each category of a lexicon.

Sources: the self-description of Personality Vector (arXiv:2509.19727), the story of PersonaLLM (arXiv:2305.02547). Both
counted with LIWC, which is the property of others: the lexicon is the user's, a JSON file, category -> words. `*` at
the end of a word stands for any ending, none included, as in the dictionaries of LIWC (Pennebaker, Booth and Francis
2007). Case does not matter; a curly apostrophe counts as a straight one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

from traitgraph.runtime.data.data_files import (
    DataError,
    NotJson,
    fault_at,
    first_faults,
    json_value,
    not_json,
    placed,
    shown,
    text_of,
)
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import verified
from traitgraph.runtime.models.chat import prompt_ids, prompt_message_of
from traitgraph.runtime.models.generation import engine_of
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.training import Sampling

from .measurement import Measurement, Metric, disclaimers

WORDS, EMPTY, CUT = RESERVED = ("words", "empty_texts", "cut_texts")
"""Metrics that stand beside the categories."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class LexiconError(DataError):
    """A lexicon that cannot be counted with: what is wrong with which category and word."""


class Category(NamedTuple):
    """The words of one category, in the form that `words_of` gives."""

    words: frozenset[str]
    stems: tuple[str, ...]
    """Starts of words; any ending follows."""


Lexicon = Mapping[str, Category]


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
    rows = []
    for (repeat, prompt), each in zip(asked, texts, strict=True):
        words = words_of(each.text)
        rows.append(TextRow(repeat, prompt, each.text, each.finished, len(words), category_counts(lexicon, words)))
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
        *(Metric.over(name, [row.counts[name] / row.words for row in full]) for name in categories),
        Metric.over(WORDS, [row.words for row in rows]),
        Metric.share(EMPTY, (not row.words for row in rows)),
        Metric.share(CUT, (not row.finished for row in rows)),
        disclaimers(row.text for row in rows),
    ]


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, with apostrophes inside; hyphens part words.

    >>> words_of("Don\u2019t worry: well-known rock 'n' roll, 3 o'clock.")
    ["don't", 'worry', 'well', 'known', 'rock', 'n', 'roll', '3', "o'clock"]
    """
    return _WORD.findall(_plain(text))


def category_counts(lexicon: Lexicon, words: list[str]) -> dict[str, int]:
    """How many of the words stand in each category; each once a category, however many entries match it.

    >>> lexicon = {"joy": Category(frozenset({"fun"}), ("happ",)), "self": Category(frozenset({"i"}), ())}
    >>> category_counts(lexicon, words_of("I am happy. Happiness is fun, and I like it."))
    {'joy': 3, 'self': 2}
    """
    counts = dict.fromkeys(lexicon, 0)
    for word, number in Counter(words).items():
        for name, category in lexicon.items():
            if word in category.words or word.startswith(category.stems):
                counts[name] += number
    return counts


def read_lexicon(path: Path) -> dict[str, Category]:
    """The categories of a JSON file, in its order. Raises LexiconError that names what does not fit."""
    text = text_of(path)
    categories = json_value(text, object_pairs_hook=_Pairs)
    if isinstance(categories, NotJson):
        raise LexiconError([not_json(text, shown(path), categories)])
    if not isinstance(categories, _Pairs) or not categories:
        hint = 'such as {"joy": ["happy", "laugh*"], ...}'
        raise LexiconError([fault_at(path, None, "must hold categories with their words", hint)])
    names = Counter(name for name, _ in categories)
    twice = [(name, number) for name, number in names.items() if number > 1]
    found: list[tuple[tuple[str | int, ...], str]]
    found = [((name,), f"category '{name}' stands there {number} times") for name, number in twice]
    found += [
        ((name, *place), f"category '{name}': {what}")
        for name, entries in categories
        for place, what in _faults(name, entries)
    ]
    if found:
        document = placed(path, text)
        faults = [fault_at(path, document.value_span(place) if document else None, told) for place, told in found]
        raise LexiconError(first_faults(faults, shown(path)))
    lexicon = {}
    for name, entries in categories:
        plain = [_plain(entry) for entry in entries]
        stems = dict.fromkeys(entry.removesuffix("*") for entry in plain if entry.endswith("*"))
        lexicon[name] = Category(frozenset(entry for entry in plain if not entry.endswith("*")), tuple(stems))
    return lexicon


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name that stands there twice is seen."""


def _faults(name: str, entries: object) -> Iterator[tuple[tuple[int, ...], str]]:
    """What is wrong with a category, or with some of its words, by their number."""
    if name in RESERVED:
        yield (), "a metric of every text has this name; give it another one"
    elif not name.strip() or name != name.strip():
        yield (), "a name needs letters, and no space around them"
    elif not isinstance(entries, list) or isinstance(entries, _Pairs) or not entries:
        yield (), "needs a list of words"
    else:
        for number, entry in enumerate(entries):
            if not isinstance(entry, str):
                yield (number,), f"{json.dumps(entry)} is not a text"
            elif "*" in entry.removesuffix("*"):
                yield (number,), f"'{entry}': `*` can only stand at the end"
            elif _WORD.fullmatch(_plain(entry.removesuffix("*"))) is None:
                what = "is not one word of letters and digits (apostrophes inside), so nothing would match it"
                yield (number,), f"'{entry}' {what}"


def _plain(text: str) -> str:
    return normalize("NFC", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).lower()
