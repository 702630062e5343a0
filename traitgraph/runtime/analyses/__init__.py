"""Analyses across subjects: cosines between personality vectors, correlations between measured traits."""
