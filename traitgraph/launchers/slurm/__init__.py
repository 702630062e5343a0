"""SLURM: job arrays from a job table, submission, what happens inside a task, and what a person asks afterwards."""
