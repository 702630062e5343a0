"""The report on subjects in several contexts: their spread, and what each context changes."""

from __future__ import annotations

import re
from statistics import fmean, stdev

from traitgraph.runtime.report.contexts import contexts_section
from traitgraph.runtime.report.markup import MOST_ROWS
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.results.subjects import subject_name, subject_of
from traitgraph.runtime.results.summaries import summarise
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.source.hashing import digest

from .rows import about, row

VALUES = {"plain": 3.25, "village": 2.0, "deadline": 4.5}


def measured(context: str, value: float, **where: str) -> ResultRow:
    """A score of the questionnaire in a context."""
    at = {"arm": "base", "method": "direct", **where}
    job = digest("job", [*at.values(), context])
    return row(**at, context=context, benchmark="mini", metric="extraversion", value=value, job=job)


def cells(page: str) -> list[list[str]]:
    """The texts of the cells of every row."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [[re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", each)] for each in rows]


def test_each_context_is_compared_with_the_first() -> None:
    rows = [measured(name, value) for name, value in VALUES.items()]
    section = contexts_section(summarise(rows))
    assert section is not None
    mean, spread = f"{fmean(VALUES.values()):.2f}", f"{stdev(VALUES.values()):.2f}"
    assert ["base", "extraversion", "3", mean, spread, "2.00 (village)", "4.50 (deadline)"] in cells(section)
    assert ["base", "extraversion", "village", "plain", "\N{MINUS SIGN}1.25"] in cells(section)
    assert ["base", "extraversion", "deadline", "plain", "+1.25"] in cells(section)


def test_a_study_with_one_context_or_none_has_no_such_section() -> None:
    assert contexts_section(summarise([measured("village", 2.0)])) is None
    assert contexts_section(summarise([row(arm="base", method="direct", benchmark="mini", metric="acc")])) is None


def test_subjects_in_two_contexts_are_two() -> None:
    rows = [measured(name, 3.0, arm="told", method="prompt", trait="extraversion", level="high") for name in VALUES]
    assert len({subject_of(each) for each in rows}) == 3
    assert subject_name(subject_of(rows[1])) == "told: extraversion high, village"
    page = render_page(rows, about())
    assert ">context<" in page


def test_ten_thousand_people_make_no_page_of_ten_thousand_rows() -> None:
    rows = [measured(f"p{number}", 3.0 + number % 2) for number in range(10_000)]
    page = render_page(rows, about())
    tables = page.split("<table")[1:]
    assert max(table.partition("</table>")[0].count("<tr") for table in tables) <= MOST_ROWS + 2
    assert "8,000 more in results.csv." in page
    assert ["base", "extraversion", "10,000", "3.50", "0.50", "3.00 (p0)", "4.00 (p1)"] in cells(page)
