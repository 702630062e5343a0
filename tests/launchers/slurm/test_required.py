"""Where SLURM is required, no test of it is left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cluster import REQUIRE
from .reach import lacking


def test_what_is_lacking_fails_a_test_where_slurm_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, "1")
    with pytest.raises(pytest.fail.Exception, match="no such package"):
        lacking("no such package")
    monkeypatch.delenv(REQUIRE)
    with pytest.raises(pytest.skip.Exception):
        lacking("no such package")


def test_nothing_here_skips_in_another_way() -> None:
    ways = [f"pytest.{word}" for word in ("skip(", "importorskip(", "mark.skip")]
    files = [path for path in Path(__file__).parent.glob("*.py") if path.name not in ("reach.py", Path(__file__).name)]
    assert [path.name for path in files if any(way in path.read_text() for way in ways)] == []
