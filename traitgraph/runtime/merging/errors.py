"""What a merge refuses, in one class: the message names the tensor or file, what is wrong with it, and what to do."""

from __future__ import annotations


class MergeError(ValueError):
    """Inputs that cannot be merged as asked."""
