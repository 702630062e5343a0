"""Overrides: Hydra's grammar, exact numbers, sweeps, and what happens to the document."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.specs.composition.apply import apply_overrides
from traitgraph.specs.composition.overrides import Override, parse_by_grammar, parse_overrides, parse_plain
from traitgraph.specs.source.diagnostics import Diagnostic, Span
from traitgraph.specs.source.positions import Document
from traitgraph.specs.source.yaml import read_text

SPEC = """\
study: x
alpha: [0.1, 0.2]
model: small
train: {method: sft, lora: {rank: 8}}
exclude: [{arm: a}, {arm: b}]
"""


def presets(group: str) -> tuple[str, ...]:
    return ("big", "small") if group == "model" else ()


def parsed(text: str) -> Override:
    overrides, faults = parse_overrides([text], presets)
    assert not faults, faults
    return overrides[0]


def refused(text: str) -> Diagnostic:
    overrides, faults = parse_overrides([text], presets)
    assert not overrides
    return faults[0]


def applied(*texts: str) -> tuple[Document, list[Diagnostic]]:
    document, _ = read_text(SPEC, Path("spec.yaml"))
    assert document is not None
    overrides, faults = parse_overrides(texts, presets)
    assert not faults, faults
    return apply_overrides(document, overrides)


WORDS = st.from_regex(r"[A-Za-z_0-9.+~/@-]{1,12}", fullmatch=True)


@settings(max_examples=300)
@given(prefix=st.sampled_from(["", "+", "++", "~"]), key=st.sampled_from(["a", "a.b", "a.0.b-c"]), word=WORDS)
def test_the_short_way_reads_what_hydra_reads(prefix: str, key: str, word: str) -> None:
    """A number or a word is read without Hydra; it must mean the same and be refused never, only passed on."""
    short = parse_plain(f"{prefix}{key}={word}")
    if short is not None:
        assert short == parse_by_grammar(short.text, presets)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=0.5", Decimal("0.5")), ("a=1e-4", Decimal("0.0001")), ("a=3", 3), ("a=010", 10), ("a=no", "no"),
        ("a=True", True), ("a=NULL", None), ("a=meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"), ("a=", ""),
        ("a='b, c'", "b, c"), ("a=[0.1,2,{c: 0.3}]", [Decimal("0.1"), 2, {"c": Decimal("0.3")}]), ("a=1_000", "1_000"),
        ("a=0.30000000000000004", Decimal("0.3")), ("a=[0.7000000000000001]", [Decimal("0.7")]),
        ("a=0.8999999999999999", Decimal("0.9")), ("a={from: 0.1, to: 2}", {"from": Decimal("0.1"), "to": 2}),
    ],
)  # fmt: skip
def test_a_value_means_what_it_means_to_hydra_in_exact_numbers(text: str, value: object) -> None:
    assert parsed(text).values == (value,)
    assert type(parsed(text).value) is type(value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=range(0.1,2.1,0.1)", [f"{n / 10:.1f}" for n in range(1, 21)]),
        ("a=range(0.1,2.0,0.1)", [f"{n / 10:.1f}" for n in range(1, 20)]),
        ("a=range(3)", ["0", "1", "2"]),
        ("a=range(5,1,-2)", ["5", "3"]),
        ("a=0.1,0.30000000000000004", ["0.1", "0.3"]),
        ("a=choice(x,y)", ["x", "y"]),
        ("a=sort(3,1,2)", ["1", "2", "3"]),
        ("model=glob(*)", ["big", "small"]),
        ("model=glob(b*)", ["big"]),
        ("a=[1,2],[3]", ["[1,2]", "[3]"]),
    ],
)
def test_a_sweep_has_hydras_members_with_exact_values(text: str, values: list[str]) -> None:
    sweep = parsed(text)
    assert sweep.swept
    assert [member.text for member in sweep.members()] == [f"{sweep.key}={value}" for value in values]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a", "TG020"), ("=3", "TG020"), ("a b=3", "TG020"), ("a=[1", "TG020"), ("a=nan", "TG020"), ("a=inf", "TG020"),
        ("a=café", "TG020"), ("a=f(1)", "TG020"), ("a=" + "[" * 3000, "TG020"), ("a=range(1,5,0)", "TG024"),
        ("a=range(1,1)", "TG024"), ("a=range(0,1,0.000001)", "TG024"), ("a=interval(0,1)", "TG024"),
        ("model=glob(z*)", "TG024"), ("α=1", "TG025"), ("train.γ=1", "TG025"), ("a={α: 1}", "TG025"),
    ],
)  # fmt: skip
def test_what_is_no_override_is_told_and_never_raised(text: str, code: str) -> None:
    assert refused(text).code == code


def test_a_greek_key_is_answered_with_its_latin_spelling() -> None:
    assert refused("train.α=0.5").hint == "write: train.alpha=0.5"


def test_overrides_change_add_force_and_delete() -> None:
    document, faults = applied("alpha=0.5", "+train.epochs=2", "++train.lora.rank=4", "~model", "exclude.1.arm=c")
    assert not faults
    assert document.data == {
        "study": "x",
        "alpha": Decimal("0.5"),
        "train": {"method": "sft", "lora": {"rank": 4}, "epochs": 2},
        "exclude": [{"arm": "a"}, {"arm": "c"}],
    }


def test_a_mapping_is_merged_into_a_mapping_as_in_hydra() -> None:
    document, _ = applied("train.lora={alpha: 16}")
    assert document.data["train"] == {"method": "sft", "lora": {"rank": 8, "alpha": 16}}
    assert document.value_span(("train", "lora", "rank")) == Span("spec.yaml", 4, 35, 1, SPEC.splitlines()[3])
    assert document.value_span(("train", "lora", "alpha")) == Span("override", 1, 12, 11, "train.lora={alpha: 16}")


def test_applying_overrides_leaves_the_original_alone() -> None:
    document, _ = read_text(SPEC, Path("spec.yaml"))
    assert document is not None
    apply_overrides(document, [parsed("train.lora.rank=4"), parsed("~model"), parsed("exclude.0.arm=z")])
    assert document.data == read_text(SPEC, Path("spec.yaml"))[0].data  # type: ignore[union-attr]  # read before


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("alhpa=0.5", "TG021", "no key 'alhpa' in the spec", "near: alpha"),
        ("rank=4", "TG021", "no key 'rank' in the spec", "near: train, train.lora.rank"),
        ("~train.lora.rnak", "TG021", "no key 'rnak' in 'train.lora'", "near: train.lora.rank"),
        ("~modle", "TG021", "no key 'modle' in the spec", "near: model"),
        ("+alpha=3", "TG022", "'alpha' is in the spec already: [0.1,0.2]", "change it with alpha=3"),
        ("exclude.7.arm=a", "TG021", "'exclude' is a list of 2 elements; there is no '7'", None),
        ("model.id=a", "TG021", "'model' is small and holds no key 'id'", "replace it: 'model={id: a}'"),
        ("~model=big", "TG023", "'model' is small, not big", None),
        ("~exclude.0", "TG023", "an element of a list cannot be deleted", "give the whole list: exclude=[...]"),
    ],
)  # fmt: skip
def test_an_override_that_fits_nowhere_names_what_is_near(text: str, code: str, message: str, hint: str | None) -> None:
    document, (fault,) = applied(text)
    assert (fault.code, fault.message, fault.hint) == (code, message, hint)
    assert fault.span is not None
    assert fault.span.text == text
    assert document.data == read_text(SPEC, Path("spec.yaml"))[0].data  # type: ignore[union-attr]  # read before


def test_a_plain_override_does_not_import_hydra() -> None:
    code = (
        "import sys; from pathlib import Path; from traitgraph.specs.composition.compose import compose;"
        "compose(Path(sys.argv[1]), ['alpha=0.5', '+train.epochs=2', '~model']);"
        "sys.exit(any(name.partition('.')[0] in ('hydra', 'omegaconf', 'antlr4') for name in sys.modules))"
    )
    file = Path(__file__).with_name("plain.yaml")
    assert subprocess.run([sys.executable, "-c", code, str(file)], check=False).returncode == 0
