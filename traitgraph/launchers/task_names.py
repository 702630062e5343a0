"""Look the built-in tasks of lm-evaluation-harness up before anything starts: a misspelt one is found in a second.

The names that the language knows need no look. For others the text of the definitions is searched (14,000 files, 0.2 s
from a warm disk); only what is not found there costs the harness's own index (some seconds), which knows includes as
well and has the near names. Nothing here imports torch.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from traitgraph.specs.diagnostics import near_names
from traitgraph.specs.instruments import LM_EVAL_TASKS
from traitgraph.specs.jobs import JobTable

_NAME = re.compile(rb"""^["']?(?:task|group)["']?[ ]*:[ ]*["']?([^\s"'#]+)""", re.MULTILINE)


def unknown_tasks(table: JobTable) -> list[str]:
    """A line for each built-in task that jobs name and the harness lacks; none where it is not installed."""
    wanted = set(_built_in_tasks(table)).difference(LM_EVAL_TASKS)
    if not wanted or (folder := _tasks_folder()) is None:
        return []
    if not (unseen := wanted - _names_in_text(folder, wanted)):
        return []
    from lm_eval.tasks import TaskManager

    known = TaskManager().all_tasks
    return [_told(name, known) for name in sorted(unseen.difference(known))]


def _built_in_tasks(table: JobTable) -> Iterator[str]:
    for row in table.rows:
        benchmark = row.params.get("benchmark")
        if isinstance(benchmark, dict) and benchmark.get("kind") == "lm_eval" and not benchmark.get("definition"):
            yield str(benchmark["task"])


def _tasks_folder() -> Path | None:
    try:
        found = importlib.util.find_spec("lm_eval")
    except ImportError:
        return None
    places = found.submodule_search_locations if found else None
    return Path(places[0]) / "tasks" if places else None


def _names_in_text(folder: Path, wanted: Iterable[str]) -> set[str]:
    """Which of the names some definition gives to a task or group in a line of its own."""
    sought = {name.encode() for name in wanted}
    found: set[bytes] = set()
    for place, _, files in os.walk(folder):
        for name in files:
            if name.endswith(".yaml"):
                found |= sought.intersection(_NAME.findall((Path(place) / name).read_bytes()))
        if found == sought:
            break
    return {name.decode() for name in found}


def _told(name: str, known: Iterable[str]) -> str:
    near = ", ".join(near_names(name, known))
    return f"'{name}'" + (f"; near: {near}" if near else "")
