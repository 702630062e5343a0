"""Merge files written for a test, and what they must come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.runtime.bench import load, weights
from traitgraph.runtime.merge_files.from_file import merge_from_file, read_request
from traitgraph.runtime.merge_files.request import NamedModels, Request
from traitgraph.runtime.merging import merge_state_dicts


def written(folder: Path, text: str) -> Path:
    (folder / "recipe.yaml").write_text(text)
    return folder / "recipe.yaml"


def request_of(folder: Path, text: str) -> Request:
    recipe = written(folder, text)
    return read_request(recipe, NamedModels(recipe, folder / "scratch"))


def expected(folder: Path, alphas: list[float], **options: Any) -> dict[str, Any]:
    """What the function on tensors in memory makes of the same models."""
    base, *tuned = (weights(load(folder / name)) for name in ("base", "tuned1", "tuned2"))
    return merge_state_dicts(base, tuned, weights=alphas, **options)


def merged(folder: Path, text: str) -> dict[str, Any]:
    merge_from_file(written(folder, text), folder / "out")
    return weights(load(folder / "out"))


MODELS = """
models:
  - model: base
  - model: tuned1
    parameters: {weight: 0.7, density: 0.4}
  - model: tuned2
    parameters: {weight: 0.5, density: 0.4}
base_model: base
"""
