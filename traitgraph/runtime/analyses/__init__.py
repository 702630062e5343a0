"""Analyses across subjects: cosines between vectors, correlations between traits. Must not load a model."""
