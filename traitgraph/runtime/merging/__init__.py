"""Personality vectors, merge methods and merged models. See docs/merging.md.

The two functions to build on are `merge_state_dicts` and `merge_vectors`; `Checkpoint` reads files in pieces.
Must not know a loaded model: `subjects` puts a merge into one.
"""

from __future__ import annotations

from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError

from .in_memory import merge_state_dicts, merge_vectors

__all__ = ["Checkpoint", "MergeError", "merge_state_dicts", "merge_vectors"]
