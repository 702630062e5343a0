"""The page about Python and the notebook run as a reader runs them, on a tiny model in place of the bundled one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.commands import environment
from tests.tiny_model import save_tiny_model

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "python.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Every fenced block of a language, one after the other: the page is one program."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))


def notebook() -> str:
    """The code cells of the notebook, in order."""
    cells = json.loads((PROJECT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("program", [block("python"), notebook()], ids=["page", "notebook"])
def test_it_runs_from_the_first_line_to_the_last(program: str, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model")
    (tmp_path / "talk.yaml").write_text(block("yaml").replace("smollm2-135m", "./model"), encoding="utf-8")
    variables = environment() | {"MPLBACKEND": "Agg"}
    words = [sys.executable, "-W", "error::UserWarning", "-c", program.replace("smollm2-135m", "./model")]
    done = subprocess.run(words, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".traitgraph" / "reports").is_dir()


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads((PROJECT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs")] == []
