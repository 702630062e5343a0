"""`forms:` of a questionnaire: what it stands for, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.study.benchmarks import Questionnaire
from traitgraph.specs.study.forms import Forms, form_name, forms_asked


def forms_of(folder: Path, forms: str, mode: str = "choice") -> Forms | None:
    (folder / "de.json").write_text("{}")
    text = f"study: s\nmodel: o/m\nmethod: direct\nbenchmarks:\n  - {{kind: mini-ipip, mode: {mode}, forms: {forms}}}\n"
    (folder / "spec.yaml").write_text(text)
    (benchmark,) = load_study(folder / "spec.yaml").arms[0].benchmarks
    assert isinstance(benchmark, Questionnaire)
    return benchmark.forms


def test_forms_are_every_value_with_every_other(tmp_path: Path) -> None:
    forms = forms_of(
        tmp_path,
        "{option_order: [backward, {shuffled: 2}], wording: [agree, {template: '{options} {statement}'}],"
        " labels: [words], language: {de: ./de.json}}",
    )
    assert forms is not None
    assert forms.language == {"de": str(tmp_path / "de.json")}
    names = [form_name(setting) for setting in forms.settings()]
    assert len(names) == len(set(names)) == forms.count == forms_asked(forms) == 3 * 2 * 2
    assert names[-1] == "option_order=shuffled-2,wording=template-1,labels=words,language=de"
    assert forms_asked(forms_of(tmp_path, "{labels: [letters, digits]}")) == 4
    assert forms_asked(None) == 2
    assert Forms.model_validate(forms.model_dump(mode="json")) == forms  # as a row of a job has it


def test_2500_settings_are_one_short_block(tmp_path: Path) -> None:
    forms = forms_of(
        tmp_path,
        "{wording: [accurate, agree, fits, resembles, typical], labels: [letters, lowercase, digits, roman, words],"
        " option_order: [forward, backward, {shuffled: 98}]}",
    )
    assert forms is not None
    assert forms.count == 2500


@pytest.mark.parametrize(
    ("forms", "fault"),
    [
        ("{item_order: [file]}", "`item_order` changes nothing: every item is asked in a conversation of its own"),
        ("{}", "`forms` has none of option_order, wording, labels, language"),
        ("{option_order: []}", "this list is empty"),
        ("{option_order: [forwards]}", "unknown order of options 'forwards'"),
        ("{option_order: [{shuffled: 0}]}", "0 is too small: it must be more than 0"),
        ("{option_order: [{shufled: 2}]}", "unknown key 'shufled'"),
        ("{labels: [letters, letters]}", "'letters' stands twice in the axis"),
        ("{wording: [aggree]}", "unknown wording 'aggree'"),
        ("{wording: [{template: 'How? {statement}'}]}", "the text must hold {options}"),
        ("{wording: [{template: '{options} {item}'}]}", "the text has no {item}"),
        ("{wording: [agree, {template: '{options} {statement}', name: agree}]}", "two wordings have one name"),
        ("{language: {file: ./de.json}}", "`file` is the questionnaire's own file"),
        ("{language: {de: ./fr.json}}", "there is no file or folder './fr.json'"),
    ],
)
def test_what_would_change_nothing_or_cannot_be_asked_is_refused(tmp_path: Path, forms: str, fault: str) -> None:
    with pytest.raises(SpecError) as raised:
        forms_of(tmp_path, forms)
    assert fault in str(raised.value)
    assert "spec.yaml:5:" in str(raised.value)


def test_only_an_interview_goes_on(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("study: s\nmodel: o/m\nmethod: direct\nbenchmarks: [{kind: mini-ipip, follow_ups: [Why?]}]\n")
    with pytest.raises(SpecError, match="`follow_ups` has no effect with `mode: choice`"):
        load_study(spec)


def test_a_mode_refuses_an_axis_that_it_does_not_ask(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"`forms\.labels` has no effect with `mode: generate`"):
        forms_of(tmp_path, "{labels: [letters]}", "generate")
