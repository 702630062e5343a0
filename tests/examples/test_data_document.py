"""What docs/data.md shows can be read as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.tiny_model import model_like
from traitgraph.runtime.assessment.questionnaires.items import read_questionnaire
from traitgraph.runtime.assessment.word_categories import category_counts, read_lexicon, words_of
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.study.benchmarks import Benchmark, Linguistic, Questionnaire

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


HEAD = "study: own\nmodel: smollm2-135m\nmethod: direct\n"


def shown(language: str, heading: str) -> str:
    """What the document shows in a language under a heading."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    return str(block)


def benchmark_of(folder: Path, heading: str) -> Benchmark:
    """The one benchmark of a study with what a section shows, and with what the section on tracking does."""
    text = HEAD + shown("yaml", heading) + shown("yaml", "Weights & Biases")
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    (benchmark,) = load_study(folder / "study.yaml").resolved_arms()[0].benchmarks
    return benchmark


def test_the_lexicon_is_one_and_a_spec_finds_it(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text(shown("json", "A lexicon of your own"), encoding="utf-8")
    benchmark = benchmark_of(tmp_path, "A lexicon of your own")
    assert isinstance(benchmark, Linguistic)
    lexicon = read_lexicon(Path(benchmark.lexicon))
    found = category_counts(lexicon, words_of("I'm happy, and I love it."))
    assert found == {"first person": 2, "positive feeling": 2}


def test_our_small_lexicon_can_be_counted_with() -> None:
    assert len(read_lexicon(ROOT / "examples" / "papers" / "lexicon.json")) > 1


def test_the_questionnaire_is_one_and_a_spec_finds_it(tmp_path: Path) -> None:
    (tmp_path / "tidiness.json").write_text(shown("json", "A questionnaire of your own"), encoding="utf-8")
    benchmark = benchmark_of(tmp_path, "A questionnaire of your own")
    assert isinstance(benchmark, Questionnaire)
    read = read_questionnaire(Path(benchmark.items))
    assert [read.statement(item) for item in read.items][:2] == [
        "I keep my desk in order.",
        "I leave my belongings around.",
    ]
    assert [item.keyed for item in read.items] == [1, -1, 1]


def test_items_with_answers_of_their_own_are_read_as_shown(tmp_path: Path) -> None:
    """On the scale of the first item, as the text says."""
    (tmp_path / "mixed.json").write_text(shown("json", "Items with answers of their own"), encoding="utf-8")
    form = read_questionnaire(tmp_path / "mixed.json")
    counts = [form.points(item) for item in form.items]
    assert counts[:2] == [{"conscientiousness": [0, 1, 2, 3]}, {"agreeableness": [0, 2, 3]}]
    assert counts[2] == {"conscientiousness": [3, 0], "extraversion": [0, 3]}


def test_judged_benchmarks_are_read_as_shown(tmp_path: Path) -> None:
    (tmp_path / "tidiness.json").write_text(shown("json", "A questionnaire of your own"), encoding="utf-8")
    (tmp_path / "questions.jsonl").write_text('{"trait": "openness", "prompt": "What do you read?"}\n')
    model_like(tmp_path / "judge-model")
    text = HEAD + shown("yaml", "Answers rated by a judge")
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    interview, questions = load_study(tmp_path / "study.yaml").resolved_arms()[0].benchmarks
    assert isinstance(interview, Questionnaire)
    assert (interview.mode, questions.kind) == ("interview", "open_questions")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", DOCUMENT):
        assert (ROOT / "docs" / target).exists(), target
