"""Texts that a job has already been given, kept in its folder of partial work so that none is asked for twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.specs.source.hashing import digest

from .generation import BATCH_ROWS, Written, written
from .likelihood import Tokens
from .loading import LoadedModel


class KeptRows:
    """JSON rows of this process and of those before it, in the order in which they came; threads may add to it.

    Each line has the digest of its row before it, under the job and the name of the file: a row that cannot be read,
    has changed, or is another job's, was never there.
    """

    def __init__(self, partial: Path | None, name: str) -> None:
        self._file = partial / f"{name}.jsonl" if partial else None
        self._owner = (partial.name, name) if partial else ()
        self._lock = Lock()
        self.rows = self._earlier()

    def _earlier(self) -> list[Any]:
        if self._file is None or not self._file.is_file():
            return []
        lines = self._file.read_bytes().decode("ascii", "replace").split("\n")
        whole = [line for line in lines if line and line == self._sealed(line.partition(" ")[2])]
        if lines != [*whole, ""]:  # a torn last line would spoil the next one
            lost = len(lines) - len(whole) - (lines[-1] == "")
            print(f"    {self._file}: {lost} rows cannot be read and are made again", file=sys.stderr, flush=True)
            draft = self._file.with_suffix(".part")
            draft.write_text("".join(f"{line}\n" for line in whole), encoding="ascii")
            draft.replace(self._file)
        return [json.loads(line.partition(" ")[2]) for line in whole]

    def add(self, rows: Sequence[Any]) -> None:
        """Keep some rows, for this process and for the next one."""
        with self._lock:
            if self._file is not None:
                with self._file.open("a", encoding="ascii") as stream:
                    stream.write("".join(f"{self._sealed(json.dumps(row))}\n" for row in rows))
            self.rows += rows

    def _sealed(self, text: str) -> str:
        return f"{digest('kept row', [*self._owner, text])} {text}"


class KeptTexts:
    """Texts by name, of this process and of those before it; threads may add to it."""

    def __init__(self, partial: Path | None, name: str) -> None:
        self._rows = KeptRows(partial, name)
        self.texts: dict[str, str] = dict(self._rows.rows)

    def add(self, texts: Mapping[str, str]) -> None:
        """Keep some texts, for this process and for the next one."""
        self._rows.add([[name, text] for name, text in texts.items()])
        self.texts |= texts


def write_missing(
    context: JobContext,
    loaded: LoadedModel,
    prompts: Mapping[str, Tokens],
    kept: KeptTexts,
    what: str,
    *,
    stream: str,
    write: Callable[..., list[Written]] = written,
    **settings: Any,
) -> None:
    """Let an engine `write` a text, with its settings, for each prompt that has none; raises Stopped between batches.

    Batches are cut from all prompts, not from the missing ones: an interruption changes no text.
    """
    names = list(prompts)
    size = BATCH_ROWS.get(loaded.device.type, BATCH_ROWS["cpu"])
    for start in range(0, len(names), size):
        batch = names[start : start + size]
        if any(name not in kept.texts for name in batch):
            if context.stop_wanted():
                raise Stopped("saved")
            texts = write(loaded, [prompts[name] for name in batch], stream=f"{stream}/{start}", **settings)
            kept.add({name: each.text for name, each in zip(batch, texts, strict=True)})
        context.progress(start + len(batch), len(names), what)
