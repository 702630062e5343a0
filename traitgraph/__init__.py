"""traitgraph: a compiler for personality experiments on language models.

    study = traitgraph.load_study("spec.yaml", overrides=["traits=[openness]"])
    traitgraph.plan(study)
    traitgraph.run(study)
    table = traitgraph.results(study).frame()

A name is loaded when it is first asked for: importing this package loads no compiler and no torch. See docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import merging as merging
    from .api.calls import UsageError as UsageError
    from .api.checking import check as check
    from .api.materializing import materialize as materialize
    from .api.planning import Plan as Plan
    from .api.planning import load_study as load_study
    from .api.planning import plan as plan
    from .api.results import Results as Results
    from .api.results import answers as answers
    from .api.results import report as report
    from .api.results import results as results
    from .api.running import Outcome as Outcome
    from .api.running import run as run
    from .api.status import StudyStatus as StudyStatus
    from .api.status import status as status
    from .runtime.store.errors import StoreError as StoreError
    from .runtime.store.store import Store as Store
    from .specs.source.diagnostics import Diagnostic as Diagnostic
    from .specs.source.diagnostics import SpecError as SpecError
    from .specs.study.study import Study as Study

__version__ = "0.1.0"

_HOMES = {
    "api.calls": ("UsageError",),
    "api.checking": ("check",),
    "api.materializing": ("materialize",),
    "api.planning": ("Plan", "load_study", "plan"),
    "api.results": ("Results", "answers", "report", "results"),
    "api.running": ("Outcome", "run"),
    "api.status": ("StudyStatus", "status"),
    "runtime.store.errors": ("StoreError",),
    "runtime.store.store": ("Store",),
    "specs.source.diagnostics": ("Diagnostic", "SpecError"),
    "specs.study.study": ("Study",),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["merging", *_HOME_OF]  # strings, from the table above


if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> object:
        if name == "merging":
            return import_module(".merging", __name__)
        if name not in _HOME_OF:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        found: object = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
