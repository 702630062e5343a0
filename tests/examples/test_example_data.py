"""What the example data promise: balanced, short, distinct, and carried by content rather than by punctuation."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from statistics import mean

import pytest
import yaml

from traitgraph.specs.study.vocabulary import BIG_FIVE

LEVELS, TRAITS = tuple(BIG_FIVE.levels), tuple(BIG_FIVE.traits)

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"
QUESTIONNAIRES = ROOT / "traitgraph" / "specs" / "library" / "questionnaire"

Row = dict[str, str]


def read_rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def tokens(text: str) -> list[str]:
    """Words and punctuation marks: within 3 % of the number of subword tokens for these plain sentences."""
    return re.findall(r"[A-Za-z']+|[^\sA-Za-z]", text)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def phrases(text: str, length: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[start : start + length]) for start in range(len(found) - length + 1)}


def overlap(one: str, other: str) -> float:
    """Shared words over all words (Jaccard)."""
    left, right = set(words(one)), set(words(other))
    return len(left & right) / len(left | right)


PROMISED = {
    "dialogues": (TRAITS, {"train": 40, "heldout": 12}),
    "sycophancy": (("sycophancy",), {"train": 28, "heldout": 12}),
}


@pytest.fixture(scope="module", params=PROMISED)
def dialogues(request: pytest.FixtureRequest) -> list[Row]:
    rows = read_rows(DATA / f"{request.param}.jsonl")
    traits, splits = PROMISED[request.param]
    counts = Counter((row["trait"], row["level"], row["split"]) for row in rows)
    assert counts == {(t, lv, split): n for t in traits for lv in LEVELS for split, n in splits.items()}
    return [{key: str(value) for key, value in row.items()} for row in rows]


def test_a_pair_is_one_high_and_one_low_reply_to_the_same_prompt(dialogues: list[Row]) -> None:
    pairs: dict[str, list[Row]] = defaultdict(list)
    for row in dialogues:
        pairs[row["pair"]].append(row)
    for pair, rows in pairs.items():
        assert sorted(row["level"] for row in rows) == ["high", "low"], pair
        assert len({(row["prompt"], row["trait"], row["split"]) for row in rows}) == 1, pair
        assert all(row["id"] == f"{pair}-{row['level']}" for row in rows)


def test_rows_have_exactly_the_documented_fields(dialogues: list[Row]) -> None:
    fields = {"id", "trait", "level", "split", "prompt", "reply", "pair"}
    assert all(row.keys() == fields and all(row.values()) for row in dialogues)


def test_prompts_and_replies_are_short(dialogues: list[Row]) -> None:
    assert all(len(tokens(row["prompt"])) <= 20 for row in dialogues)
    assert [row["id"] for row in dialogues if not 12 <= len(tokens(row["reply"])) <= 28] == []


def test_nothing_is_said_twice(dialogues: list[Row]) -> None:
    assert len({row["reply"] for row in dialogues}) == len(dialogues)
    assert len({row["prompt"] for row in dialogues}) == len(dialogues) / 2


def by_condition(rows: list[Row], *more: str) -> dict[tuple[str, ...], dict[str, list[str]]]:
    """Trait (and more) -> level -> replies."""
    found: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[(row["trait"], *(row[key] for key in more))][row["level"]].append(row["reply"])
    return found


def test_high_and_low_replies_are_equally_long_within_ten_percent(dialogues: list[Row]) -> None:
    for condition, replies in by_condition(dialogues, "split").items():
        length = {level: mean(len(tokens(reply)) for reply in replies[level]) for level in LEVELS}
        assert abs(length["high"] - length["low"]) < 0.1 * length["low"], (condition, length)


def test_no_reply_shouts_or_asks(dialogues: list[Row]) -> None:
    """A level that shows in exclamation marks would be learnt as punctuation."""
    assert [row["id"] for row in dialogues if set("!?") & set(row["reply"])] == []


def test_commas_do_not_give_the_level_away(dialogues: list[Row]) -> None:
    for trait, replies in by_condition(dialogues).items():
        commas = {level: sum(reply.count(",") for reply in replies[level]) for level in LEVELS}
        assert max(commas.values()) < 1.3 * min(commas.values()), (trait, commas)


def test_openings_vary(dialogues: list[Row]) -> None:
    """No two words open more than a seventh of the replies of one trait and level."""
    for trait, levels in by_condition(dialogues).items():
        for level, replies in levels.items():
            _, most = Counter(tuple(words(reply)[:2]) for reply in replies).most_common(1)[0]
            assert most <= len(replies) / 7, (trait, level)


def test_held_out_replies_share_no_phrase_of_five_words_with_training_replies(dialogues: list[Row]) -> None:
    seen = {phrase for row in dialogues if row["split"] == "train" for phrase in phrases(row["reply"], 5)}
    leaks = {row["id"]: phrases(row["reply"], 5) & seen for row in dialogues if row["split"] == "heldout"}
    assert {key: shared for key, shared in leaks.items() if shared} == {}


def test_replies_of_different_pairs_are_not_near_duplicates(dialogues: list[Row]) -> None:
    for one, other in combinations(dialogues, 2):
        if one["pair"] != other["pair"]:
            assert overlap(one["reply"], other["reply"]) < 0.5, (one["id"], other["id"])


def test_held_out_prompts_are_other_topics(dialogues: list[Row]) -> None:
    """What a prompt is about are its words outside the common frame ('how do you feel about ...')."""
    prompts = {row["prompt"]: row for row in dialogues}
    frame = {word for word, count in Counter(w for prompt in prompts for w in words(prompt)).items() if count > 7}
    for one, other in combinations(prompts, 2):
        if prompts[one]["trait"] == prompts[other]["trait"] and prompts[one]["split"] != prompts[other]["split"]:
            left, right = set(words(one)) - frame, set(words(other)) - frame
            assert len(left & right) <= min(len(left), len(right)) / 2, (one, other)


def test_reasoning_questions_have_four_distinct_options_and_balanced_answers() -> None:
    questions = read_rows(DATA / "everyday-reasoning" / "everyday_reasoning.jsonl")
    assert len(questions) == 24
    assert all(len(set(row["options"])) == 4 for row in questions)  # type: ignore[call-overload]  # plain JSON
    assert len({row["question"] for row in questions}) == 24
    assert Counter(row["answer"] for row in questions) == {0: 6, 1: 6, 2: 6, 3: 6}


def test_the_longest_option_is_not_usually_right() -> None:
    """Choosing the longest or the shortest text must not beat knowing the answer."""
    questions = read_rows(DATA / "everyday-reasoning" / "everyday_reasoning.jsonl")
    for pick in (max, min):
        hits = 0
        for row in questions:
            options: list[str] = row["options"]  # type: ignore[assignment]  # plain JSON
            hits += pick(options, key=len) == options[int(str(row["answer"]))]
        assert hits <= 12


def test_the_reasoning_task_names_its_file_beside_itself() -> None:
    folder = DATA / "everyday-reasoning"
    task = yaml.safe_load((folder / "everyday_reasoning.yaml").read_text(encoding="utf-8"))
    assert task["task"] == "everyday_reasoning"
    assert task["output_type"] == "multiple_choice"
    assert all((folder / name).is_file() for name in task["dataset_kwargs"]["data_files"].values())


@pytest.mark.parametrize(
    ("name", "items", "reversed_items"),
    [("mini-ipip", 20, 11), ("ipip-neo-120", 120, 55), ("ipip-neo-300", 300, 148), ("mpi-120", 120, 55)],
)
def test_a_questionnaire_has_its_published_shape(name: str, items: int, reversed_items: int) -> None:
    """Donnellan et al. 2006: 4 items per domain, 11 of 20 reversed; Johnson 2014: 24 per domain, 55 of 120 reversed."""
    questionnaire = json.loads((QUESTIONNAIRES / f"{name}.json").read_text(encoding="utf-8"))
    rows = questionnaire["items"]
    assert [row["id"] for row in rows] == list(range(1, items + 1))
    assert Counter(row["domain"] for row in rows) == dict.fromkeys("OCEAN", items // 5)
    assert Counter(row["keyed"] for row in rows) == {1: items - reversed_items, -1: reversed_items}
    assert len({row["text"] for row in rows}) == items
    assert len(questionnaire["response_scale"]["anchors"]) == 5
    assert "ublic domain" in questionnaire["licence"]
    assert questionnaire["source"]


@pytest.mark.parametrize("name", ["mini-ipip", "ipip-neo-120", "ipip-neo-300"])
def test_second_person_statements_address_the_reader(name: str) -> None:
    questionnaire = json.loads((QUESTIONNAIRES / f"{name}.json").read_text(encoding="utf-8"))
    for row in questionnaire["items"]:
        statement = row["second_person"]
        assert statement.startswith("You ")
        assert statement.endswith(".")
        assert not {"i", "i'm", "my", "myself", "am"} & set(words(statement)), statement


def test_each_facet_of_the_120_items_has_four() -> None:
    rows = json.loads((QUESTIONNAIRES / "ipip-neo-120.json").read_text(encoding="utf-8"))["items"]
    assert Counter(row["facet"] for row in rows) == {f"{d}{f}": 4 for d in "OCEAN" for f in range(1, 7)}


def test_no_copyrighted_items_are_shipped() -> None:
    assert sorted(path.stem for path in QUESTIONNAIRES.glob("*.json")) == [
        "ipip-neo-120", "ipip-neo-300", "mini-ipip", "mpi-120"]  # fmt: skip
