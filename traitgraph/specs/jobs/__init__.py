"""The job row that compiler and runtime share, and the results it leads to. Must not know how a spec writes it."""
