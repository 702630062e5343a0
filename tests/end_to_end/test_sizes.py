"""Sizes are told in the unit in which they are no zero."""

from __future__ import annotations

import pytest

from traitgraph.cli.output import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (56_000, "56 kB"), (99_400, "99 kB"), (100_000, "0.1 MB"), (5e9, "5.0 GB")],
)
def test_a_size_below_a_tenth_of_a_megabyte_is_told_in_kilobytes(size: float, text: str) -> None:
    assert size_text(size) == text
