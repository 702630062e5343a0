"""Every study that docs/patterns.md and docs/vocabulary.md show is without fault, and is planned as they say."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from traitgraph.api.planning import plan_study
from traitgraph.cli import main
from traitgraph.compiler.views.print_plan import plan_text
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import validate
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.study.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
PATTERNS, VOCABULARY = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("patterns", "vocabulary")
)


def shown(document: str) -> list[tuple[str, str]]:
    """Each study of a page with the plan that stands under it."""
    return re.findall(r"^```yaml\n(study:.*?)^```\n+```text\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)


FILES = re.findall(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```", VOCABULARY, flags=re.MULTILINE | re.DOTALL)
SHOWN = shown(PATTERNS) + shown(VOCABULARY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the studies read."""
    for name in ("dialogues.jsonl", "scenes.jsonl", "sycophancy.jsonl"):
        shutil.copy(ROOT / "examples" / "data" / name, tmp_path)
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_study_is_shown_with_its_plan() -> None:
    assert len(shown(PATTERNS)) == PATTERNS.count("```yaml") == PATTERNS.count("```text") > 8
    assert len(shown(VOCABULARY)) == VOCABULARY.count("```yaml") - len(FILES) == VOCABULARY.count("```text") > 4


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
    (block,) = re.findall(r"```bash\n(.*?)```", PATTERNS, flags=re.DOTALL)
    for line in block.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PATTERNS + VOCABULARY):
        assert (ROOT / "docs" / target).exists(), target


def test_the_table_of_shipped_vocabularies_is_that_of_the_library() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| (?:.*?(\d+).*?)?\|$", VOCABULARY, flags=re.MULTILINE)
    told = {name: (traits.split(", "), int(facets or 0)) for name, traits, facets in rows}
    files = sorted((ROOT / "traitgraph" / "specs" / "library" / "vocabulary").glob("*.yaml"))
    there = {file.stem: Vocabulary.model_validate(yaml.safe_load(file.read_text("utf-8"))) for file in files}
    assert told == {
        name: (list(each.whole_traits), len(each.traits) - len(each.whole_traits)) for name, each in there.items()
    }
