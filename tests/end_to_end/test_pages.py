"""The documents hold together: links and anchors lead somewhere, modules that they name exist, pictures are current."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from traitgraph import __version__

PROJECT = Path(__file__).parents[2]
PAGES = sorted(
    page for within in (".", "docs", "docs/*", "benchmarks", "examples/data") for page in PROJECT.glob(f"{within}/*.md")
)
FENCES = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Files and anchors that a page leads to."""
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCES.sub("", page.read_text(encoding="utf-8"))):
        file, _, anchor = link.partition("#")
        yield (page.parent / file if file else page).resolve(), anchor


def anchors(page: Path) -> set[str]:
    """The headings of a page as code hosts and the site name them."""
    headings = re.findall(r"^#+ (.*)$", FENCES.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    dead = [
        f"{file.name}#{anchor}"
        for file, anchor in links(page)
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file))
    ]
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_modules_and_folders_that_a_page_names_exist(page: Path) -> None:
    floors = "specs|compiler|runtime|launchers|api|cli"
    named = re.findall(rf"`(?:traitgraph/)?((?:{floors})/[\w/.]*)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (PROJECT / "traitgraph" / path).exists()] == []


def names_nothing(dotted: str) -> bool:
    """Whether the text is neither a module of ours nor a name that stands in one."""
    module, _, name = dotted.rpartition(".")
    here, above = (PROJECT / each.replace(".", "/") for each in (dotted, module))
    if here.is_dir() or here.with_suffix(".py").is_file():
        return False
    file = above / "__init__.py" if above.is_dir() else above.with_suffix(".py")
    return not file.is_file() or re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")) is None


def test_modules_that_pages_and_sources_name_in_full_exist() -> None:
    """Old names are in the table of `traitgraph/moved.py` alone; `x.py` in a docstring is a file that there is."""
    sources = [file for file in sorted((PROJECT / "traitgraph").rglob("*.py")) if file.name != "moved.py"]
    folders = ("traitgraph", "tests", "docs", "benchmarks")
    known = {file.name for folder in folders for file in (PROJECT / folder).rglob("*.py")}
    gone = []
    for file in [*PAGES, *sources]:
        text = file.read_text(encoding="utf-8")
        named = re.findall(r"(?<![\w.\"])traitgraph\.(?:specs|compiler|runtime|launchers|api|cli)(?:\.\w+)+", text)
        gone += [f"{file.name}: {each}" for each in named if names_nothing(each)]
        gone += [f"{file.name}: {each}" for each in re.findall(r"`(?:\w+/)*(\w+\.py)`", text) if each not in known]
    assert gone == []


@pytest.fixture(scope="module")
def rooms() -> ModuleType:
    """The script that draws the rooms."""
    spec = importlib.util.spec_from_file_location("rooms", PROJECT / "docs" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_rooms_is_that_of_the_code(rooms: ModuleType, rewrite_golden: bool) -> None:
    """`make docs` draws it again; that no two rooms import each other is found out on the way."""
    page = PROJECT / "docs" / "architecture.md"
    drawn = rooms.written(page.read_text(encoding="utf-8"))
    if rewrite_golden:
        page.write_text(drawn, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == drawn


def test_rooms_that_import_each_other_are_not_drawn(rooms: ModuleType) -> None:
    assert rooms.without_detours({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
    with pytest.raises(ValueError, match="rooms import each other: b -> a -> b"):
        rooms.without_detours({"a": {"b"}, "b": {"a"}})


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = re.search(r"^version: (.*)$", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    told = re.search(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cited is not None
    assert told is not None
    assert {project["version"], cited[1], told[1]} == {__version__}
