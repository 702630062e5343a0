"""How the site is built from the pages of this repository: `make site`; the pages read the same without it.

The source folder is the repository, so that one link works in both places; the choice is in
`decisions/0020-a-site-from-the-pages.md`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers import JsonLexer, TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "traitgraph"
author = "The traitgraph maintainers"
project_copyright = "the traitgraph maintainers, Apache-2.0"

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/**.md"]
include_patterns += ["examples/data/README.md"]
exclude_patterns = [".venv*"]

myst_heading_anchors = 3

html_theme = "furo"
html_title = "traitgraph"
html_static_path = ["pictures.js"]
html_js_files = [("pictures.js", {"type": "module"})]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"

CONTENTS = {
    "Start": ["docs/why", "docs/tutorial", "docs/patterns"],
    "Use": ["docs/language", "docs/vocabulary", "docs/data", "docs/merging", "docs/slurm", "docs/python", "docs/trust"],
    "Extend": ["README", "method", "merge-method", "questionnaire-mode", "benchmarks", "analysis"],
    "Maintain": ["docs/architecture", "docs/glossary", "CONTRIBUTING", "docs/releasing", "docs/decisions/README"],
    "More": ["benchmarks/README", "examples/data/README", "CHANGELOG"],
}
"""The navigation: captions, and pages in reading order. A page that stands in no list fails the build."""
CONTENTS["Extend"] = [f"docs/extending/{page}" for page in CONTENTS["Extend"]]
UNDER = {"docs/language": r"\((language/[^)#]+)\.md\)", "docs/decisions/README": r"\((\d[^)#]+)\.md\)"}
"""Pages below other pages: the links of these, in their order."""


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add to a page that leads to others what the navigation reads; on a code host this would be noise."""
    if page == root_doc:
        for caption, pages in CONTENTS.items():
            source[0] += _contents([f"/{each}" for each in pages], f":caption: {caption}\n")
    elif page in UNDER:
        source[0] += _contents(list(dict.fromkeys(re.findall(UNDER[page], source[0]))))


def _contents(pages: list[str], options: str = "") -> str:
    return "\n\n```{toctree}\n:hidden:\n" + options + "\n" + "\n".join(pages) + "\n```\n"


def copy_front_page(app: Sphinx, problem: Exception | None) -> None:
    """A web server opens `index.html`."""
    if problem is None:
        shutil.copyfile(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Add our two steps to Sphinx's."""
    app.add_lexer("jsonl", JsonLexer)
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", add_contents)
    app.connect("build-finished", copy_front_page)
