"""The table of results: what the store holds, exactly, with the coordinates that the compiler gave."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import re
from pathlib import Path

import pytest

from tests.runtime.report.rows import row
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.report.curves import change_of
from traitgraph.runtime.report.findings import judge
from traitgraph.runtime.results.collect import collect
from traitgraph.runtime.results.provenance import describe_results
from traitgraph.runtime.results.statistics import Estimate
from traitgraph.runtime.results.summaries import Score, summarise
from traitgraph.runtime.results.table import result_rows, to_json, write_csv
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import CollectParams, JobRow
from traitgraph.specs.jobs.results import RESULT_COLUMNS, Cell
from traitgraph.specs.source.hashing import digest

VALUES = (0.1, 1 / 3, -2.5e-17, None, 3.0)


def job(kind: str, name: str, **inputs: tuple[str, ...]) -> JobRow:
    return JobRow(key=digest(kind, name), kind=kind, version=1, params={}, inputs=inputs, label=f"{kind} {name}")


def publish(store: Store, row: JobRow, metrics: tuple[float | None, ...] = VALUES) -> JobRow:
    with store.publish(row) as out:
        lines = [
            {"metric": f"m{place}", "repeat": place or None, "value": value, "stderr": None, "n": 4, "role": "score"}
            for place, value in enumerate(metrics)
        ]
        (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return row


def cell(row: JobRow, arm: str = "base", method: str = "direct", **axes: str) -> Cell:
    return Cell("s", arm, method, method, axes.get("merge", ""), tuple(axes.items()), "b", row.key)


def test_rows_carry_the_coordinates_of_their_cell_and_the_values_of_their_job(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows, missing = result_rows([cell(publish(store, job("assess", "one")), alpha="0.30")], store)
    assert missing == []
    assert [row["value"] for row in rows] == list(VALUES)
    assert {(row["study"], row["alpha"], row["job"]) for row in rows} == {("s", 0.3, digest("assess", "one"))}
    assert repr(rows[0]["alpha"]) == "0.30", "a number prints as it was written"


def test_cells_that_share_a_job_have_rows_each(tmp_path: Path) -> None:
    """Alpha 0 is the base model, whichever arm it was written in."""
    store = Store(tmp_path)
    row = publish(store, job("assess", "one"))
    rows, _ = result_rows([cell(row), cell(row, arm="vectors", alpha="0")], store)
    assert [each["arm"] for each in rows] == ["base"] * len(VALUES) + ["vectors"] * len(VALUES)


def test_rows_of_one_measurement_say_so_and_a_pooled_mean_counts_it_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    base, far = (publish(store, job("assess", name), (value,)) for name, value in (("base", 1.0), ("far", 4.0)))
    cells = [
        cell(row, level=level, alpha=alpha) for row, alpha in ((base, "0"), (far, "1")) for level in ("high", "low")
    ]
    rows, _ = result_rows(
        [*cells[:3], cell(publish(store, job("assess", "low"), (7.0,)), level="low", alpha="1")], store
    )
    same = "arm=base,method=direct,level=high,alpha=0,benchmark=b"
    assert [each["same_as"] for each in rows] == [None, same, None, None]
    stream = io.StringIO(newline="")
    write_csv(rows, stream)
    read = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert [float(each["value"]) for each in read if not each["same_as"]] == [1.0, 4.0, 7.0]
    assert [each["same_as"] for each in json.loads(to_json(rows))] == [None, same, None, None]


def test_seeds_that_share_a_measurement_are_one_value_and_no_spread() -> None:
    """Alpha 0 is the base whatever was trained: three seeds of it are not three trainings."""
    shared = [row(metric="openness", seed=seed, value=3.0, stderr=0.2, job="b" * 32) for seed in "012"]
    (benchmark,) = summarise(shared)
    (score,) = benchmark.scores["openness"].values()
    assert (len(score.jobs), score.over, score.stderr) == (1, "items", 0.2)
    trained = [row(metric="openness", seed=seed, value=float(seed), stderr=0.2) for seed in "012"]
    (score,) = summarise(trained)[0].scores["openness"].values()
    assert (len(score.jobs), score.over) == (3, "items and seeds")
    assert score.stderr == pytest.approx((0.2**2 + 1 / 3) ** 0.5), "the same items in every seed"


def test_missing_jobs_are_left_out_and_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    there, absent = cell(publish(store, job("assess", "one"))), cell(job("assess", "two"))
    rows, missing = result_rows([absent, there], store)
    assert missing == [absent]
    assert {row["job"] for row in rows} == {there.job}


def test_a_damaged_job_counts_as_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = cell(publish(store, job("assess", "one")))
    (store.path("assess", one.job) / "metrics.jsonl").write_text("{}\n")
    assert result_rows([one], Store(tmp_path)) == ([], [one])


def test_csv_has_the_frozen_columns_and_exact_numbers(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows, _ = result_rows([cell(publish(store, job("assess", "one")), trait='a,"b"\nc')], store)
    stream = io.StringIO(newline="")
    write_csv(rows, stream)
    read = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert tuple(read[0]) == RESULT_COLUMNS
    assert [row["value"] for row in read] == ["0.1", "0.3333333333333333", "-2.5e-17", "", "3.0"]
    assert [row["repeat"] for row in read] == ["", "1", "2", "3", "4"]
    assert read[0]["trait"] == 'a,"b"\nc'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("@SUM(A1)", "'@SUM(A1)"), ("+1", "'+1"), ("-1+2", "'-1+2"),
        ("\t=1", "'\t=1"), (" =1", "' =1"), ("-0.5", "-0.5"), ("-2.5e-17", "-2.5e-17"), ("a=b", "a=b"),
        ("\x1b[31mred\x07", "red"), ("\uff1d1", "'\uff1d1"), ("a, b", "a, b"),
    ],
)  # fmt: skip
def test_a_cell_is_no_formula_and_no_command_to_a_terminal(text: str, shown: str) -> None:
    """An apostrophe keeps what a spreadsheet would compute a text; numbers stay numbers."""
    stream = io.StringIO(newline="")
    write_csv([row(arm=text, alpha="-0.5", value=-0.25)], stream)
    (found,) = csv.DictReader(io.StringIO(stream.getvalue(), newline=""))
    assert (found["arm"], found["alpha"], found["value"]) == (shown, "-0.5", "-0.25")


def test_json_prints_the_same_rows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows, _ = result_rows([cell(publish(store, job("assess", "one")))], store)
    read = json.loads(to_json(rows))
    assert all(tuple(row) == RESULT_COLUMNS for row in read)
    assert [row["value"] for row in read] == list(VALUES)
    assert json.loads(to_json([])) == []


def test_collect_writes_every_metric_with_its_job(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    rows = [publish(store, job("assess", name), metrics) for name, metrics in (("one", (1.0, None)), ("two", (2.0,)))]
    keys = tuple(row.key for row in rows)
    out = tmp_path / "out"
    out.mkdir()
    folders = {"assess": tuple(store.path("assess", key) for key in keys)}
    collect(JobContext(job("collect", "all", assess=keys), folders, out, {}), CollectParams())
    read = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(row["job"], row["value"]) for row in read] == [(keys[0], 1.0), (keys[0], None), (keys[1], 2.0)]


def test_collect_needs_no_torch() -> None:
    assert getattr(collect, "without_torch", False)


def test_the_description_counts_every_job_behind_the_results_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    train = publish(store, job("train", "t"))
    vector = publish(store, job("vector", "v", tuned=(train.key,)))
    neurons, odd = (publish(store, job(kind, "n")) for kind in ("neurons", "of_a_package_that_is_gone"))
    assess = [publish(store, job("assess", name, merge=(vector.key,))) for name in ("a", "b")]
    cells = [cell(row, seed="0") for row in (odd, neurons, *assess, job("assess", "gone"))]
    about = describe_results("s", "study: s\n", cells, store)
    found = [(stage.kind, stage.jobs) for stage in about.stages]
    assert found == [("train", 1), ("neurons", 1), ("vector", 1), ("assess", 2), (odd.kind, 1)]  # as they run
    assert about.missing == 1
    assert about.seeds == ["0"]
    assert "traitgraph" in about.versions


def test_the_description_says_when_on_what_and_from_what(tmp_path: Path) -> None:
    """Files by their names and digests, models by their number formats too, seeds by the jobs that used them."""
    store = Store(tmp_path)
    model = {"kind": "gguf", "digest": "a" * 32, "dtype": "float32"}
    benchmark = {"kind": "questionnaire", "items": "c" * 32, "mode": "choice"}
    train = job("train", "t").model_copy(
        update={"params": {"model": model, "data": {"kind": "file", "digest": "b" * 32, "fields": {}}, "seed": 3}}
    )
    assess = job("assess", "a", tuned=(train.key,)).model_copy(
        update={"params": {"model": model, "benchmark": benchmark, "sampling": {"repeats": 5, "seed": 0}}}
    )
    publish(store, train)
    publish(store, assess)
    names = {"a" * 32: "model.gguf", "b" * 32: "rows.jsonl", "c" * 32: "q.json", "d" * 32: "not-used.json"}
    facts = describe_results("s", "study: s\n", [cell(assess)], store, names=names).facts
    assert facts["model"] == f"model.gguf {'a' * 32}, float32"
    assert sorted(facts["files and data sets"].split("; ")) == [f"q.json {'c' * 32}", f"rows.jsonl {'b' * 32}"]
    assert facts["seeds"] == "0 (assess); 3 (train)"
    assert re.fullmatch(r"CPU: .+, \d+ cores? \(.+\)|GPU: .+ \(.+\)", facts["machine"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d( to \d{4}-\d\d-\d\d \d\d:\d\d)? UTC", facts["made"])
    assert platform.node() not in " ".join(facts.values()).split()


def test_a_distance_knows_its_reference(tmp_path: Path) -> None:
    """By the name of its file and its digest, from the manifest of the analysis."""
    store = Store(tmp_path)
    analysis = {"kind": "trait_correlation", "reference": "f" * 32, "shuffles": 5}
    row = job("analyse", "a").model_copy(update={"params": {"analysis": analysis}})
    publish(store, row)
    about = describe_results("s", "", [cell(row)], store, names={"f" * 32: "people.json"})
    assert about.references == {row.key: f"people.json {'f' * 12}"}
    assert describe_results("s", "", [cell(row)], store).references == {row.key: "f" * 12}


def test_data_of_the_hub_are_named_by_their_revision(tmp_path: Path) -> None:
    store = Store(tmp_path)
    data = {"kind": "hub", "id": "owner/rows", "revision": "0abc", "split": "train", "fields": {}}
    assess = job("assess", "a").model_copy(update={"params": {"benchmark": {"kind": "reply_contrast", "data": data}}})
    publish(store, assess)
    facts = describe_results("s", "", [cell(assess)], store).facts
    assert facts["files and data sets"] == "owner/rows at revision 0abc"


def answers(store: Store, name: str, rows: list[dict[str, object]]) -> str:
    row = job("assess", name)
    with store.publish(row) as out:
        (out / "answers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return row.key


def change_between(metric: str, before: str, after: str, items: ItemScores) -> Estimate:
    """From one assessment to another, by single items or not at all: the scores themselves have no error."""
    values = [[each.value for each in items.of(job).get(metric, {}).values()] for job in (before, after)]
    first, last = (
        Score(sum(filter(None, own)) / max(1, len(own)), None, None, "", len(own), (job,))
        for own, job in zip(values, (before, after), strict=True)
    )
    return change_of(metric, [(1, last), (-1, first)], items)


def contrast(gaps: list[float]) -> list[dict[str, object]]:
    """Pairs whose high reply has the given log-likelihood per token and whose low reply has none."""
    return [
        {"trait": "openness", "pair": f"p{place}", "level": level, "tokens": 10, "loglik": 10 * value}
        for place, gap in enumerate(gaps)
        for level, value in (("high", gap), ("low", 0.0))
    ]


@pytest.mark.parametrize("names", [["p0", "p1"], ["p", "p"]], ids=["two prompts", "two pairs of one prompt"])
def test_a_change_is_compared_item_by_item(tmp_path: Path, names: list[str]) -> None:
    """Pairs that differ wildly but all rise by 0.5 or 0.7 give a small error of the change."""
    store = Store(tmp_path)
    before, after = (
        answers(store, name, [{**row, "pair": names[place // 2]} for place, row in enumerate(contrast(gaps))])
        for name, gaps in (("a", [-9.0, 4.0]), ("b", [-8.5, 4.7]))
    )
    change = change_between("openness", before, after, ItemScores(store))
    assert change == pytest.approx((0.6, 0.1, 1))


def test_documents_of_a_task_are_items(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = [
        answers(store, name, [
            {"task": "t", "document": place, "filter": kind, "values": {"acc": value}}
            for kind in ("none", "strict") for place, value in enumerate(values)
        ])
        for name, values in (("a", [1, 1, 0, 0]), ("b", [0, 1, 0, 0]))
    ]  # fmt: skip
    for metric in ("acc", "acc.strict"):
        assert change_between(metric, keys[0], keys[1], ItemScores(store)) == pytest.approx((-0.25, 0.25, 3))


def test_items_that_fewer_than_half_of_the_repeats_answered_are_too_few(tmp_path: Path) -> None:
    """The means over repeats have values, in the one repeat that was answered; the items have none."""
    store = Store(tmp_path)
    rows = []
    for level, last in (("high", 4), ("low", None)):
        key = answers(store, level, [
            {"trait": "openness", "item": item, "keyed": 1 - item % 2 * 2, "scale": [1, 5], "repeat": repeat,
             "answer": 3 if repeat == 0 else last}
            for repeat in range(3) for item in range(4)
        ])  # fmt: skip
        rows += [
            row(method="prompt", trait="openness", level=level, benchmark="q", metric="openness", job=key,
                repeat=repeat, value=3.0 if repeat == 0 or last else None, n=4 if repeat == 0 or last else 0)
            for repeat in range(3)
        ]  # fmt: skip
    (found,) = judge(summarise(rows, ItemScores(store)))
    assert [finding.verdict for finding in found.found] == ["few"]


@pytest.mark.parametrize("values", [[[1, 0, 1], [1, 1, 0]], [[1, 0, 1], [1, 1]]], ids=["balanced", "one task shorter"])
def test_a_document_that_tasks_of_a_group_share_counts_once(tmp_path: Path, values: list[list[int]]) -> None:
    """Against the sandwich error of a regression on a constant, clustered by document; a task alone is paired too."""
    store = Store(tmp_path)
    after = [[0 for _ in each] for each in values]
    keys = [
        answers(store, name, [
            {"task": f"t{task}", "document": place, "content": f"d{place}", "filter": "none", "values": {"acc": value}}
            for task, of_task in enumerate(each) for place, value in enumerate(of_task)
        ])
        for name, each in (("a", values), ("b", after))
    ]  # fmt: skip
    count, total = len(values[0]), sum(map(len, values))
    mean = -sum(map(sum, values)) / total
    sums = [sum(-of_task[place] - mean for of_task in values if place < len(of_task)) for place in range(count)]
    error = (count / (count - 1) * sum(each**2 for each in sums)) ** 0.5 / total
    items = ItemScores(store)
    of_rows = [
        row(alpha=str(place), job=key, benchmark="g", metric="acc", value=value, stderr=0.2, n=total)
        for place, (key, value) in enumerate(zip(keys, (-mean, 0.0), strict=True))
    ]
    score, last = summarise(of_rows, items)[0].scores["acc"].values()
    assert change_of("acc", [(1, last), (-1, score)], items) == pytest.approx((mean, error, count - 1))
    assert change_between("t0.acc", keys[0], keys[1], items) == pytest.approx((-2 / 3, 1 / 3, 2))
    assert score[:3] == pytest.approx((-mean, error, count - 1))
    assert score.n == count, "documents, not answers"


def test_the_scale_of_a_questionnaire_is_that_of_its_answers(tmp_path: Path) -> None:
    store = Store(tmp_path)
    asked, written = answers(store, "a", [{"scale": [1, 3]}]), answers(store, "b", [{"text": "x"}])
    items = ItemScores(store)
    assert (items.scale(asked), items.scale(written), items.scale(digest("assess", "gone"))) == ((1, 3), None, None)


def test_a_plugin_gives_its_items_as_rows(tmp_path: Path) -> None:
    """Repeats of an item are averaged; an item with fewer than half of its answers is left out."""
    store = Store(tmp_path)
    given: list[list[float | None]] = [[1.0, 2.0, 3.0], [4.0, None, None]]
    key = answers(store, "a", [
        {"metric": "m", "item": item, "value": value, "repeat": repeat}
        for item, values in enumerate(given) for repeat, value in enumerate(values)
    ])  # fmt: skip
    assert [answer.value for answer in ItemScores(store).of(key)["m"].values()] == [2.0, None]


def chosen(shift: dict[int, float], keyed: tuple[int, ...] = (1, 1, -1, -1)) -> list[dict[str, object]]:
    """Items answered by letter, whose last step is as much likelier as the keying says."""
    return [
        {"item": place, "trait": "openness", "keyed": sign, "scale": [1, 5],
         "logprobs_forward": [0.0, 0.0, 0.0, 0.0, shift[sign] + 0.01 * place], "logprobs_backward": [0.0] * 5}
        for place, sign in enumerate(keyed)
    ]  # fmt: skip


def test_a_letter_answer_counts_by_its_expectation_at_the_temperature_of_the_study(tmp_path: Path) -> None:
    """Both orders averaged, a reversed item turned round: the arithmetic of `questionnaire_scores`, by hand."""
    store = Store(tmp_path)
    row = job("assess", "a").model_copy(update={"params": {"sampling": {"temperature": 0.5}}})
    with store.publish(row) as out:
        rows = chosen({1: 1.0, -1: 1.0})
        (out / "answers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    weights = [math.exp(0), math.exp(0), math.exp(0), math.exp(0), math.exp(1 / 0.5)]
    forward = sum(step * weight for step, weight in enumerate(weights, start=1)) / sum(weights)
    found = ItemScores(store).of(row.key)["openness"]
    assert found["0"].value == pytest.approx((forward + 3) / 2)
    assert found["3"].value == pytest.approx(6 - (expected(1.03 / 0.5) + 3) / 2)


def expected(logit: float) -> float:
    """The mean step of five, the last one likelier by a logit."""
    return (1 + 2 + 3 + 4 + 5 * math.exp(logit)) / (4 + math.exp(logit))


def test_a_shift_of_every_answer_is_no_shift_of_a_trait(tmp_path: Path) -> None:
    """Uneven keying: one item + and three items −. Agreement with everything lowers the score; the gap stays 0."""
    store = Store(tmp_path)
    keyed = (1, -1, -1, -1)
    low, agreeing, moved = (
        answers(store, name, chosen(shift, keyed))
        for name, shift in (("a", {1: 0.0, -1: 0.0}), ("b", {1: 1.0, -1: 1.0}), ("c", {1: 1.0, -1: 0.0}))
    )
    items = ItemScores(store)
    assert change_between("openness", low, agreeing, items).value == pytest.approx(0.0, abs=0.01)
    assert change_between("openness", low, moved, items).value > 0.1


def test_items_keyed_one_way_tell_no_trait_from_agreement(tmp_path: Path) -> None:
    store = Store(tmp_path)
    low, high = (answers(store, name, chosen({1: shift}, (1, 1, 1, 1, 1))) for name, shift in (("a", 0.0), ("b", 2.0)))
    change = change_between("openness", low, high, ItemScores(store))
    assert change.value > 0
    assert change.stderr is None


def test_other_items_or_missing_answers_are_not_compared(tmp_path: Path) -> None:
    store = Store(tmp_path)
    two, three = (answers(store, str(len(gaps)), contrast(gaps)) for gaps in ([0.0, 1.0], [0.0, 1.0, 2.0]))
    items = ItemScores(store)
    assert change_between("openness", two, three, items).stderr is None
    assert change_between("neuroticism", two, two, items).stderr is None
    assert change_between("openness", two, digest("assess", "gone"), items).stderr is None


def test_the_report_judges_changes_by_their_items(tmp_path: Path) -> None:
    """The two scores alone are 1.2 standard errors apart; pair by pair they differ clearly."""
    store = Store(tmp_path)
    gaps = [-1.0, 0.0, 1.0, 0.2, -0.4]
    risen = [gap + 0.5 + place / 100 for place, gap in enumerate(gaps)]
    jobs = [answers(store, "before", contrast(gaps)), answers(store, "after", contrast(risen))]
    values = (sum(gaps) / 5, sum(gaps) / 5 + 0.52)
    rows = [
        row(method="vector", trait="openness", level="high", alpha=alpha, benchmark="reply_contrast", metric="openness",
            value=value, stderr=0.3, n=5, job=key)
        for alpha, value, key in zip(("0", "1"), values, jobs, strict=True)
    ]  # fmt: skip
    for items, verdict in ((None, "inconclusive"), (ItemScores(store), "shifts")):
        (found,) = judge(summarise(rows, items))
        assert [finding.verdict for finding in found.found] == [verdict]
