"""Studies whose subjects are steered while they run, from the file to the report, with a tiny model."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from .commands import CommandLine

SHIFTED = """\
study: shifted
model: ./model
traits: [extraversion]
levels: [high, low]
data: ./dialogues.jsonl
benchmarks: [reply_contrast, mini-ipip]
sampling: {repeats: 1}
arms:
  base: {method: direct}
  shifted: {method: {kind: steer, layer: [1, 2], coefficient: [-1, 0, 1]}}
"""


def test_layers_and_coefficients_are_swept_and_reported(traitgraph: CommandLine, study_folder: Path) -> None:
    """Both levels share one direction: low at 1 is high at -1. A coefficient of 0 is the base."""
    (study_folder / "shifted.yaml").write_text(SHIFTED)
    checked = traitgraph("check", "shifted.yaml")
    assert "no faults" in checked.stderr, checked.stderr
    done = traitgraph("run", "shifted.yaml", "--store", "shifted")
    assert done.returncode == 0, done.stderr
    assert len(list((study_folder / "shifted" / "activations").iterdir())) == 1
    printed = traitgraph("results", "shifted.yaml", "--store", "shifted", "--csv")
    rows = csv.DictReader(io.StringIO(printed.stdout))
    scores = {
        (row["layer"], row["level"], row["coefficient"]): float(row["value"])
        for row in rows
        if (row["benchmark"], row["metric"]) == ("reply_contrast", "extraversion")
    }
    base = scores.pop(("", "", ""))
    assert len(scores) == 12
    for layer in (1, 2):
        at = {key[1:]: value for key, value in scores.items() if key[0] == str(layer)}
        assert at["high", "0"] == at["low", "0"] == base
        assert at["high", "1"] == pytest.approx(at["low", "-1"])
        assert at["high", "1"] != pytest.approx(base)
    page = (study_folder / "shifted" / "reports" / "shifted" / "report.html").read_text()
    assert "steer layer=2" in page


FIRED = """\
study: fired
model: ./model
traits: [extraversion]
levels: [high, low]
data: ./dialogues.jsonl
benchmarks: [reply_contrast, mini-ipip]
sampling: {repeats: 1}
arms:
  base: {method: direct}
  fired: {method: {kind: npti, neurons: 20, max_new_tokens: 8}, gamma: [0, 1]}
"""


def test_trait_neurons_are_searched_and_swept(traitgraph: CommandLine, study_folder: Path) -> None:
    """One search serves both levels and every gamma; given replies and letters are steered alike."""
    (study_folder / "fired.yaml").write_text(FIRED)
    checked = traitgraph("check", "fired.yaml")
    assert "no faults" in checked.stderr, checked.stderr
    done = traitgraph("run", "fired.yaml", "--store", "fired")
    assert done.returncode == 0, done.stderr
    assert len(list((study_folder / "fired" / "neurons").iterdir())) == 1
    printed = traitgraph("results", "fired.yaml", "--store", "fired", "--csv")
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    for benchmark, metric in (("reply_contrast", "extraversion"), ("mini-ipip", "extraversion.expected")):
        wanted = [row for row in rows if (row["benchmark"], row["metric"]) == (benchmark, metric)]
        assert len({(row["level"], row["gamma"]) for row in wanted}) == 5, benchmark
        assert len({row["value"] for row in wanted}) == 5, benchmark


ROW = '{"trait": "extraversion", "level": "high", "prompt": "Hello?", "reply": "Hi there."}\n'
SHIFT, NEURONS = "{kind: steer, layer: 1, coefficient: 1}", "npti, gamma: 1"


@pytest.mark.parametrize(
    ("method", "row", "told"),
    [
        (SHIFT, ROW, "rows.jsonl: the data have no training row for extraversion low"),
        (NEURONS, ROW.replace("prompt", "question"), "`prompt` is missing\n --> rows.jsonl:1:56\n"),
    ],
)
def test_rows_that_cannot_be_measured_are_refused_before_the_run(
    traitgraph: CommandLine, tmp_path: Path, method: str, row: str, told: str
) -> None:
    head = "study: s\nmodel: smollm2-135m\ntraits: [extraversion]\ndata: rows.jsonl\n"
    rest = f"benchmarks: [{{kind: lm_eval, task: piqa}}]\narms: {{a: {{method: {method}}}}}\n"
    (tmp_path / "study.yaml").write_text(head + rest)
    (tmp_path / "rows.jsonl").write_text(row)
    refused = traitgraph("run", "study.yaml", cwd=tmp_path)
    assert (refused.returncode, told in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / ".traitgraph").exists()
