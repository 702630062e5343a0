"""One task from its first job to its last. Must not know what a job does."""
