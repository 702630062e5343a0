"""Personality vectors, merge methods and merged models. See docs/merging.md."""
