"""Small specs and presets, written into the test's own folder."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    """Write each text under its name; returns the first one's path, relative to the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text), encoding="utf-8")
    return Path(next(iter(files)))
