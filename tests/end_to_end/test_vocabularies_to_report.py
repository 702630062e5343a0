"""Vocabularies of all shapes in one study, from the YAML file to the report: nine levels, one in the middle, a trait
that only one pole names, a facet, traits composed, and several vocabularies side by side.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.questionnaires import write_questionnaire
from tests.tiny_model import save_tiny_model

from .commands import CommandLine

NINE = {
    "extremely high": 0.96, "very high": 0.75, "rather high": 0.5, "a bit high": 0.25, "neither": 0,
    "a bit low": -0.25, "rather low": -0.5, "very low": -0.75, "extremely low": -0.96,
}  # fmt: skip
STUDY = {
    "study": "shapes",
    "model": "./model",
    "train": {"method": "sft", "learning_rate": 1e-2, "steps": 2, "batch_size": 2, "max_length": 256,
              "lora": {"rank": 4, "alpha": 8}},
    "benchmarks": ["reply_contrast"],
    "traits": "all",
    "arms": {
        "base": {"method": "direct", "vocabulary": {"traits": {"wit": {}, "warmth": {}}}, "data": "two.jsonl"},
        "nine": {"method": "prompt", "vocabulary": {"traits": {"wit": {}}, "levels": NINE}, "data": "nine.jsonl"},
        "middle": {
            "method": "sft",
            "vocabulary": {"traits": {"wit": {}}, "levels": {"medium": 0, "low": -1, "high": 1}},
            "data": "middle.jsonl",
        },
        "evil": {
            "method": {"kind": "prompt", "style": "description"},
            "vocabulary": {
                "traits": {"evil": {"high": {"description": "You wish people ill."}}},
                "levels": {"absent": -1, "present": 1},
            },
            "levels": "present",
            "data": "evil.jsonl",
        },
        "composed": {
            "method": "compose",
            "vocabulary": {"traits": {"wit": {}, "warmth": {}}},
            "alpha": {"wit": 0.5, "warmth": [0, 1]},
            "data": "two.jsonl",
            "benchmarks": [{"kind": "reply_contrast", "traits": ["wit"]}],
        },
        "correlated": {
            "method": "prompt",
            "vocabulary": {"traits": {"wit": {}, "warmth": {}}},
            "benchmarks": [{"kind": "questionnaire", "items": "own.json"}],
            "analyses": [{"kind": "trait_correlation", "reference": "human.json", "shuffles": 0}],
        },
        "facet": {"method": {"kind": "prompt", "style": "adjectives"}, "traits": ["imagination"],
                  "data": "facet.jsonl"},
    },
}  # fmt: skip
ROWS = {
    "two": {"wit": ["high", "low"], "warmth": ["high", "low"]},
    "nine": {"wit": ["extremely high", "extremely low"]},
    "middle": {"wit": ["high", "medium", "low"]},
    "evil": {"evil": ["present", "absent"]},
    "facet": {"imagination": ["high", "low"]},
}
"""File -> trait -> levels of its rows."""

Scores = dict[tuple[str | None, ...], float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, traitgraph: CommandLine) -> Path:
    """The study, run and reported."""
    folder = tmp_path_factory.mktemp("shapes")
    save_tiny_model(folder / "model")
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    for file, traits in ROWS.items():
        rows = [
            {"trait": trait, "level": level, "split": split, "pair": f"{trait} {split} {number}",
             "prompt": f"{split} {number}: and you?", "reply": f"{trait} {level} {number}"}
            for trait, levels in traits.items() for level in levels
            for split in ("train", "heldout") for number in range(6)
        ]  # fmt: skip
        (folder / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = [{"id": n, "text": f"Am number {n}", "domain": "wit" if n % 2 else "warmth", "keyed": 1} for n in range(4)]
    write_questionnaire(folder / "own.json", name="own", items=items)
    (folder / "human.json").write_text("[[1, 0.3], [0.3, 1]]")
    done = traitgraph("run", "study.yaml", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def scores(folder: Path, traitgraph: CommandLine) -> Scores:
    rows = json.loads(traitgraph("results", "study.yaml", "--json", cwd=folder).stdout)
    return {
        (row["arm"], row["trait"], row["level"], row["metric"]): row["value"] for row in rows if row["role"] == "score"
    }


def test_every_trait_and_level_is_measured_under_its_own_name(scores: Scores) -> None:
    by_arm: Callable[[str], list[tuple[str | None, ...]]] = lambda arm: [key[1:] for key in scores if key[0] == arm]  # noqa: E731
    assert by_arm("nine") == [("wit", level, "wit") for level in NINE]
    assert by_arm("middle") == [("wit", level, "wit") for level in ("high", "medium", "low")]
    assert by_arm("evil") == [("evil", "present", "evil")]
    assert by_arm("facet") == [("imagination", level, "imagination") for level in ("high", "low")]
    assert {key[:2] for key in by_arm("composed")} == {
        ("wit+warmth", f"{one}+{other}") for one in ("high", "low") for other in ("high", "low")
    }
    assert by_arm("base") == [(None, None, "wit"), (None, None, "warmth")]


def test_traits_of_ones_own_are_correlated_in_a_matrix_of_their_number(
    folder: Path, traitgraph: CommandLine, scores: Scores
) -> None:
    """Against numpy's coefficient of the means that the results hold, over the four conditions of the arm."""
    means: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in json.loads(
        traitgraph("results", "study.yaml", "--select", "arm=correlated", "--json", cwd=folder).stdout
    ):
        if row["metric"] in ("wit", "warmth") and row["benchmark"] == "own":
            means.setdefault((row["trait"], row["level"]), {}).setdefault(row["metric"], []).append(row["value"])
    table = [[np.mean(each[trait]) for trait in ("wit", "warmth")] for each in means.values()]
    assert len(table) == 4
    (found,) = [
        value for (arm, *_, metric), value in scores.items() if arm == "correlated" and metric == "wit ~ warmth"
    ]
    (distance,) = [value for (arm, *_, metric), value in scores.items() if arm == "correlated" and metric == "distance"]
    expected = np.corrcoef(np.array(table).T)[0, 1]
    assert found == pytest.approx(expected)
    assert distance == pytest.approx(np.sqrt(2) * abs(expected - 0.3))


def test_each_level_reaches_the_model(scores: Scores) -> None:
    of_nine = [value for (arm, *_), value in scores.items() if arm == "nine"]
    of_middle = [value for (arm, *_), value in scores.items() if arm == "middle"]
    assert len(set(of_nine)) == len(NINE)
    assert len(set(of_middle)) == 3


def test_the_report_names_them_all_in_the_order_of_their_positions(folder: Path) -> None:
    page = (folder / ".traitgraph" / "reports" / "shapes" / "report.html").read_text(encoding="utf-8")
    for name in ("imagination", "evil", "wit", "warmth", *NINE, "medium", "present"):
        assert name in page, name
    places = [page.index(f"nine: wit {level}") for level in NINE]
    assert places == sorted(places)
    assert "Upper minus lower" in page, "several pairs of levels have no names in common"
