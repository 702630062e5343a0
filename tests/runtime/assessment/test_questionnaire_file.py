"""Questionnaire files: every fault in the words of the format, at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.runtime.questionnaires import write_questionnaire
from traitgraph.runtime.assessment.questionnaires.item_file import QuestionnaireError, read_questionnaire

GOOD = {"id": 7, "text": "Talk a lot", "domain": "E", "keyed": 1}
ITEM_PURPOSE = "`text`: The statement as published, without its stem."


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"items": [{**GOOD, "keyed": 0}]}, ["item 7, `keyed`: '0' is not allowed here (there are: 1, -1)"]),
        (
            {"items": [GOOD, {**GOOD, "id": "8", "domain": "Extraversion"}]},
            [
                "item no. 2, `id`: '8' is not a whole number (a number stands without quotes)",
                "item no. 2, `domain`: unknown trait 'Extraversion' (near: extraversion)",
            ],
        ),
        (
            {"items": [{"id": 7, "txt": "Talk a lot", "domain": "E", "keyed": 1}, 3]},
            [f"item 7: `text` is missing (near: txt; {ITEM_PURPOSE})", "item no. 2: `3` is not a mapping"],
        ),
        ({"items": [{**GOOD, "keyed": 10**400}]}, ["item 7, `keyed`: a number of too many digits"]),
        ({"items": [{**GOOD, "secondperson": "You talk."}]}, ["unknown field 'secondperson' (near: second_person)"]),
        ({"items": [{**GOOD, "wieght": 0}]}, ["unknown field 'wieght' (near: weight)"]),
        ({"items": [{**GOOD, "Facet": "anger"}]}, ["unknown field 'Facet' (near: facet)"]),
        ({"items": [GOOD, {**GOOD, "id": 8}, GOOD]}, ["several items have the same id: 7"]),
        ({"items": []}, ["`items`: the list has 0 elements, at least 1 are needed"]),
        (
            {"response_scale": {"min": 1, "max": 5, "anchors": ["yes", "no"]}},
            ["`response_scale`: a scale from 1 to 5 needs one anchor a step, not 2"],
        ),
        (
            {"response_scale": {"min": 2, "max": 1, "anchors": ["yes", "no"]}},
            ["`response_scale`: `max` must be above `min`: steps go from least to most agreement"],
        ),
        ({"stem": "I am"}, ['`stem`: three dots must stand where the text of an item goes, as in "I ..."']),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_in_the_words_of_its_format(
    tmp_path: Path, changes: dict[str, object], faults: list[str]
) -> None:
    """All faults at once, by item and field, each at its place; what only follows from another is not told."""
    path = write_questionnaire(tmp_path / "q.json", **changes)
    with pytest.raises(QuestionnaireError) as raised:
        read_questionnaire(path)
    assert [re.sub(r"^.*q\.json:(\d+:\d+:)? ", "", line) for line in str(raised.value).splitlines()] == faults
    assert all(fault.span or path.name in fault.message for fault in raised.value.faults)


def test_an_empty_stem_leaves_statements_as_they_are(tmp_path: Path) -> None:
    whole = read_questionnaire(write_questionnaire(tmp_path / "q.json", stem=""))
    assert whole.statement(whole.items[0]) == whole.items[0].text


def test_a_key_that_says_so_lacks_its_wording_and_nothing_else(tmp_path: Path) -> None:
    """The wording may belong to others: the user is told in one sentence, and any other fault as ever."""
    items = [{"id": number, "domain": "C", "keyed": 1} for number in range(3)]
    with pytest.raises(QuestionnaireError) as raised:
        read_questionnaire(write_questionnaire(tmp_path / "q.json", items=items, wording="left to the user"))
    (fault,) = raised.value.faults
    assert fault.severity == "warning"
    assert fault.message.endswith("q.json: a key without its wording, which belongs to others")
    items[1]["text"] = "Make lists"
    with pytest.raises(QuestionnaireError, match=r"item 0: `text` is missing \(and so in 1 more\)") as raised:
        read_questionnaire(write_questionnaire(tmp_path / "q.json", items=items, wording="left to the user"))
    assert [fault.severity for fault in raised.value.faults] == ["error"]


def test_what_many_items_lack_is_told_once(tmp_path: Path) -> None:
    items = [{"id": number, "domain": "C", "keyed": 1} for number in range(44)]
    with pytest.raises(QuestionnaireError, match=r"item 0: `text` is missing \(and so in 43 more\)") as raised:
        read_questionnaire(write_questionnaire(tmp_path / "q.json", items=items))
    assert len(raised.value.faults) == 1
