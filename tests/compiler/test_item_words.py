"""What letters and levels of a questionnaire mean is part of a job where it is not what the Big Five mean by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.specs.checks.validate import load_study

ITEMS = [
    {"id": 1, "text": "Keep promises", "domain": "H", "keyed": 1},
    {"id": 2, "text": "?", "options": [{"text": each, "trait": "E", "level": each} for each in ("high", "middling")]},
]
HEXACO = (
    "vocabulary:\n  traits: {honesty-humility: {letter: H}, emotionality: {letter: E}, altruism: {letter: A}}\n"
    "  levels: {low: -1, middling: 0, high: 1}\n"
)


@pytest.mark.parametrize(
    ("vocabulary", "items", "letters", "levels"),
    [
        ("", ITEMS, None, None),
        ("vocabulary: big-five\n", ITEMS, None, None),
        (HEXACO, ITEMS, {"H": "honesty-humility", "E": "emotionality"}, {"high": 1, "middling": 0}),
        (HEXACO, ITEMS[:1], {"H": "honesty-humility"}, None),
        (HEXACO, [{"response_high1": "a", "personality": "Altruism"}], None, {"high": 1, "low": -1}),
        # N is no letter of HEXACO: the file is about the Big Five, and E is extraversion
        (HEXACO, [{"id": n, "text": "?", "domain": letter, "keyed": 1} for n, letter in enumerate("EN")], None, None),
    ],
)
def test_a_job_says_what_the_words_of_its_file_mean_and_no_others(
    tmp_path: Path, vocabulary: str, items: object, letters: object, levels: object
) -> None:
    (tmp_path / "q.json").write_text(json.dumps({"name": "q", "items": items}))
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"study: s\nmodel: o/m\nmethod: direct\nbenchmarks: [{{kind: questionnaire, items: q.json}}]\n{vocabulary}"
    )
    draft = compile_study(load_study(spec), Context()).draft
    (stage,) = (each for each in draft.stages if each.kind == "assess")
    benchmark: Any = stage.template["benchmark"]
    assert (benchmark.letters, benchmark.levels) == (letters, levels)
