"""Texts counted by a lexicon and hidden states compared with the base, through the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.runtime.dialogues import write_dialogues
from tests.tiny_model import save_tiny_model
from traitgraph.runtime.assessment.word_categories import category_counts, read_lexicon, words_of

from .commands import CommandLine

pytestmark = pytest.mark.xdist_group("words-and-layers")

STUDY = """\
study: words
model: ./model
traits: [extraversion]
levels: [high, low]
data: ./dialogues.jsonl
train: {method: sft, learning_rate: 3e-2, steps: 6, batch_size: 2, max_length: 128, lora: {rank: 4, alpha: 8}}
benchmarks:
  - {kind: linguistic, lexicon: words.json}
  - {kind: story, lexicon: words.json, prompts: [Tell a story., Tell another one.]}
analyses: {kind: layer_similarity, rows: 3}
sampling: {temperature: 0.8, repeats: 2, max_new_tokens: 24}
arms:
  base: {method: direct}
  prompt: {method: prompt}
  vectors: {method: vector, alpha: [0, 0.5, 1]}
"""
LEXICON = {"vowels": ["a*", "e*", "i*", "o*", "u*"], "self": ["I", "me", "my*"], "I'm": ["I'm", "I\u2019ve"]}

Row = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("words")
    save_tiny_model(made / "model")
    write_dialogues(made / "dialogues.jsonl")
    (made / "words.json").write_text(json.dumps(LEXICON), encoding="utf-8")
    (made / "study.yaml").write_text(STUDY, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def store(traitgraph: CommandLine, folder: Path) -> Path:
    done = traitgraph("run", "study.yaml", "--store", folder / "store", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "store"


@pytest.fixture(scope="module")
def rows(store: Path) -> list[Row]:
    with (store / "reports" / "words" / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def found(rows: list[Row], benchmark: str, **wanted: str) -> dict[str, float | None]:
    """Value by metric of one subject."""
    chosen = [row for row in rows if row["benchmark"] == benchmark and all(row[k] == v for k, v in wanted.items())]
    assert len({row["job"] for row in chosen}) == 1
    return {row["metric"]: float(row["value"]) if row["value"] else None for row in chosen}


@pytest.mark.parametrize(("benchmark", "prompts"), [("linguistic", 1), ("story", 2)])
def test_kept_texts_give_the_shares_again(
    store: Path, folder: Path, rows: list[Row], benchmark: str, prompts: int
) -> None:
    lexicon = read_lexicon(folder / "words.json")
    subject = {"arm": "vectors", "alpha": "1", "level": "low"}
    (job,) = {row["job"] for row in rows if row["benchmark"] == benchmark and subject.items() <= row.items()}
    lines = (store / "assess" / job / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [words_of(json.loads(line)["text"]) for line in lines]
    assert len(texts) == 2 * prompts
    values = found(rows, benchmark, **subject)
    assert set(values) == {*LEXICON, "words", "empty_texts", "cut_texts", "disclaimers"}
    shares = [category_counts(lexicon, words)["vowels"] / len(words) for words in texts if words]
    assert values["vowels"] == pytest.approx(sum(shares) / len(shares))
    assert values["words"] == pytest.approx(sum(map(len, texts)) / len(texts))


def test_the_base_writes_and_sees_what_alpha_zero_does(rows: list[Row]) -> None:
    for benchmark in ("linguistic", "story", "layer_similarity"):
        zero = found(rows, benchmark, arm="vectors", alpha="0", level="high")
        assert zero == found(rows, benchmark, arm="base")


def test_hidden_states_turn_further_with_alpha(rows: list[Row]) -> None:
    """The base keeps its direction; half a vector turns it less than a whole one."""
    at = {
        alpha: found(rows, "layer_similarity", arm="vectors", alpha=alpha, level="high") for alpha in ("0", "0.5", "1")
    }
    for layer in ("layer 0", "layer 1"):
        none, half, whole = (at[alpha][layer] for alpha in ("0", "0.5", "1"))
        assert none == pytest.approx(1, abs=1e-12)
        assert half is not None
        assert whole is not None
        assert 1 > half > whole
    assert {row["n"] for row in rows if row["benchmark"] == "layer_similarity"} == {"3"}


def test_the_report_shows_categories_levels_and_layers(store: Path) -> None:
    page = (store / "reports" / "words" / "report.html").read_text(encoding="utf-8")
    for shown in ("linguistic · extraversion", 'id="words"', 'id="layers"', "layer_similarity · vectors", "cut_texts"):
        assert shown in page
    assert 'id="moved"' not in page, "a share that grows is neither a success nor a loss"


def test_a_second_run_has_nothing_to_do(traitgraph: CommandLine, folder: Path, store: Path) -> None:
    again = traitgraph("run", "study.yaml", "--store", store, cwd=folder)
    assert again.returncode == 0
    assert "0 to run" in again.stderr


def test_check_and_run_name_the_faults_of_a_lexicon_and_of_data(traitgraph: CommandLine, folder: Path) -> None:
    """Before anything runs: words that nothing would match, and dialogues without a row."""
    (folder / "empty.jsonl").write_text("", encoding="utf-8")
    (folder / "broken.json").write_text(json.dumps({"joy": ["well done"]}), encoding="utf-8")
    text = STUDY.replace("words.json", "broken.json").replace(
        "{kind: layer_similarity,", "{kind: layer_similarity, data: ./empty.jsonl,"
    )
    (folder / "broken.yaml").write_text(text, encoding="utf-8")
    for command in ("check", "run"):
        told = traitgraph(
            command, "broken.yaml", *(("--store", folder / "none") if command == "run" else ()), cwd=folder
        )
        said = told.stdout + told.stderr
        assert said.count("error[TG212]: category 'joy': 'well done' is not one word") == 1
        assert "--> broken.json:1:10\n" in said
        assert "empty.jsonl: the data have no row" in said
        assert told.returncode == 2
    assert not list(folder.glob("none/*/*/manifest.json"))
