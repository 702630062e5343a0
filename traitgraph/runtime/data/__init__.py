"""Dialogue rows, read and checked. Must not know a model."""
