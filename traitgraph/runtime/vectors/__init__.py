"""Personality vectors: differences of weights, from files and adapters. Must not know how they are merged."""
