"""A value that is not what it looks like is told by its cause: a number, a character, a file of another form."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError
from traitgraph.specs.study.study import Study

SPEC = """\
study: plain
model: smollm2-135m
traits: [openness]
data: rows.jsonl
method: vector
train: {method: sft, learning_rate: 1e-4, steps: 2}
alpha: ALPHA
benchmarks: [{kind: lm_eval, task: piqa}]
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("{}\n")
    Path("spec.yaml").write_text(SPEC.replace("ALPHA", "1"))
    return Path("spec.yaml")


def read(spec: Path, *overrides: str) -> Study:
    return load_study(spec, overrides)


def faults(spec: Path, *overrides: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        load_study(spec, overrides)
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("written", "number"),
    [("010", "10"), ("-010", "-10"), ("0x10", "16"), ("0o17", "15"), ("00.5", "0.5"), ("1e-1", "0.1"), (".5", "0.5")],
)
def test_a_number_is_the_same_in_a_file_and_in_an_override(spec: Path, written: str, number: str) -> None:
    typed = [read(spec, f"alpha={written}"), read(spec, f"alpha=[{written}]")]
    spec.write_text(SPEC.replace("ALPHA", written))
    assert {str(study.arms[0].alpha[0]) for study in [*typed, read(spec)]} == {number}


@pytest.mark.parametrize("written", ["1_000", "1_0.5", "0b1", "1e"])
def test_what_is_no_number_in_a_file_is_none_in_an_override(spec: Path, written: str) -> None:
    typed = [faults(spec, f"alpha={written}"), faults(spec, f"alpha=[{written}]")]
    spec.write_text(SPEC.replace("ALPHA", written))
    said = {tuple((each.code, each.message) for each in found) for found in [*typed, faults(spec)]}
    assert said == {(("TG103", f"`{written}` is not a number"),)}


def test_numbers_in_quotes_stay_texts(spec: Path) -> None:
    assert read(spec, "+description='010 and 1_000'").description == "010 and 1_000"


@pytest.mark.parametrize("text", ["agent 007", "v:007", "run 0x1f of 010 so", "of 010"])
def test_digits_in_the_midst_of_a_text_stay_as_they_are(spec: Path, text: str) -> None:
    assert read(spec, f"+description={text}").description == text


@pytest.mark.parametrize("form", ["{}", "[{}]", "[0, {}]"])
@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("'0.5'", "a number stands without quotes"),
        ("50%", "write 0.5"),
        ("12.5 %", "write 0.125"),
        ("1_000", "write 1000"),
    ],
)
def test_a_number_in_another_dress_gets_the_same_hint_everywhere(
    spec: Path, form: str, written: str, hint: str
) -> None:
    spec.write_text(SPEC.replace("ALPHA", form.format(written)))
    assert [each.hint for each in faults(spec)] == [hint]


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\N{NO-BREAK SPACE}", "U+00A0, NO-BREAK SPACE"),
        ("\N{ZERO WIDTH SPACE}", "U+200B, ZERO WIDTH SPACE"),
        ("\N{NARROW NO-BREAK SPACE}", "U+202F, NARROW NO-BREAK SPACE"),
        ("\N{WORD JOINER}", "U+2060, WORD JOINER"),
    ],
)
def test_a_character_that_looks_like_nothing_is_named(spec: Path, character: str, name: str) -> None:
    for text in (f"1{character}", f"[0, 1{character}]"):
        spec.write_text(SPEC.replace("ALPHA", text))
        assert name in str([each.hint for each in faults(spec)])
    spec.write_text(SPEC.replace("ALPHA", "1"))
    assert name in str(faults(spec, f"alpha=1{character}")[0].hint)
    assert name in str(faults(spec, f"traits=[openness{character}]")[0].hint)
    spec.write_text(SPEC.replace("ALPHA", "1").replace("[openness]", f"[openness{character}]"))
    assert name in str(faults(spec)[0].hint)


def test_a_minus_that_is_none_is_named(spec: Path) -> None:
    spec.write_text(SPEC.replace("ALPHA", "\N{MINUS SIGN}1"))
    assert "U+2212, MINUS SIGN" in str(faults(spec)[0].hint)
    assert "U+2212, MINUS SIGN" in str(faults(spec, "alpha=\N{MINUS SIGN}1")[0].hint)


@pytest.mark.parametrize("name", ["d.csv", "d.json", "d.parquet", "sub/d.csv"])
def test_a_file_that_is_there_is_not_called_unknown(spec: Path, name: str) -> None:
    Path("sub").mkdir()
    Path(name).write_text("a\n")
    (fault,) = faults(spec, f"data={name}")
    assert fault.message == f"'{name}' is there, and no data set by this name"
    assert fault.hint == "a data set is read from a file that ends in .jsonl"


@pytest.mark.parametrize("word", ["data=./folder", "data={path: folder}"])
def test_a_folder_in_the_place_of_a_file_is_told_with_its_files(spec: Path, word: str) -> None:
    Path("folder").mkdir()
    Path("folder/a.jsonl").write_text("{}\n")
    (fault,) = faults(spec, word)
    written = word.partition("folder")[0].rpartition("=")[2].removeprefix("{path: ") + "folder"
    assert fault.message == f"'{written}' is a folder, a file is wanted"
    assert fault.hint == f"give one of its files: {written}/a.jsonl"


def test_a_folder_in_the_place_of_items_or_words_is_told(spec: Path) -> None:
    Path("folder").mkdir()
    for benchmark in ("{kind: questionnaire, items: ./folder}", "{kind: linguistic, lexicon: folder}"):
        (fault,) = faults(spec, f"benchmarks=[{benchmark}]")
        assert fault.message.endswith("folder' is a folder, a file is wanted")


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (f"{{project: p, tags: [{'t' * 65}]}}", "the text has more than 64 characters"),
        ("{project: p, tags: ['']}", "the text is empty"),
        (f"{{project: {'p' * 129}}}", "the text has more than 128 characters"),
        ("{project: a/b}", "'a/b' is not allowed here"),
    ],
)
def test_what_the_tracker_would_refuse_after_the_study_is_refused_before(
    spec: Path, tracking: str, message: str
) -> None:
    assert [each.message for each in faults(spec, f"+tracking={{wandb: {tracking}}}")] == [message]


def test_a_name_that_the_tracker_would_refuse_is_refused_before(spec: Path) -> None:
    assert faults(spec, f"study={'s' * 129}")[0].message == "the text has more than 128 characters"


def test_a_key_that_is_needed_is_missing_where_it_is_null(spec: Path) -> None:
    assert [(each.code, each.message) for each in faults(spec, "train=null")] == [
        ("TG102", "`train` is missing: method `vector` needs it")
    ]


def test_a_text_with_a_comma_may_be_quoted_and_only_keys_of_the_language_are_added(spec: Path) -> None:
    (comma,), (lora,) = faults(spec, "+description=a, b"), faults(spec, "lora.rank=8")
    assert comma.hint
    assert "or quote it if it is text: '+description=\"a, b\"'" in comma.hint
    assert not lora.hint
