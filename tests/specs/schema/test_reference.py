"""The reference, the codes and the descriptions: complete, and the same as the models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from traitgraph.specs.schema.reference import pages, write_pages
from traitgraph.specs.schema.schema import study_schema
from traitgraph.specs.source.codes import CODES, explain

ROOT = Path(__file__).parents[3]


def test_the_reference_in_docs_is_current(rewrite_golden: bool) -> None:
    """`make docs` writes it again."""
    docs = ROOT / "docs"
    if rewrite_golden:
        write_pages(docs)
    files = [docs / "language.md", *(docs / "language").iterdir()]
    assert {file.relative_to(docs).as_posix(): file.read_text(encoding="utf-8") for file in files} == pages()


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


@pytest.mark.parametrize("written", ["TG101", "tg101", "tg-101", "Tg 101", "101"])
def test_explain_takes_a_code_however_it_is_written(written: str) -> None:
    assert (explain(written) or "").startswith("TG101: an unknown key\n\nNo key is ever ignored")


@pytest.mark.parametrize("written", ["TG999", "", "tg"])
def test_explain_knows_no_other_code(written: str) -> None:
    assert explain(written) is None
