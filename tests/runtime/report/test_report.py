"""The report: the same for the same input, safe against hostile names, complete for every kind of study."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.runtime.report.rows import ALPHAS, FAILURE, TRAITS, about, row, study_rows
from traitgraph.runtime.report import write_report
from traitgraph.runtime.report.charts import charts_of, labelled, ticks
from traitgraph.runtime.report.findings import judge
from traitgraph.runtime.report.labels import axis_title
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.results.summaries import BenchmarkScores, summarise
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.jobs.results import duration_text

VOID = {"meta"}  # all other empty elements are written self-closed


class Page(HTMLParser):
    """Checks nesting while it collects elements and visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def rows() -> list[ResultRow]:
    return study_rows()


@pytest.fixture(scope="module")
def page(rows: list[ResultRow]) -> Page:
    return Page(render_page(rows, about()))


def test_equal_input_gives_equal_bytes(rows: list[ResultRow], tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(rows, about(), tmp_path / name)
    written = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert len(written) == 2 + len(charts_of(judge(summarise(rows))))
    for path in written:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_a_second_report_replaces_the_first_and_leaves_no_old_figure(rows: list[ResultRow], tmp_path: Path) -> None:
    write_report(rows, about(), tmp_path)
    contrast = [each for each in rows if each["benchmark"] == "reply_contrast"]
    page = write_report(contrast, about(), tmp_path)
    assert "mini-ipip" not in page.read_text()
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "reply_contrast-conditions.svg",
        "reply_contrast-gaps.svg",
        "reply_contrast.svg",
    ]
    assert not list(tmp_path.glob(".*"))


def test_the_page_asks_nobody_for_anything(page: Page) -> None:
    """No address outside the page is loaded, and the page's own policy forbids it."""
    assert not any("src" in attributes for _, attributes in page.elements)
    assert not any(tag in ("link", "img", "iframe", "object") for tag, _ in page.elements)
    links = [attributes["href"] for _, attributes in page.elements if "href" in attributes]
    assert all(link is not None and not link.startswith(("http", "//")) for link in links)
    policies = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert policies
    assert "default-src 'none'" in str(policies[0])


def test_every_link_inside_the_page_leads_somewhere(page: Page) -> None:
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    targets = {str(a["href"])[1:] for _, a in page.elements if str(a.get("href", "")).startswith("#")}
    assert targets
    assert targets <= anchors


HOSTILE = "</title><script>alert(\"x\")</script><img src=x onerror=alert(1)> $title ${body} & 'quotes'"


def test_a_hostile_name_stays_text_everywhere() -> None:
    """Study, arm, model, trait, benchmark, metric, spec, cause and labels come from users."""
    fields = ("arm", "model", "trait", "level", "merge", "benchmark", "metric", "seed")
    rows = [
        row(**dict.fromkeys(fields, HOSTILE), method="vector", alpha=alpha, value=value, study=HOSTILE, role=role)
        for alpha, value in (("0", 0.1), ("1", 2.0))
        for role in ("score", "validity")
    ]
    failure = type(FAILURE)(HOSTILE, [HOSTILE], HOSTILE)
    html = render_page(rows, about(study=HOSTILE, spec=HOSTILE, overrides=[HOSTILE], failures=[failure]))
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not any(tag == "img" for tag, _ in page.elements)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert HOSTILE in page.text


def test_a_name_that_no_font_can_draw_is_drawn_without_a_word(tmp_path: Path) -> None:
    """Warnings are errors here; to a user they would be chatter of the drawing library."""
    rows = [row(arm=name, method="vector", alpha=alpha, trait=name, level="high", benchmark="b", metric="m", value=1.0)
            for alpha in ("0", "1") for name in ("a\x1b[31m", "人格", "\U0001f600")]  # fmt: skip
    write_report(rows, about(study="s"), tmp_path)
    assert list((tmp_path / "figures").iterdir())


def test_a_hostile_name_makes_a_harmless_file_name(tmp_path: Path) -> None:
    rows = [
        row(method="vector", alpha=alpha, trait="t", level="high", benchmark=name, metric="m $x^2$", value=1.0)
        for alpha in ("0", "1")
        for name in ("../../etc/passwd", "a b", "a/b")
    ]
    write_report(rows, about(study="$x_1$ ../.."), tmp_path)
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert figures == ["a-b-2.svg", "a-b.svg", "etc-passwd.svg"]


def test_a_figure_is_whole_by_itself_and_has_no_code_of_a_name(tmp_path: Path) -> None:
    """Programs that read SVG know XML, and neither variables nor the page's style sheet."""
    rows = [
        row(
            method="vector",
            alpha=alpha,
            trait="t",
            level=level,
            benchmark=f"{HOSTILE} \x00\uffff",
            metric="m",
            value=1.0,
        )
        for alpha in ("0", "1")
        for level in ("high", "low")
    ]
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "of-an-earlier-version.png").write_bytes(b"")
    write_report(rows, about(study="s"), tmp_path)
    figures = list((tmp_path / "figures").iterdir())
    assert figures
    for path in figures:
        text = path.read_text(encoding="utf-8")
        tags = {each.tag.rpartition("}")[2] for each in ElementTree.fromstring(text).iter()}
        assert (
            {"text", "style", "path"}
            <= tags
            <= {"svg", "style", "rect", "text", "g", "line", "path", "circle", "title"}
        )
        assert "var(" not in text
        assert "<script" not in text


def test_every_trait_and_level_has_its_curve(rows: list[ResultRow], page: Page) -> None:
    charts = {chart.name: chart for chart in charts_of(judge(summarise(rows)))}
    panels = charts["reply_contrast"].panels
    assert [panel.title for panel in panels] == list(TRAITS)
    for panel in panels:
        assert [line.name for line in panel.lines] == ["vectors high", "vectors low"]  # type: ignore[union-attr]
        for line in panel.lines:  # type: ignore[union-attr]
            assert [mark.x for mark in line.marks] == [float(alpha) for alpha in ALPHAS]
        assert [reference.name for reference in panel.references] == ["base", "prompt high", "prompt low"]  # type: ignore[union-attr]


def test_panels_of_a_chart_share_their_axes(rows: list[ResultRow]) -> None:
    for chart in charts_of(judge(summarise(rows))):
        assert len({panel.x_range for panel in chart.panels}) == 1


def test_the_title_of_an_axis_stands_clear_of_the_names_of_strengths() -> None:
    """With 1 as the largest strength, its note 'tuned' stands where the title of the axis would begin."""
    rows = [
        row(method="vector", trait="openness", level="high", alpha=alpha, benchmark="b", metric="openness", value=1.0)
        for alpha in ("0", "0.5", "1")
    ]
    found = re.findall(r'y="([\d.]+)"[^>]*>(alpha|base|tuned)<', render_page(rows, about()))
    heights = {name: float(y) for y, name in found}
    assert heights["alpha"] - max(heights["base"], heights["tuned"]) >= 12


def test_the_page_says_what_the_study_says_of_itself() -> None:
    assert "Does scale matter?" in Page(render_page([], about(description="Does scale matter?"))).text


def test_jobs_that_could_not_start_are_not_called_failed() -> None:
    blocked = type(FAILURE)("blocked", ["assess a", "assess b", "collect"])
    text = Page(render_page([], about(failures=[FAILURE, blocked]))).text
    assert "2 jobs failed and 3 jobs could not start" in text


def test_axes_name_their_unit(page: Page) -> None:
    assert "[nats per token]" in page.text
    assert axis_title(BenchmarkScores("q", {"openness": {}}, {}, scale=(1, 3)), "openness") == "score [1 to 3]"
    assert "acc [share correct]" in page.text


def test_a_chart_says_what_its_bands_are(page: Page) -> None:
    """One meaning of ± in the whole report; five repeats without single items have no interval, and say so."""
    assert "95 % interval over items, of each score by itself" in page.text
    assert "No uncertainty is known for these points." in page.text
    assert not re.search(r"standard (error|deviation)", page.text)


def test_a_score_has_no_plus_sign_and_a_change_has_one(rows: list[ResultRow]) -> None:
    html = render_page(rows, about())
    assert re.search(r"<title>base: \u22120\.\d\d ± ", html)
    assert re.search(r">\+\d\.\d\d ± \d", html)


def test_a_questionnaire_is_drawn_on_its_whole_scale(rows: list[ResultRow]) -> None:
    """A null must look like a null, not like a zoomed zigzag."""
    (benchmark,) = (each for each in summarise(rows) if each.name == "mini-ipip")
    chart, *_ = charts_of(judge([benchmark._replace(scale=(1.0, 5.0))]))
    assert chart.panels[0].y_range == (1.0, 5.0)  # type: ignore[union-attr]


def test_chance_is_drawn_where_a_task_tells_it(rows: list[ResultRow]) -> None:
    chart = next(chart for chart in charts_of(judge(summarise(rows))) if chart.name == "everyday_reasoning · acc")
    chance = [reference.y for reference in chart.panels[0].references if reference.name == "chance"]  # type: ignore[union-attr]
    assert chance == [0.25]


def test_the_table_lists_every_subject_once(page: Page) -> None:
    sortable = [i for i, (tag, a) in enumerate(page.elements) if tag == "table" and a.get("class") == "sortable"]
    rows_after = [tag for tag, _ in page.elements[sortable[0] :]]
    rows_after = rows_after[: rows_after.index("section")]
    assert rows_after.count("tr") == 2 + 1 + 4 + 4 * len(ALPHAS)


def test_how_it_was_made_shows_spec_versions_seeds_and_durations(page: Page) -> None:
    for expected in ("study: made-up", "2.13.0", "3 min 21 s", "a made-up model", "seeds"):
        assert expected in page.text, expected


def test_missing_and_failed_jobs_are_said_first(rows: list[ResultRow]) -> None:
    text = Page(render_page(rows, about(missing=3, failures=[FAILURE]))).text
    assert "3 assessments of the study are missing here." in text
    assert text.index("2 jobs failed") < text.index("What moved")
    assert "out of memory" in text


def test_a_study_without_results_still_gives_a_page(tmp_path: Path) -> None:
    page = write_report([], about(missing=111), tmp_path)
    assert "There are no results yet." in page.read_text()
    assert (tmp_path / "results.csv").read_text().startswith("study,arm,")


def test_a_study_of_prompts_alone_has_conditions_and_no_curves(rows: list[ResultRow]) -> None:
    prompts = [each for each in rows if each["method"] != "vector"]
    text = Page(render_page(prompts, about())).text
    assert "Conditions without a strength" in text
    assert "High minus low" in text
    assert "Score against strength" not in text


def test_a_single_strength_is_a_condition(rows: list[ResultRow]) -> None:
    some = [each for each in rows if str(each["alpha"]) in ("None", "-1")]
    text = Page(render_page(some, about())).text
    assert "Score against strength" not in text
    assert "vectors: extraversion high, alpha -1" in text


def test_two_merge_methods_are_two_charts(rows: list[ResultRow]) -> None:
    ties = [{**each, "merge_label": "ties"} for each in rows if each["method"] == "vector"]
    names = [chart.name for chart in charts_of(judge(summarise([*rows, *ties])))]  # type: ignore[list-item]  # a changed row
    assert "reply_contrast · task_arithmetic" in names
    assert "reply_contrast · ties" in names


def test_gamma_is_an_axis_as_good_as_alpha() -> None:
    rows = [
        row(
            arm="n",
            method="npti",
            trait="openness",
            level="high",
            gamma=gamma,
            benchmark="b",
            metric="openness",
            value=v,
        )
        for gamma, v in (("0.1", 3.0), ("1", 3.5), ("2", 4.0))
    ]
    (chart,) = charts_of(judge(summarise(rows)))
    assert chart.panels[0].x_title == "gamma"


def steering_rows() -> list[ResultRow]:
    """Steering of one trait at both levels, at two layers."""
    return [
        row(arm="steered", method="steer", method_label=f"steer layer={layer}", trait="openness", level=level,
            coefficient=alpha, benchmark="b", metric="openness", value=sign * float(alpha), stderr=0.1)
        for layer in (10, 15) for level, sign in (("high", 1), ("low", -1)) for alpha in ("0", "0.5", "4")
    ]  # fmt: skip


def test_a_value_of_several_words_is_one_value() -> None:
    same = {"arm": "prompted", "trait": "t", "level": "high", "benchmark": "b", "metric": "m", "value": 1.0}
    page = render_page([row(method_label=f"prompt intensity={word}", **same) for word in ("a bit", "very")], about())
    assert "intensity a bit" in page
    assert "a, bit" not in page


def test_steering_is_called_what_it_is() -> None:
    text = Page(render_page(steering_rows(), about())).text
    assert "in 2 of 2 pairs of steering directions" in text
    assert "at coefficient 4" in text
    assert "b · layer 10" in text
    assert "alpha" not in text


def test_an_arm_has_one_name_in_every_legend() -> None:
    """The arm's own name, in charts of strengths and of conditions alike."""
    rows = [
        *steering_rows(),
        row(arm="plain", method="direct", benchmark="b", metric="openness", value=0.0),
        row(arm="told", method="prompt", trait="openness", level="high", benchmark="b", metric="openness", value=1.0),
    ]
    charts = charts_of(judge(summarise(rows)))
    names = [
        {each.name for panel in chart.panels for each in (*panel.lines, *panel.references)}  # type: ignore[union-attr]
        for chart in charts[:2]
    ]
    assert names == [{"steered high", "steered low", "plain", "told high"}] * 2
    assert {bar.name for bar in charts[2].panels[0].bars} == {"plain", "told: openness high"}  # type: ignore[union-attr]


def test_ticks_stand_at_the_measured_strengths() -> None:
    html = render_page(steering_rows(), about()).partition('id="curves"')[2]
    axis = re.findall(r'class="tick" text-anchor="middle">([^<]+)<', html)
    assert axis == ["0", "0.5", "4"] * 2


def test_a_panel_alone_is_wider(rows: list[ResultRow]) -> None:
    assert 'viewBox="0 0 760 272"' in render_page(steering_rows(), about())
    two_panels = [each for each in rows if each["benchmark"] == "reply_contrast"]
    assert 'viewBox="0 0 760 272"' not in render_page(two_panels, about())


def test_numbers_of_close_ticks_do_not_touch() -> None:
    assert labelled([0, 0.1, 0.2, 1.0], per_unit=100, per_letter=6) == [0, 0.2, 1.0]


def test_undefined_values_are_left_out_not_drawn_as_zero(rows: list[ResultRow]) -> None:
    undefined = [row(arm="base", method="direct", benchmark="b", metric="openness", value=None)]
    assert "0.00" not in Page(render_page(undefined, about())).text


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-1.1, 1.6), (1.0, 5.0), (-250.0, 3.0), (0.0, 1e-6), (2.0, 2.0000001)]
)
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 11
    assert all(low <= tick <= high for tick in found)
    steps = {Decimal(repr(b)) - Decimal(repr(a)) for a, b in pairwise(found)}
    assert len(steps) == 1


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.4 s"), (52, "52 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_page_scripts_only_what_its_policy_names(rows: list[ResultRow]) -> None:
    """The hash in the policy is that of the script, so that the table sorts and nothing else runs."""
    import hashlib
    from base64 import b64encode

    html = render_page(rows, about())
    match = re.search(r"<script>(.*)</script>", html, re.S)
    assert match
    assert f"sha256-{b64encode(hashlib.sha256(match[1].encode()).digest()).decode()}" in html
