"""Carry tasks to a machine: worker processes here, SLURM there. Know nothing of traits."""
