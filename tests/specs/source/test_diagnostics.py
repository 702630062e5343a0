"""Messages as text and as data: order, windows of long lines, nothing that drives a terminal."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitgraph.specs.fields.pydantic_errors import keys_of
from traitgraph.specs.source.aliases import ALIASES
from traitgraph.specs.source.diagnostics import (
    LINE_WIDTH,
    Span,
    SpecError,
    error,
    near_names,
    printable,
    render_json,
    render_text,
    warning,
    without_escapes,
)
from traitgraph.specs.study.benchmarks import BENCHMARKS, LM_EVAL_TASKS, questionnaire_names
from traitgraph.specs.study.merge_methods import MERGE_METHODS
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.study import Arm, Study
from traitgraph.specs.study.training import DpoTraining, Lora, Sampling, Validation
from traitgraph.specs.study.vocabulary import BIG_FIVE

LEVELS, TRAITS = tuple(BIG_FIVE.levels), tuple(BIG_FIVE.traits)

SPAN = Span("spec.yaml", 14, 14, 17, "    dataset: trait-bigfive-dev")


def test_text_shows_what_where_and_the_repair() -> None:
    fault = error("TG106", "unknown dataset 'trait-bigfive-dev'", SPAN, "dataset", "near: trait-bigfive-eval")
    assert render_text([fault]) == (
        "error[TG106]: unknown dataset 'trait-bigfive-dev'\n"
        "  --> spec.yaml:14:14\n"
        "   |\n"
        "14 |     dataset: trait-bigfive-dev\n"
        "   |              ^^^^^^^^^^^^^^^^^\n"
        "   = near: trait-bigfive-eval\n"
        "   = see: traitgraph explain TG106\n"
    )


def test_json_has_every_field_and_null_where_there_is_no_place() -> None:
    told = render_json([warning("TG130", "a lot", None, "alpha"), error("TG106", "x", SPAN, "dataset", "near: y")])
    assert told == {
        "ok": False,
        "diagnostics": [
            {
                "code": "TG106", "severity": "error", "message": "x", "file": "spec.yaml", "line": 14, "column": 14,
                "path": "dataset", "hint": "near: y",
            },
            {
                "code": "TG130", "severity": "warning", "message": "a lot", "file": None, "line": None, "column": None,
                "path": "alpha", "hint": None,
            },
        ],
    }  # fmt: skip


def test_warnings_alone_are_ok() -> None:
    assert render_json([warning("TG130", "a lot")])["ok"] is True


def test_messages_come_by_place_and_once() -> None:
    second = error("TG101", "b", Span("spec.yaml", 2, 1, 1, "b: 1"))
    first = error("TG101", "a", Span("spec.yaml", 1, 1, 1, "a: 1"))
    assert render_text([second, first, second]) == render_text([first]) + "\n" + render_text([second])


def test_an_override_is_its_own_file() -> None:
    said = render_text([error("TG101", "unknown key", Span("override", 1, 1, 5, "alpah=3"))])
    assert "--> override\n" in said
    assert "1 | alpah=3" in said


def test_a_long_line_is_shown_around_its_fault() -> None:
    text = "x" * 5000 + "HERE" + "y" * 5000
    shown, marks = render_text([error("TG101", "m", Span("f", 1, 5001, 4, text))]).splitlines()[3:5]
    assert len(shown) <= LINE_WIDTH + 12
    assert shown[marks.index("^") : marks.rindex("^") + 1] == "HERE"


@given(text=st.text(max_size=400), column=st.integers(1, 420), length=st.integers(1, 50))
def test_no_source_line_breaks_the_frame(text: str, column: int, length: int) -> None:
    """Whatever a line holds, the quotation has its lines, no control characters, and marks inside what is shown."""
    line = text.split("\n")[0]
    said = render_text([error("TG101", "m", Span("f", 1, min(column, len(line) + 1), length, line))])
    assert all(letter.isprintable() for row in said.split("\n") for letter in row)
    assert said.count("\n") == 6


def test_control_characters_are_shown_as_such() -> None:
    assert printable("a\x1b[31mb\tc") == "a\ufffd[31mb c"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a \x1b[31mred\x1b[0m word", "a red word"), ("\x1b]0;title\x07x", "x"), ("\x9b2Jx", "x"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b]8;;http://a\x1b\\link", "link"), ("x\u202ey", "xy"), ("\udcffz", "z"),
        ("\u00e4\u3000\u00a0\tb\n", "\u00e4\u3000\u00a0\tb\n"),
    ],
)  # fmt: skip
def test_nothing_that_drives_a_terminal_is_left_and_letters_stay(text: str, left: str) -> None:
    assert without_escapes(text) == left


def test_near_names_ignore_case_and_the_kind_of_dash() -> None:
    assert near_names("Reply-Contrast", ["reply_contrast", "story"]) == ("reply_contrast",)
    assert near_names("zzz", ["reply_contrast"]) == ()


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("lr", ["learning_rate", "lora"], "learning_rate"),
        ("BS", ["batch_size", "steps"], "batch_size"),
        ("batch", ["batch_size", "steps"], "batch_size"),
        ("E", TRAITS, "extraversion"),
        ("n", TRAITS, "neuroticism"),
        ("extravert", TRAITS, "extraversion"),
        ("TIES", MERGE_METHODS.names(), "ties"),
        ("task-arithmetic", MERGE_METHODS.names(), "task_arithmetic"),
        ("task-vector", MERGE_METHODS.names(), "task_arithmetic"),
    ],
)
def test_names_from_habit_are_understood(written: str, known: Iterable[str], meant: str) -> None:
    assert near_names(written, known) == (meant,)


def test_what_an_alias_stands_for_is_in_the_language() -> None:
    models = (Study, Arm, DpoTraining, Lora, Validation, Sampling)
    benchmarks = {*BENCHMARKS.names(), *LM_EVAL_TASKS, *questionnaire_names()}
    words = {*TRAITS, *LEVELS, "all", *METHODS.names(), *MERGE_METHODS.names(), *benchmarks}
    names = words.union(*(keys_of(model) for model in models))
    assert {name for each in ALIASES.values() for name in each} <= names
    assert all(written == written.lower().replace("_", "-") for written in ALIASES)


def test_an_error_prints_as_its_messages() -> None:
    fault = error("TG101", "unknown key 'x'", SPAN)
    assert str(SpecError([fault])) == render_text([fault])
