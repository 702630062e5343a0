"""Words and categories: what a word is, what an entry matches, and which files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from traitgraph.runtime.assessment.word_categories import LexiconError, category_counts, read_lexicon, words_of


def counts(tmp_path: Path, categories: dict[str, list[str]], text: str) -> dict[str, int]:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(categories), encoding="utf-8")
    return category_counts(read_lexicon(path), words_of(text))


def test_an_entry_matches_whole_words_and_a_star_any_ending(tmp_path: Path) -> None:
    """`happ*` matches happ, happy and Happiness, `sad` only sad; nothing matches inside a word."""
    found = counts(tmp_path, {"joy": ["happ*"], "grief": ["sad"]}, "Happiness, happ, happy, unhappy; sad sadly SAD")
    assert found == {"joy": 3, "grief": 2}


def test_a_word_counts_once_a_category_and_in_every_category(tmp_path: Path) -> None:
    found = counts(tmp_path, {"all": ["lov*", "love", "LOVE"], "verbs": ["love"], "none": ["hate"]}, "I love love.")
    assert found == {"all": 2, "verbs": 2, "none": 0}


def test_apostrophes_of_both_kinds_are_one_and_accents_are_letters(tmp_path: Path) -> None:
    text = "I can\u2019t; can't she? Cafe\u0301 caf\u00e9"
    assert counts(tmp_path, {"negation": ["can\u2019t"], "place": ["CAF\u00c9"]}, text) == {"negation": 2, "place": 2}
    assert len(words_of(text)) == 6


@pytest.mark.parametrize("text", ["", "  \n", "... !? \u2014 _ ' *"])
def test_signs_are_no_words(text: str) -> None:
    assert words_of(text) == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("[]", "must hold categories with their words"),
        ("{}", "must hold categories with their words"),
        ("{", "not JSON"),
        ('{"joy": "happy"}', "category 'joy': needs a list of words"),
        ('{"joy": {"happy": 1}}', "category 'joy': needs a list of words"),
        ('{"joy": []}', "category 'joy': needs a list of words"),
        ('{"joy": [3]}', "category 'joy': 3 is not a text"),
        ('{"joy": ["hap*y"]}', "category 'joy': 'hap*y': `*` can only stand at the end"),
        ('{"joy": ["*"]}', "category 'joy': '*' is not one word"),
        ('{"joy": ["well done"]}', "category 'joy': 'well done' is not one word"),
        ('{"joy": ["x"], "joy": ["y"]}', "category 'joy' stands there 2 times"),
        ('{"words": ["x"]}', "category 'words': a metric of every text has this name"),
        ('{" joy": ["x"]}', "category ' joy': a name needs letters"),
    ],
)
def test_what_could_not_be_counted_is_refused_by_name(tmp_path: Path, document: str, reason: str) -> None:
    path = tmp_path / "words.json"
    path.write_text(document, encoding="utf-8")
    with pytest.raises(LexiconError) as raised:
        read_lexicon(path)
    assert str(raised.value).startswith(f"{path}:")
    assert reason in str(raised.value)


def test_every_fault_is_told_up_to_a_few(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps({"joy": ["a b"] * 22}), encoding="utf-8")
    with pytest.raises(LexiconError, match=r"words.json: and 2 more faults$") as raised:
        read_lexicon(path)
    assert str(raised.value).startswith(f"{path}:1:10: category 'joy': 'a b' is not one word")
