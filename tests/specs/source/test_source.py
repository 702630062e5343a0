"""Reading a spec: YAML 1.2 scalars, places, and what is refused."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitgraph.specs.source import yaml
from traitgraph.specs.source.diagnostics import Span
from traitgraph.specs.source.positions import value_at
from traitgraph.specs.source.yaml import KEY_TWICE, MAX_BYTES, MAX_DEPTH, MAX_KEYS, MAX_VALUES, read_document, read_text

SCALARS: dict[str, object] = {
    "1e-4": Decimal("0.0001"), "1.0e-5": Decimal("0.00001"), "0.30": Decimal("0.30"), ".5": Decimal("0.5"),
    "5.": Decimal(5), "-0.1": Decimal("-0.1"), "+2": 2, "010": 10, "0x1F": 31, "0o17": 15, "-7": -7,
    "no": "no", "off": "off", "yes": "yes", "on": "on", "y": "y", "NO": "NO",
    "true": True, "False": False, "TRUE": True, "null": None, "~": None, "": None, "Null": None,
    "2024-01-01": "2024-01-01", "1_000": "1_000", "12:30": "12:30", "1.2.3": "1.2.3", "0.1 ": Decimal("0.1"),
    "'1'": "1", '"no"': "no", "'null'": "null", "a bit": "a bit", "!!str 1": "1", "!!int 7": 7, "!!float 7": 7,
}  # fmt: skip


def read(text: str) -> dict[str, object]:
    document, faults = read_text(text, Path("spec.yaml"))
    assert document is not None, faults
    return document.data


def fault_of(text: str) -> tuple[str, str, tuple[int, int] | None]:
    document, faults = read_text(text, Path("spec.yaml"))
    first = faults[0]
    assert (document is None) is (first.code != KEY_TWICE), "what can be read is read on, for its other faults"
    return first.code, first.message, (first.span.line, first.span.column) if first.span else None


@pytest.mark.parametrize(("written", "meant"), SCALARS.items())
def test_a_scalar_means_what_yaml_1_2_says(written: str, meant: object) -> None:
    value = read(f"key: {written}")["key"]
    assert (value, type(value)) == (meant, type(meant))


def test_decimals_keep_their_digits() -> None:
    assert str(read("a: 0.1000")["a"]) == "0.1000"


@pytest.fixture
def _without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML as it is installed where no libyaml was found."""
    monkeypatch.setitem(sys.modules, "yaml.cyaml", None)


@pytest.mark.usefixtures("_without_libyaml")
def test_without_libyaml_the_same_data_and_places() -> None:
    text = "".join(f"k{index}: {written}\n" for index, written in enumerate(SCALARS)) + "list: [1, {a: b}]\n"
    pure, _ = read_text(text, Path("spec.yaml"))
    assert pure is not None
    assert [pure.data[f"k{index}"] for index in range(len(SCALARS))] == list(SCALARS.values())
    assert pure.value_span(("list", 1, "a")) == Span("spec.yaml", len(SCALARS) + 1, 15, 1, "list: [1, {a: b}]")
    assert type(yaml.composer_of("a: 1")).__name__ == "BaseLoader"


def test_places_are_those_of_the_file() -> None:
    document, _ = read_text("study: x\nα: [0.1,\n  0.2]\ntrain:\n  lora: {rank: 8}\n", Path("spec.yaml"))
    assert document is not None
    assert document.key_span(("train", "lora", "rank")) == Span("spec.yaml", 5, 10, 4, "  lora: {rank: 8}")
    assert document.value_span(("train", "lora", "rank")) == Span("spec.yaml", 5, 16, 1, "  lora: {rank: 8}")
    assert document.value_span(("alpha", 1)) == Span("spec.yaml", 3, 3, 3, "  0.2]")
    assert document.key_span(("alpha",)) == Span("spec.yaml", 2, 1, 1, "α: [0.1,")


def test_an_unknown_path_is_shown_at_the_nearest_place_around_it() -> None:
    document, _ = read_text("train:\n  lora: {rank: 8}\n", Path("spec.yaml"))
    assert document is not None
    assert document.value_span(("train", "epochs")) == Span("spec.yaml", 1, 1, 5, "train:")
    assert value_at(document.data, ("train", "epochs")) is None


def test_greek_keys_are_latin_in_the_data_at_every_depth() -> None:
    assert read("α: 1\narms: {a: {γ: 2}}") == {"alpha": 1, "arms": {"a": {"gamma": 2}}}


def test_keys_are_always_text() -> None:
    assert read("1: a\nno: b\n'null': c\n1.5: d") == {"1": "a", "no": "b", "null": "c", "1.5": "d"}


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: 1\nb: {x: 1, x: 2}", (2, 11)), ("α: 1\nalpha: 2", (2, 1)), ("a: 1\n'a': 2", (2, 1))],
)
def test_a_key_given_twice_is_refused_with_both_places(text: str, place: tuple[int, int]) -> None:
    code, message, where = fault_of(text)
    assert (code, where) == ("TG007", place)
    assert "first at" in message


def test_every_fault_of_the_reading_is_reported_at_once() -> None:
    _, faults = read_text("a: 1\na: 2\nb: !!python/object:os.system x\nc: .inf\n", Path("spec.yaml"))
    assert [fault.code for fault in faults] == ["TG007", "TG009", "TG010"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("!!python/object/apply:os.system [ls]", "TG006"),
        ("a: !!binary aGk=", "TG009"),
        ("a: !mine x", "TG009"),
        ("a: !!int x", "TG009"),
        ("!!set {a}", "TG009"),
        ("<<: {a: 1}", "TG011"),
        ("? [a, b]\n: c", "TG011"),
        ("'': 1", "TG011"),
        ("a: &x [*x]", "TG008"),
        ("&x a: *y", "TG004"),
        ("a: 1e999999999", "TG010"),
        ("a: " + "9" * 41, "TG010"),
        ("a: .nan", "TG010"),
        ("a:\n\t- b", "TG004"),
        ("a: b: c", "TG004"),
        ("--- {a: 1}\n--- {b: 1}", "TG004"),
        ("a: \x07", "TG002"),
        ("a: \ufffe", "TG002"),
        ("", "TG005"),
        ("# nothing", "TG005"),
        ("null", "TG005"),
        ("[1]", "TG006"),
        ("word", "TG006"),
    ],
)
def test_what_no_spec_may_hold_is_refused(text: str, code: str) -> None:
    assert fault_of(text)[0] == code


def test_aliases_may_repeat_values_but_not_explode() -> None:
    assert read("a: &x {k: 1}\nb: *x") == {"a": {"k": 1}, "b": {"k": 1}}
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    code, message, _ = fault_of("\n".join(lines))
    assert code == "TG008"
    assert f"{MAX_VALUES:,}" in message


@pytest.mark.parametrize("opening", ["[", "[\n", "- ", "{a: ", "? ", "a:\n" + " "])
@pytest.mark.parametrize("before", ["", "# ]]\na: 'it''s ['\nb: \n  "])
def test_deep_nesting_stops_early(opening: str, before: str) -> None:
    """At our own limit, whatever the parser's is."""
    text = opening * 100_000 if opening != "a:\n " else "".join(" " * n + "a:\n" for n in range(200))
    code, message, place = fault_of(before * (opening[0] in "[{") + text)
    assert (code, message) == ("TG003", f"values are nested more than {MAX_DEPTH} deep")
    if opening in ("[", "{a: ") and not before:
        assert place == (1, 1 + (MAX_DEPTH - 1) * len(opening)), "the last value that may hold others"


def test_a_parser_that_stops_earlier_for_another_reason_says_so() -> None:
    """Brackets in quotes and comments do not nest, and a few open ones are no depth."""
    deep = "[" * 100
    for text in (f"a: '{deep}'\nb: [1", f'a: "\\"{deep}"\nb: [1', f"a: 1 # {deep}\nb: [1", "a: " + "[" * 60 + "\nb: }"):
        assert fault_of(text)[0] == "TG004"


@pytest.mark.parametrize("opening", ["", "arms:\n  deep: "])
def test_a_mapping_with_too_many_keys_stops_at_the_first_of_them(opening: str) -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(200_001))
    code, message, place = fault_of(f"{opening}{{{keys}}}")
    assert (code, message) == ("TG003", f"this mapping has more than {MAX_KEYS:,} keys")
    assert place is not None
    line = f"{opening}{{{keys}}}".splitlines()[place[0] - 1]
    assert line[place[1] - 1 :].startswith(f"k{MAX_KEYS}:")


def test_as_many_keys_as_are_allowed_are_read() -> None:
    assert len(read("\n".join(f"k{number}: 1" for number in range(MAX_KEYS)))) == MAX_KEYS


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(b"[" * (MAX_BYTES + 1))
    _, faults = read_document(file)
    assert [fault.code for fault in faults] == ["TG003"]


def test_a_byte_that_is_no_utf_8_is_shown_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes("study: é\nmodel: caf".encode() + b"\xe9 x\n")
    _, (fault,) = read_document(file, "spec.yaml")
    assert fault.code == "TG002"
    assert fault.span is not None
    assert (fault.span.line, fault.span.column) == (2, 11)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(b"\xef\xbb\xbfstudy: x\r\nmodel: y\r\n")
    document, _ = read_document(file)
    assert document is not None
    assert document.data == {"study": "x", "model": "y"}
    assert document.key_span(("model",)) == Span(str(file), 2, 1, 5, "model: y")


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("a: 1")
    _, (fault,) = read_document(tmp_path / "quikstart.yaml")
    assert (fault.code, fault.hint) == ("TG001", "near: quickstart.yaml")
    _, (fault,) = read_document(tmp_path)
    assert "is a folder" in fault.message


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    """Whatever stands in a file, the reader answers with a document or with messages that have a place in it."""
    document, faults = read_text(text, Path("spec.yaml"))
    assert (document is None) == bool(faults)
    for fault in faults:
        assert fault.span is not None
        assert 1 <= fault.span.column <= len(fault.span.text) + 1


CORPUS = sorted((Path(__file__).parents[2] / "errors").glob("*.yaml"))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_without_libyaml_the_same_files_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_libyaml = [fault.code for fault in read_document(file)[1]]
    monkeypatch.setitem(sys.modules, "yaml.cyaml", None)
    assert [fault.code for fault in read_document(file)[1]] == with_libyaml
