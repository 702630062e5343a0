"""A benchmark of another package, as docs/data.md shows it, is planned and measured like one of ours."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.api.preflight import without_runtime
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.assessment.job import FUNCTIONS, run_benchmark
from traitgraph.runtime.models.loading import open_model
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.study.benchmarks import BENCHMARKS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
STUDY = """\
study: own
model: {model}
method: direct
benchmarks: [{{kind: reply_length, question: {question}}}]
sampling: {{temperature: 0.6, repeats: 3, max_new_tokens: 5}}
"""


def shown(language: str) -> str:
    """The block of a language under the heading of benchmarks."""
    section = DOCUMENT.partition("## A benchmark of your own")[2]
    return str(re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)[0])


@pytest.fixture(params=[("traitgraph.benchmarks", "traitgraph.measures"), ("traitgraph.benchmarks",)])
def groups(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, ...]]:
    """The document's package installed, with these groups of its entry points."""
    info = tmp_path / "site" / "my_benchmarks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-benchmarks\nVersion: 1.0\n")
    points = tomllib.loads(shown("toml"))["project"]["entry-points"]
    assert tuple(points) == ("traitgraph.benchmarks", "traitgraph.measures")
    written = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points[group].items()) for group in request.param]
    (info / "entry_points.txt").write_text("".join(written))
    (info.parent / "my_benchmarks.py").write_text(shown("python"))
    monkeypatch.syspath_prepend(str(info.parent))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "my_benchmarks", raising=False)
    for registry in (BENCHMARKS, FUNCTIONS):
        registry.restart()
    yield tuple(request.param)
    for registry in (BENCHMARKS, FUNCTIONS):
        registry.restart()


def planned(folder: Path, model: Path, question: str) -> Plan:
    (folder / "study.yaml").write_text(STUDY.format(model=model, question=question), encoding="utf-8")
    return compile_study(load_study(folder / "study.yaml"), Context())


def test_it_is_planned_keyed_by_its_options_and_measured(
    groups: tuple[str, ...], tmp_path: Path, model_folder: Path, make_context: MakeContext
) -> None:
    one, other = (planned(tmp_path, model_folder, question) for question in ("How are you?", "Who are you?"))
    rows = [next(row for row in plan.job_table().rows if row.kind == "assess") for plan in (one, other)]
    assert rows[0].key != rows[1].key
    if "traitgraph.measures" not in groups:
        (reason,) = without_runtime(one)
        assert reason.startswith("benchmark 'reply_length', for which no package gives a function")
        return
    assert without_runtime(one) == []
    params = AssessParams.model_validate(rows[0].params)
    context = make_context(params)
    measured = run_benchmark(context, open_model(context, params.model), params)
    assert [(metric.metric, metric.n) for metric in measured.metrics] == [("words", 3)]
    assert len(measured.answers) == 3
