"""No text makes the checker fail: it is understood, or refused with a reason and a place."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import given, note, settings
from hypothesis import strategies as st

from traitgraph.specs.composition.compose import compose, compose_many

from .mutation import ROOT, WORDS, answer, mutated

EXAMPLES = 150
"""`benchmarks/fuzz_specs.py` runs the same for minutes."""


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**64 - 1))
def test_a_changed_spec_is_understood_or_refused(seed: int, tmp_path: Path) -> None:
    text = mutated(Random(seed))
    note(text)
    answer(text, tmp_path / "spec.yaml")


@settings(max_examples=EXAMPLES)
@given(text=st.text(max_size=200))
def test_any_text_is_understood_or_refused(text: str, tmp_path: Path) -> None:
    answer(text, tmp_path / "spec.yaml")


@settings(max_examples=EXAMPLES)
@given(
    override=st.one_of(
        st.text(max_size=40), st.lists(st.sampled_from((*WORDS, "=", "+", ".", ",", "(")), max_size=6).map("".join)
    )
)
def test_any_override_is_applied_or_refused(override: str) -> None:
    document, faults = compose(ROOT / "examples" / "alpha_sweep.yaml", [override])
    assert document is not None or faults
    members, faults = compose_many(ROOT / "examples" / "alpha_sweep.yaml", [override])
    assert bool(members) != bool(faults)
