"""A selection that nothing meets is a mistake, not an empty success."""

from __future__ import annotations

import pytest

from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.specs.source.diagnostics import SpecError

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


@pytest.mark.parametrize(
    ("selector", "value", "hint"),
    [
        ("kind=asess", "kind is 'asess'", "near: assess"),
        ("trait=extraversion|neuroticsm", "trait is 'neuroticsm'", "near: neuroticism"),
        ("level!=hihg", "level is 'hihg'", "near: high"),
        ("method=vectr", "method is 'vectr'", "near: vector"),
        ("layer=10", "layer is '10'", "no job of this study has the coordinate layer"),
    ],
)
def test_a_value_that_nothing_has_is_refused_with_the_nearest(selector: str, value: str, hint: str) -> None:
    with pytest.raises(SpecError) as refused:
        plan_of(SWEEP, select=(parse_selector(selector),))
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.message == f"no {value} in this study"
    assert (diagnostic.hint or "").startswith(hint)


def test_a_number_that_is_not_there_may_be_excluded() -> None:
    assert plan_of(SWEEP, select=(parse_selector("alpha!=7,kind=merge"),)).counts.selected_by_kind == {"merge": 8}
