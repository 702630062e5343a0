"""What docs/data.md shows can be read as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from traitgraph.runtime.assessment.items import read_questionnaire
from traitgraph.specs.instruments import Questionnaire
from traitgraph.specs.validate import load_study

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def shown(language: str) -> str:
    """All that the document shows in a language, one after the other."""
    return "".join(re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL))


def test_the_questionnaire_is_one_and_a_spec_with_all_that_is_shown_finds_it(tmp_path: Path) -> None:
    (tmp_path / "tidiness.json").write_text(shown("json"), encoding="utf-8")
    head = "study: own\nmodel: smollm2-135m\nmethod: direct\n"
    (tmp_path / "study.yaml").write_text(head + shown("yaml"), encoding="utf-8")
    (benchmark,) = load_study(tmp_path / "study.yaml").resolved_arms()[0].benchmarks
    assert isinstance(benchmark, Questionnaire)
    read = read_questionnaire(Path(benchmark.items))
    assert [read.statement(item) for item in read.items][:2] == [
        "I keep my desk in order.",
        "I leave my belongings around.",
    ]
    assert [item.keyed for item in read.items] == [1, -1, 1]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", DOCUMENT):
        assert (ROOT / "docs" / target).exists(), target
