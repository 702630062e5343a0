"""What docs/data.md shows can be read as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from traitgraph.runtime.assessment.items import read_questionnaire
from traitgraph.specs.instruments import Questionnaire
from traitgraph.specs.validate import load_study

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    return str(text)


def test_the_questionnaire_is_one_and_the_spec_finds_it(tmp_path: Path) -> None:
    (tmp_path / "tidiness.json").write_text(block("json"), encoding="utf-8")
    head = "study: own\nmodel: smollm2-135m\nmethod: direct\n"
    (tmp_path / "study.yaml").write_text(head + block("yaml"), encoding="utf-8")
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
