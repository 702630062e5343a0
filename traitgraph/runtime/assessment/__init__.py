"""Benchmarks: how a subject is measured once it stands on the loaded model. Must not know how it came about."""
