"""Finished artifacts by key, records of runs, and who is alive. Must not know what an artifact holds."""
