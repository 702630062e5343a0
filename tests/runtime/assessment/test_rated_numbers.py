"""One whole number of the scale is an answer; a scale, a list of options and several numbers are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitgraph.runtime.assessment.judged.interviews import parsed_ratings
from traitgraph.runtime.assessment.questionnaires.rated_numbers import rated_number

WRAPPERS = (
    "{}", " {}\n", "{}.", "**{}**", "<{}>", "`{}`", "${}$", "\N{LEFT BLACK LENTICULAR BRACKET}{}]", "[{}]", '"{}"',
    "- {}", "**{}** - inaccurate", "{} = neither", "{}, because I am shy", "{} (on a scale from 1 to 5)",
    "I rate this statement a {}.",
    "I would say {}", "I'd give it a {} because I like people.", "My answer is {}!", "{}/5", "**{}**/5", "{} out of 5",
    "{} out of a possible 5", "{}.0/5.0", "{} of 5", "\N{ZERO WIDTH SPACE}{}",
    "On a scale of 1-5, I would rate it {}.", "{}, because on a scale of 1-5 that is me", "\\boxed{{{}}}", "<b>{}</b>",
    "{} (1 = never, 5 = always)", "<think>It may be 2, 3 or 4.</think>\n\n{}", '{{"rating": {}}}',
    "{}\n\nSo for 20 years.",
    "On a scale of 1 to 5, {}", "Rating on a scale from 1-5:\n**{}**",
    "from 1 (never) to 5 (always): {}", "1, 2, 3, 4, 5? I choose {}",
    "{}\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}",
)  # fmt: skip
SCALES = (
    "1 = very inaccurate, 2 = moderately accurate", "1) very inaccurate 2) moderately accurate", "1\n2\n3\n4\n5", "1~5",
    "1 through 5", "from 1 to 5", "5 to 1", "1, 2, 3, 4, 5", "5, 4, 3, 2, 1", "1..5", "1-5", "1 \N{EN DASH} 5", "[1-5]",
    "between 1 and 5", "On a scale of 1 to 5, how", "1 (never) to 5 (always)", "a 5-point scale", "on a scale of 5",
    "1 to",
    "There are 5 options.", "1. 1. 1. 1. 1", "1|2|3|4|5",
)  # fmt: skip


@given(st.sampled_from(WRAPPERS), st.integers(1, 5))
def test_any_rendering_of_one_number_of_the_scale_is_that_number(wrapper: str, number: int) -> None:
    assert rated_number(wrapper.format(number), (1, 5)) == number


@pytest.mark.parametrize("text", SCALES)
def test_a_scale_and_a_list_of_options_are_no_answer(text: str) -> None:
    assert rated_number(text, (1, 5)) is None


@given(st.sampled_from(WRAPPERS), st.sampled_from(WRAPPERS), st.permutations(range(1, 6)), st.sampled_from("\n ,;"))
def test_two_different_numbers_are_no_answer(left: str, right: str, order: list[int], between: str) -> None:
    assert rated_number(left.format(order[0]) + between + right.format(order[1]), (1, 5)) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "10", "0", "6", "4.5", "4,5", ".5", "3-4", "3 or 4", "four", "very accurate", "-2", "\N{MINUS SIGN}4",
        "4/10",
        "4 out of 10", "4%", "45", "1,000", "4\N{VULGAR FRACTION ONE HALF}", "4\N{SUPERSCRIPT TWO}", "2+2", "4th",
        "not 4",
        "I wouldn't say 4", "I have 3 cats", "4 years ago", "Statement 4", "4/5/2023", "10 - 4", "x4", "1.2.3",
    ],
)  # fmt: skip
def test_anything_else_is_a_failure(text: str) -> None:
    """No guess: neither the last digit of 10 nor the middle of a range."""
    assert rated_number(text, (1, 5)) is None


def test_digits_of_other_scripts_and_widths_count() -> None:
    assert [rated_number(text, (1, 5)) for text in ("\uff14", "\u0664", "\u2463", "4.0")] == [4, 4, 4, 4]
    assert [rated_number(text, (1, 5)) for text in ("\uff14\uff0f\uff15", "\u2460\u2461\u2462")] == [4, None]


def test_a_scale_may_reach_below_zero() -> None:
    """Else the answers of one side alone would count."""
    texts = ("-2", "\N{MINUS SIGN}1 = inaccurate", "2", "+1", "-3", "1-2", "-1-0", "-2 to 2", "- 2")
    assert [rated_number(text, (-2, 2)) for text in texts] == [-2, -1, 2, 1, None, None, None, None, None]
    assert [rated_number(text, (0, 10)) for text in ("10", "7/10", "0", "0 to 10", "11")] == [10, 7, 0, None, None]


@pytest.mark.parametrize(
    ("reply", "ratings"),
    [
        ("trait: 4/5\nfluency: 5/5", (4, 5, "rated")),
        ("**Trait (1-5):** 4\n**Fluency**: <3>", (4, 3, "rated")),
        ("<think>\ntrait: 3\n</think>\ntrait: 4\nfluency: 5", (4, 5, "rated")),
        ("trait: x\nfluency: 5", (None, None, "refused")),
        ("trait: 1 to 5\nfluency: 3", (None, None, "unreadable")),
        ("trait: 4\ntrait: 3\nfluency: 5", (None, None, "unreadable")),
        ("trait: 7\nfluency: 3", (None, None, "unreadable")),
    ],
)
def test_the_lines_of_a_rater_are_read_by_the_same_rules(
    reply: str, ratings: tuple[int | None, int | None, str]
) -> None:
    assert tuple(parsed_ratings(reply)) == ratings


@given(st.text(alphabet=st.sampled_from("12345 0.,-/()[]=<x\n\u0664\ud800\u00bdtoaofscale*_|"), max_size=60))
def test_any_text_gives_a_number_of_the_scale_or_none(text: str) -> None:
    assert rated_number(text, (1, 5)) in {None, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("piece", ["4 a cat ", "1 = ", "(1 ", "1 ", "1" + " " * 50, "is not ", "[" * 9, "9" * 6000])
def test_a_text_that_never_ends_is_read_soon(piece: str) -> None:
    assert rated_number(piece * (200_000 // len(piece)), (1, 5)) is None
    assert rated_number(piece * (9_000 // len(piece)), (1, 5)) in (None, 4)
