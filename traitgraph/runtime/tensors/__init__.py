"""Tensors in files, piece by piece: reading, writing, rounding. Must not know a merge method."""
