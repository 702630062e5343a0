"""Vocabularies: what follows from the position of a level; no other code knows the words of traits and levels."""

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import traitgraph
from traitgraph.specs.study.prompts import drawn
from traitgraph.specs.study.vocabulary import BIG_FIVE, Pole, TraitWords, Vocabulary

SOURCE = Path(traitgraph.__file__).parent
NINE = {f"level {step}": step / 4 for step in range(-4, 5)}

SIGNS = ("plus ", "minus ")

Positions = dict[str, float]
mirrored_positions = st.lists(st.floats(0.01, 1), unique=True, min_size=1, max_size=5).map(
    lambda places: {f"{sign}{place}": -place if sign == "minus " else place for place in places for sign in SIGNS}
)


def vocabulary(levels: Positions, **traits: TraitWords) -> Vocabulary:
    return Vocabulary(traits=traits or {"warmth": TraitWords()}, levels=levels)


@given(mirrored_positions, st.randoms())
def test_levels_go_by_their_positions(positions: Positions, random: Random) -> None:
    """The opposite of the opposite is the level itself, at the mirrored position and with the other sign; order and
    ends follow from the positions, in whatever order they are declared.
    """
    shuffled = random.sample(list(positions), len(positions))
    known = vocabulary({name: positions[name] for name in shuffled})
    assert list(known.levels.values()) == sorted(positions.values(), reverse=True)
    assert known.ends == (max(positions, key=positions.__getitem__), min(positions, key=positions.__getitem__))
    for level, position in positions.items():
        assert known.opposite(known.opposite(level)) == level
        assert positions[known.opposite(level)] == -position
        assert known.sign(level) == -known.sign(known.opposite(level)) == math.copysign(1, position)
        assert known.opposites(level) == (known.opposite(level),)
        upper, lower = known.in_descent(level, known.opposite(level))
        assert {upper, lower} == {level, known.opposite(level)}
        assert positions[upper] > 0 > positions[lower]


def test_a_level_in_the_middle_pushes_nowhere_and_is_its_own_opposite() -> None:
    known = vocabulary(NINE)
    assert known.sign("level 0") == 0
    assert known.opposite("level 0") == "level 0"
    assert known.opposites("level 0") == known.ends == ("level 4", "level -4")
    assert known.pole("warmth", "level 0") == Pole()


def test_each_side_of_the_middle_has_the_words_of_its_pole() -> None:
    kind, icy = Pole(adjectives=("kind",)), Pole(adjectives=("icy",))
    known = vocabulary(NINE, warmth=TraitWords(high=kind, low=icy))
    assert [known.pole("warmth", level) for level in ("level 1", "level 4")] == [kind] * 2
    assert [known.pole("warmth", level) for level in ("level -1", "level -4")] == [icy] * 2


@pytest.mark.parametrize(
    ("levels", "traits", "told"),
    [
        ({"high": 1.0, "top": 1.0, "low": -1.0}, {}, "`top` stands where `high` stands"),
        ({"high": 2.0, "low": -1.0}, {}, "less than or equal to 1"),
        ({"high": math.nan, "low": -1.0}, {}, "nan"),
        ({"high": 1.0}, {}, "at least 2"),
        ({"High": 1.0, "low": -1.0}, {}, "'High' cannot be the name"),
        ({"all": 1.0, "low": -1.0}, {}, "'all' cannot be the name"),
        ({"a,b": 1.0, "low": -1.0}, {}, "'a,b' cannot be the name"),
        (NINE, {"warmth": TraitWords(letter="W"), "wit": TraitWords(letter="W")}, "`wit` has the letter of `warmth`"),
        (NINE, {"warmth": TraitWords(), "wit": TraitWords(facet_of="humour")}, "unknown trait 'humour'"),
    ],
)
def test_what_cannot_be_a_vocabulary_is_refused(levels: Positions, traits: dict[str, TraitWords], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        vocabulary(levels, **traits)


def test_a_level_without_an_opposite_and_an_unknown_one_are_told() -> None:
    known = vocabulary({"some": 0.5, "much": 1.0, "none": -1.0})
    assert not known.mirrored("some")
    for asked, level in ((known.opposite, "some"), (known.opposites, "some"), (known.sign, "medium")):
        with pytest.raises(KeyError):
            asked(level)


def test_the_big_five_are_as_they_were() -> None:
    """Frozen values: they are parts of job keys, of artifacts and of what files call a trait."""
    traits = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
    assert tuple(BIG_FIVE.traits) == traits == BIG_FIVE.whole_traits
    assert tuple(BIG_FIVE.levels) == ("high", "low") == BIG_FIVE.ends
    assert BIG_FIVE.trait_of_letter == dict(zip("OCEAN", traits, strict=True))
    assert (BIG_FIVE.opposite("high"), BIG_FIVE.opposite("low")) == ("low", "high")
    assert (BIG_FIVE.sign("high"), BIG_FIVE.sign("low")) == (1, -1)
    assert BIG_FIVE.in_descent("low", "high") == ("high", "low")
    assert BIG_FIVE.in_order({"neuroticism", "openness", "warmth"}) == ("openness", "neuroticism")
    assert BIG_FIVE.place("extraversion", "low") == (2, 1)
    assert BIG_FIVE.place("warmth", "") == (5, 2)
    lower, upper = (drawn("extraversion", level, None, 0) for level in ("low", "high"))
    pairs = list(zip(lower, upper, strict=True))
    assert pairs[:2] == [("unfriendly", "friendly"), ("introverted", "extraverted")]


KNOWN_TO_THE_VOCABULARY = Path("specs/study/vocabulary.py")


def test_nothing_but_the_vocabulary_compares_with_the_word_of_a_level_or_lists_the_traits() -> None:
    """Prompts, messages and pages may say the words; no code may decide by them."""
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE) != KNOWN_TO_THE_VOCABULARY
        for node in _decisions(ast.parse(path.read_text()))
    ]
    assert found == []


def _decisions(tree: ast.AST) -> Iterator[ast.expr | ast.pattern]:
    """Comparisons, look-ups and patterns with a word of the vocabulary, and lists of all traits or levels."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                words = _words(left, *others)
            case ast.Subscript(slice=index):
                words = _words(index)
            case ast.Call(func=ast.Attribute(attr="get" | "index" | "count"), args=args):
                words = _words(*args)
            case ast.MatchValue(value=value):
                words = _words(value)
            case _:
                words = set()
        if words & {*BIG_FIVE.levels, *BIG_FIVE.traits, *BIG_FIVE.trait_of_letter}:
            assert isinstance(node, ast.expr | ast.pattern)
            yield node
        if isinstance(node, ast.Tuple | ast.List | ast.Set) and _listed(_words(node)):
            yield node


def _listed(words: set[str]) -> bool:
    return words >= set(BIG_FIVE.levels) or words >= set(BIG_FIVE.traits) or words >= set(BIG_FIVE.trait_of_letter)


def _words(*nodes: ast.AST) -> set[str]:
    """Words that stand in expressions, alone or in a tuple, list or set."""
    each = [inner for node in nodes for inner in (getattr(node, "elts", None) or [node])]
    return {node.value for node in each if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize(
    "text",
    [
        'level == "high"', 'other(level != "low")', '"high" in levels', 'level in ("high", "middle")',
        'means["high"]', 'means.get("low")', 'for level in ("high", "low"): pass', 'match level:\n case "low": pass',
        'Literal["O", "C", "E", "A", "N"]',
    ],
)  # fmt: skip
def test_the_search_finds_a_decision_by_a_word(text: str) -> None:
    assert list(_decisions(ast.parse(text)))
