"""What docs/data.md shows can be read as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from traitgraph.runtime.assessment.items import read_questionnaire
from traitgraph.specs.instruments import Questionnaire
from traitgraph.specs.validate import load_study

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


JUDGED = DOCUMENT.index("## Answers rated by a judge")
"""Where a second study begins."""
HEAD = "study: own\nmodel: smollm2-135m\nmethod: direct\n"


def shown(language: str, *, judged: bool = False) -> str:
    """All that the document shows in a language, one after the other: in the second study, or around it."""
    end = DOCUMENT.index("\n## ", JUDGED)
    text = DOCUMENT[JUDGED:end] if judged else DOCUMENT[:JUDGED] + DOCUMENT[end:]
    return "".join(re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL))


def test_the_questionnaire_is_one_and_a_spec_with_all_that_is_shown_finds_it(tmp_path: Path) -> None:
    (tmp_path / "tidiness.json").write_text(shown("json"), encoding="utf-8")
    (tmp_path / "study.yaml").write_text(HEAD + shown("yaml"), encoding="utf-8")
    (benchmark,) = load_study(tmp_path / "study.yaml").resolved_arms()[0].benchmarks
    assert isinstance(benchmark, Questionnaire)
    read = read_questionnaire(Path(benchmark.items))
    assert [read.statement(item) for item in read.items][:2] == [
        "I keep my desk in order.",
        "I leave my belongings around.",
    ]
    assert [item.keyed for item in read.items] == [1, -1, 1]


def test_judged_benchmarks_are_read_as_shown(tmp_path: Path) -> None:
    (tmp_path / "tidiness.json").write_text(shown("json"), encoding="utf-8")
    (tmp_path / "questions.jsonl").write_text('{"trait": "openness", "prompt": "What do you read?"}\n')
    (tmp_path / "judge-model").mkdir()
    (tmp_path / "study.yaml").write_text(HEAD + shown("yaml", judged=True), encoding="utf-8")
    interview, questions = load_study(tmp_path / "study.yaml").resolved_arms()[0].benchmarks
    assert isinstance(interview, Questionnaire)
    assert (interview.mode, questions.kind) == ("interview", "open_questions")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", DOCUMENT):
        assert (ROOT / "docs" / target).exists(), target
