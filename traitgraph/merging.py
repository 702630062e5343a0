"""Merge models without a study, in memory. See docs/merging.md; torch is loaded with the first name asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .runtime.merging import Checkpoint as Checkpoint
    from .runtime.merging import MergeError as MergeError
    from .runtime.merging import merge_state_dicts as merge_state_dicts
    from .runtime.merging import merge_vectors as merge_vectors

__all__ = ["Checkpoint", "MergeError", "merge_state_dicts", "merge_vectors"]


if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        found: object = getattr(import_module(".runtime.merging", __package__), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
