"""Categories of words: a user's lexicon, and how many words of a text stand in each category.

The file is JSON, category -> words. `*` at the end of a word stands for any ending, none included, as in the
dictionaries of LIWC (Pennebaker, Booth and Francis 2007). Case does not matter; a curly apostrophe counts as a straight
one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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

WORDS, EMPTY, CUT = RESERVED = ("words", "empty_texts", "cut_texts")
"""Metrics that stand beside the categories."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class LexiconError(DataError):
    """A lexicon that cannot be counted with: what is wrong with which category and word."""


@dataclass(frozen=True)
class Category:
    """The words of one category, in the form that `words_of` gives."""

    words: frozenset[str]
    stems: tuple[str, ...]
    """Starts of words; any ending follows."""

    def holds(self, word: str) -> bool:
        """Whether an entry matches a word."""
        return word in self.words or word.startswith(self.stems)


Lexicon = Mapping[str, Category]
Told = tuple[tuple[str | int, ...], str]
"""Place in a file, category and number of the word, and what is wrong there."""


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
    counted = Counter(words)
    return {
        name: sum(number for word, number in counted.items() if category.holds(word))
        for name, category in lexicon.items()
    }


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
    found: list[Told] = [((name,), f"category '{name}' stands there {number} times") for name, number in twice]
    found += [fault for name, entries in categories for fault in _faults(name, entries)]
    if found:
        document = placed(path, text)
        faults = [fault_at(path, document.value_span(place) if document else None, told) for place, told in found]
        raise LexiconError(first_faults(faults, shown(path)))
    return {name: _category(entries) for name, entries in categories}


class _Pairs(list[tuple[str, object]]):
    """A JSON object as its pairs, so that a name that stands there twice is seen."""


def _faults(name: str, entries: object) -> list[Told]:
    if name in RESERVED:
        return [((name,), f"category '{name}': a metric of every text has this name; give it another one")]
    if not name.strip() or name != name.strip():
        return [((name,), f"category '{name}': a name needs letters, and no space around them")]
    if not isinstance(entries, list) or isinstance(entries, _Pairs) or not entries:
        return [((name,), f"category '{name}': needs a list of words")]
    faults = ((place, _fault_of(entry)) for place, entry in enumerate(entries))
    return [((name, place), f"category '{name}': {fault}") for place, fault in faults if fault]


def _fault_of(entry: object) -> str | None:
    if not isinstance(entry, str):
        return f"{json.dumps(entry)} is no text"
    stem = entry.removesuffix("*")
    if "*" in stem:
        return f"'{entry}': `*` can only stand at the end"
    if _WORD.fullmatch(_plain(stem)) is None:
        return f"'{entry}' is not one word of letters and digits (apostrophes inside), so nothing would match it"
    return None


def _category(entries: object) -> Category:
    assert isinstance(entries, list), "checked before"
    plain = [_plain(entry) for entry in entries]
    stems = (entry.removesuffix("*") for entry in plain if entry.endswith("*"))
    return Category(frozenset(entry for entry in plain if not entry.endswith("*")), tuple(dict.fromkeys(stems)))


def _plain(text: str) -> str:
    return normalize("NFC", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).lower()
