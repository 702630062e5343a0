"""Merges: methods, recipes, and the merged weights, in memory and on disk. Must not know a loaded model.

The two functions to build on are `merge_state_dicts` and `merge_vectors`; `Checkpoint` reads files in pieces. See
docs/merging.md. `subjects` puts a merge into a loaded model.
"""

from __future__ import annotations

from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError

from .in_memory import merge_state_dicts, merge_vectors

__all__ = ["Checkpoint", "MergeError", "merge_state_dicts", "merge_vectors"]
