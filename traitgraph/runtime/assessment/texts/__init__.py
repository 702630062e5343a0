"""Counts of words in texts. Must not know other benchmarks."""
