"""Comparisons across subjects: cosines of vectors, correlations of measured traits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest

from traitgraph.runtime.analyses.correlation import mean_scores, read_reference, trait_correlation
from traitgraph.runtime.analyses.similarity import vector_similarity
from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.vectors.differences import TensorDifference
from traitgraph.specs.study.vocabulary import BIG_FIVE

TRAITS = tuple(BIG_FIVE.traits)

UNRELATED = [[1.0 if i == j else 0.0 for j in range(5)] for i in range(5)]
LAYERS = ("model.embed_tokens.weight", "model.layers.0.a.weight", "model.layers.0.b.weight", "model.layers.11.a.weight")


def values(measurement: Measurement) -> dict[str, float | None]:
    return {metric.metric: metric.value for metric in measurement.metrics}


def vectors() -> list[TensorDifference]:
    import torch

    torch.manual_seed(0)
    made = [{name: torch.randn(4, 6) for name in LAYERS} for _ in range(2)]
    made.append({name: -2 * each for name, each in made[0].items()})
    del made[1][LAYERS[3]]
    return [TensorDifference(each, str(number)) for number, each in enumerate(made)]


def test_cosines_are_those_of_the_whole_vectors() -> None:
    """Flattened and put end to end; what one vector does not change is zero there; opposite vectors have -1."""
    import torch

    three = vectors()
    found = values(vector_similarity(three, ("a", "b", "c")))
    flat = [
        torch.cat([each.piece(name, 0, 4) if name in each.names else torch.zeros(24) for name in LAYERS])
        for each in three
    ]
    assert list(found) == ["a ~ b", "a ~ c", "b ~ c"]
    for (left, right), value in zip(combinations(flat, 2), found.values(), strict=True):
        assert value == pytest.approx(float(torch.nn.functional.cosine_similarity(left, right, dim=0)), abs=1e-6)
    assert found["a ~ c"] == pytest.approx(-1)


def test_layers_are_compared_one_by_one_and_a_missing_one_has_no_cosine() -> None:
    found = values(vector_similarity(vectors()[:2], ("a", "b"), by_layer=True))
    assert list(found) == ["a ~ b, outside layers", "a ~ b, layer 0", "a ~ b, layer 11"]
    assert found["a ~ b, layer 11"] is None
    assert all(value is not None for name, value in found.items() if "11" not in name)


def conditions(rows: list[list[float]]) -> dict[str, Mapping[str, float]]:
    return {f"c{n}": dict(zip(TRAITS, row, strict=True)) for n, row in enumerate(rows)}


def some_scores() -> list[list[float]]:
    import numpy as np

    table = np.random.default_rng(3).normal(size=(10, 5))
    table[:, 1] = table[:, 0] * 2 + 1
    rows: list[list[float]] = table.tolist()
    return rows


def test_the_distance_is_the_norm_of_the_difference_to_the_reference() -> None:
    import numpy as np

    rows = some_scores()
    correlations = np.corrcoef(np.array(rows), rowvar=False)
    found = values(trait_correlation(conditions(rows), TRAITS, UNRELATED, 200))
    assert found["openness ~ conscientiousness"] == pytest.approx(1)
    assert found["extraversion ~ neuroticism"] == pytest.approx(correlations[2, 4])
    assert found["distance"] == pytest.approx(np.sqrt(((correlations - np.array(UNRELATED)) ** 2).sum()))
    share, shuffled = found["distance.shuffled_share"], found["distance.shuffled"]
    assert share is not None
    assert shuffled is not None
    assert share > 0.9, "shuffled scores are nearer to no correlation than two that are the same"
    assert found["distance"] is not None
    assert shuffled < found["distance"]
    assert values(trait_correlation(conditions(rows), TRAITS, correlations.tolist(), 0))["distance"] == pytest.approx(0)


def test_what_is_missing_is_counted_and_what_does_not_vary_is_undefined() -> None:
    incomplete = conditions(some_scores()) | {"no neuroticism": {"openness": 3.0}}
    found = values(trait_correlation(incomplete, TRAITS, UNRELATED, 5))
    assert found["reference.openness ~ extraversion"] == UNRELATED[0][2], "a distance keeps what it is to"
    assert found["left_out"] == 1
    assert found["distance"] == values(trait_correlation(conditions(some_scores()), TRAITS, UNRELATED, 5))["distance"]
    for same in (3.0, 3.1):  # of several 3.1, numpy's standard deviation is not 0
        constant = [[same, *row[1:]] for row in some_scores()]
        undefined = values(trait_correlation(conditions(constant), TRAITS, UNRELATED, 5))
        assert undefined["distance"] is None
        assert "distance.shuffled" not in undefined


def test_the_score_of_a_trait_is_the_mean_over_its_repeats(tmp_path: Path) -> None:
    rows = [
        {"metric": "openness", "value": 2.0, "repeat": 0},
        {"metric": "openness", "value": 4.0, "repeat": 1},
        {"metric": "neuroticism", "value": None, "repeat": 0},
        {"metric": "option_mass", "value": 1.0, "repeat": None},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert mean_scores(tmp_path, TRAITS) == {"openness": 3.0}


@pytest.mark.parametrize("matrix", [[[1, 0], [0, 1]], [[2.0] * 5] * 5, [1, 2, 3]])
def test_a_reference_that_is_no_matrix_of_correlations_is_refused(tmp_path: Path, matrix: object) -> None:
    (tmp_path / "human.json").write_text(json.dumps(matrix))
    with pytest.raises(ValueError, match=r"human\.json: must hold a symmetric 5 x 5 matrix"):
        read_reference(tmp_path / "human.json", TRAITS)
