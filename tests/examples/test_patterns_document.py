"""Every study that docs/patterns.md shows is without fault, and is planned as the document says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from traitgraph.api.planning import plan_study
from traitgraph.cli import main
from traitgraph.compiler.views.print_plan import plan_text
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.compose import compose

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "patterns.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```yaml\n(.*?)^```\n+```text\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the studies read."""
    for name in ("dialogues.jsonl", "scenes.jsonl"):
        shutil.copy(ROOT / "examples" / "data" / name, tmp_path)
    return tmp_path


def test_every_study_is_shown_with_its_plan() -> None:
    assert len(SHOWN) == DOCUMENT.count("```yaml") == DOCUMENT.count("```text") > 8


@pytest.mark.parametrize(("spec", "arms"), SHOWN, ids=[re.findall(r"study: (\S+)", spec)[0] for spec, _ in SHOWN])
def test_it_is_planned_as_shown(spec: str, arms: str, folder: Path) -> None:
    file = folder / "study.yaml"
    file.write_text(spec, encoding="utf-8")
    document, faults = compose(file)
    assert document is not None
    study, found = validate(document)
    assert study is not None
    assert not faults + found
    head, _, _ = plan_text(plan_study(study, Store(folder / "store"))).partition("\n\n")
    assert [line.strip() for line in head.splitlines()[1:]] == arms.splitlines()


def test_its_commands_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path("study.yaml").write_text(SHOWN[0][0], encoding="utf-8")
    (block,) = re.findall(r"```bash\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    for line in block.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", DOCUMENT):
        assert (ROOT / "docs" / target).exists(), target
