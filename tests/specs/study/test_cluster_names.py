"""Kinds of job and methods that a cluster file names exist."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from traitgraph.specs.study.cluster import Cluster, Rule


@pytest.mark.parametrize(
    "given",
    [
        {"kinds": {"trian": {"gpus": 4}}},
        {"rules": [{"kind": "asess", "resources": {"gpus": 1}}]},
        {"rules": [{"method": "sftt", "resources": {"gpus": 1}}]},
    ],
)
def test_a_misspelt_name_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="unknown"):
        Cluster.model_validate(given)


@pytest.mark.parametrize("method", ["dpo", "questionnaire", "lm_eval", "layer_similarity"])
def test_a_rule_may_name_a_method_of_training_or_a_kind_of_benchmark(method: str) -> None:
    assert Rule.model_validate({"method": method, "resources": {"gpus": 1}}).meets("assess", method, None)
