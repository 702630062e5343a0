"""What a SLURM site allows and says. Must not know a task."""
