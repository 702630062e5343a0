"""In worker processes whose path leads here: note which field of which parameter model the runtime reads.

Fields that depend on the kind (of a benchmark, of a judge) are noted under the kind.

A read of the whole (a dump, a comparison, an iteration) goes past this, and what `specs` reads of itself does not
count: only code of `traitgraph.runtime` that names a field does.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any

READS = "TRAITGRAPH_TEST_READS"
"""Folder in which each worker leaves what it has read."""


def watch(folder: Path) -> None:
    """Note reads from now on, and write them down when the process ends."""
    from traitgraph.specs.fields.base import Spec

    seen: set[tuple[str, str]] = set()
    plain = Spec.__getattribute__

    def noting(self: Spec, name: str) -> Any:
        if name[0] != "_":
            carried = name in (plain(self, "__pydantic_extra__") or ())
            reader = sys._getframe(1).f_globals.get("__name__", "")
            if reader.startswith("traitgraph.runtime.") and (carried or name in type(self).__pydantic_fields__):
                seen.add((plain(self, "kind") if carried else type(self).__name__, name))
        return plain(self, name)

    Spec.__getattribute__ = noting  # type: ignore[method-assign,assignment]  # that is what watching is
    atexit.register(lambda: (folder / f"{os.getpid()}.json").write_text(json.dumps(sorted(seen))))


if READS in os.environ and "traitgraph.runtime.worker.task" in sys.orig_argv:
    watch(Path(os.environ[READS]))
