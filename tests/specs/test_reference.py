"""The reference, the codes and the descriptions: complete, and the same as the models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from traitgraph.specs.codes import CODES, explain
from traitgraph.specs.reference import reference
from traitgraph.specs.schema import study_schema

ROOT = Path(__file__).parent.parent.parent


def test_the_reference_in_docs_is_current(rewrite_golden: bool) -> None:
    """`python -m traitgraph.specs.reference > docs/language.md` writes it again."""
    file = ROOT / "docs" / "language.md"
    if rewrite_golden:
        file.write_text(reference(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == reference()


def test_every_key_of_the_language_is_described() -> None:
    nameless = [
        f"{name}.{key}"
        for name, model in study_schema()["$defs"].items()
        for key, field in model.get("properties", {}).items()
        if isinstance(field, dict) and not field.get("description") and "const" not in field
    ]
    assert not nameless


def used_codes() -> Iterator[str]:
    for file in (ROOT / "traitgraph").rglob("*.py"):
        if file.name != "codes.py":
            yield from re.findall(r'"(TG\d{3})"', file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", sorted(set(used_codes())))
def test_every_code_in_the_sources_is_explained(code: str) -> None:
    assert code in CODES


def test_explain_takes_a_code_in_any_case_and_knows_no_others() -> None:
    assert (explain("tg101") or "").startswith("TG101: an unknown key\n\nNo key is ever ignored")
    assert explain("TG999") is None
