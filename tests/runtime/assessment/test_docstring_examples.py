"""The examples in the docstrings of the runtime's models and benchmarks run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = ("items", "scores", "rated_numbers")


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    failed, run = doctest.testmod(import_module(f"traitgraph.runtime.assessment.questionnaires.{name}"))
    assert (failed, run > 0) == (0, True)
