"""Where modules went that plug-ins were told to import before `traitgraph.plugins` was there.

Installed when the first plug-in is read; the program itself imports nothing by an old name.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "traitgraph.specs.instruments": "traitgraph.specs.study.benchmarks",
    "traitgraph.specs.merge_methods": "traitgraph.specs.study.merge_methods",
    "traitgraph.specs.generation": "traitgraph.specs.study.data",
    "traitgraph.specs.study.generation": "traitgraph.specs.study.data",
    "traitgraph.specs.study.steering_operators": "traitgraph.specs.study.method",
    "traitgraph.specs.jobs.kinds": "traitgraph.specs.study.job_kinds",
    "traitgraph.runtime.merging.steps": "traitgraph.runtime.merging.methods",
    "traitgraph.runtime.locations": "traitgraph.runtime.jobs.locations",
    "traitgraph.runtime.chat": "traitgraph.runtime.models.chat",
    "traitgraph.runtime.leads": "traitgraph.runtime.models.chat",
    "traitgraph.runtime.models.prompt_messages": "traitgraph.runtime.models.chat",
    "traitgraph.runtime.models.engines": "traitgraph.runtime.models.generation",
    "traitgraph.runtime.generation": "traitgraph.runtime.models.generation",
    "traitgraph.runtime.dialogues": "traitgraph.runtime.data.dialogues",
}
RENAMED = {"Instrument": "Benchmark", "Lead": "PromptMessage", "lead_of": "prompt_message_of"}


class _OldNames(MetaPathFinder, Loader):
    """An old module: asks the new one for each name when it is wanted."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED[module.__name__]
        warnings.warn(
            f"{module.__name__} is {new} now; import from traitgraph.plugins", DeprecationWarning, stacklevel=2
        )

        def moved(name: str) -> object:
            found: object = getattr(import_module(new), RENAMED.get(name, name))
            return found

        module.__dict__["__getattr__"] = moved


def find_moved_modules() -> None:
    """Let imports by old names find what they mean."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.append(_OldNames())
