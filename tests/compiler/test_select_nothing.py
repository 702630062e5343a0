"""A selection that nothing meets is a slip of the pen, not an empty success."""

from __future__ import annotations

import pytest

from traitgraph.compiler.select import parse_selector
from traitgraph.specs.diagnostics import SpecError

from .specs import SWEEP, plan_of


@pytest.mark.parametrize(
    ("selector", "named"),
    [("trait=extravrsion", "extraversion"), ("alpha=0.7", "0.5"), ("kind=vektor", "vector"), ("arm=x", "vector")],
)
def test_a_selection_that_nothing_meets_is_refused_with_the_values_that_there_are(selector: str, named: str) -> None:
    with pytest.raises(SpecError) as refused:
        plan_of(SWEEP, select=(parse_selector(selector),))
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "TG203"
    assert named in (diagnostic.hint or "")
