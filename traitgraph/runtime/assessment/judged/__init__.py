"""Free answers and who rates them. Must not know other benchmarks but the items."""
