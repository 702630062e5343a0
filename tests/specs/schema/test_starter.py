"""The spec that `init` writes is a study as it stands, also with its comments taken away."""

from __future__ import annotations

from pathlib import Path

from tests.specs.reading import study_of
from traitgraph.specs.schema.schema import SCHEMA_FILE, starter_spec

from .test_schema import text_of, validator


def uncommented(text: str) -> str:
    """The arm that stands in comments brought to life."""
    lines = text.splitlines()[1:]
    return "\n".join(line.replace("  # ", "  ", 1) if line.startswith("  # ") else line for line in lines)


def test_the_first_line_names_the_schema() -> None:
    assert starter_spec("mine").splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA_FILE}"


def test_it_is_a_study(tmp_path: Path) -> None:
    study = study_of(starter_spec("mine"), tmp_path)
    assert [arm.name for arm in study.arms] == ["base", "told"]
    assert validator().is_valid(text_of(tmp_path / "spec.yaml"))


def test_the_commented_arm_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "dialogues.jsonl").write_text("{}\n")
    text = "\n".join(line for line in uncommented(starter_spec("mine")).splitlines() if "With dialogues" not in line)
    assert [arm.name for arm in study_of(text, tmp_path).arms] == ["base", "told", "scaled"]
