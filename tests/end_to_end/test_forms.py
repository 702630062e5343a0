"""The example of forms: its slice runs as its first lines say, on a tiny model in place of the bundled one."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
from pathlib import Path

from tests.tiny_model import save_tiny_model

from .commands import command, environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "forms.yaml"


def test_a_slice_of_the_example_runs_and_its_report_says_what_each_axis_changes(tmp_path: Path) -> None:
    """The command in its comment, word for word; 2,500 forms are planned without it."""
    save_tiny_model(tmp_path / "model")
    text = EXAMPLE.read_text(encoding="utf-8")
    (tmp_path / "forms.yaml").write_text(text.replace("model: smollm2-135m", "model: ./model"), encoding="utf-8")
    (asked,) = (line.removeprefix("#") for line in text.splitlines() if line.startswith("#   "))
    words = shlex.split(asked.replace("examples/forms.yaml", "forms.yaml"))
    assert words[:2] == ["traitgraph", "run"]

    def call(*given: str) -> str:
        done = subprocess.run(
            command(*given), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    planned = call("plan", "forms.yaml")
    assert re.search(r"assess +3 +0 +3", planned)
    assert ", mini-ipip in 2,500 forms" in planned
    call(*words[1:])
    (page,) = tmp_path.glob(".traitgraph/reports/*/report.html")
    shown = " ".join(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")).split())
    assert "mini-ipip: 4 forms (option order 2 x labels 2)" in shown
    with (page.parent / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    forms = {row["form"] for row in rows if row["form"]}
    assert len(forms) == 4
    assert "option_order=backward,wording=agree,labels=digits" in forms
    per_form = [row for row in rows if row["metric"] == "extraversion.expected" and row["form"]]
    assert len(per_form) == 3 * 4
    for job in {row["job"] for row in per_form}:  # what is over all forms is their mean
        (whole,) = (
            float(row["value"]) for row in rows
            if row["job"] == job and row["metric"] == "extraversion.expected" and not row["form"]
        )  # fmt: skip
        each = [float(row["value"]) for row in per_form if row["job"] == job]
        assert abs(sum(each) / len(each) - whole) < 1e-9
