"""Which modules get an adapter: a word, or names in a list."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from traitgraph.specs.study.training import Lora


@pytest.mark.parametrize("word", ["all-linear", "attention", "mlp"])
def test_a_word_stays_a_word(word: str) -> None:
    assert Lora.model_validate({"targets": word}, strict=True).targets == word


def test_names_are_one_set_in_whatever_order_they_are_written() -> None:
    names = Lora.model_validate({"targets": ["v_proj", "q_proj", "v_proj"]}, strict=True)
    assert names.targets == ("q_proj", "v_proj")
    assert Lora.model_validate_json(names.model_dump_json()) == names


@pytest.mark.parametrize("wrong", ["q_proj", "all_linear", "", [], [3], [""], None, 3, {"q_proj": 1}])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Lora.model_validate({"targets": wrong})
