"""What the user's shell tells SLURM's commands: heard where the cluster file is silent, and kept from everything else.

sbatch prefers its variables to the options of a batch script: an exported SBATCH_JOB_NAME or SBATCH_TIMELIMIT would
undo what a script says. Those that name where and for whom tasks run become part of the cluster instead: they are
checked, recorded, stand in the scripts, and so hold for continuations too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from traitgraph.specs.study.cluster import Cluster

FIELDS = {
    "SBATCH_PARTITION": "partition",
    "SBATCH_ACCOUNT": "account",
    "SBATCH_QOS": "qos",
    "SBATCH_CONSTRAINT": "constraint",
}
OPTIONS = {"SBATCH_RESERVATION": "reservation", "SBATCH_WCKEY": "wckey"}

REACHING = ("SLURM_CONF", "SLURM_JWT")
"""Where the controller is, and the token by which some sites know who asks."""
COMMANDS = ("SLURM_", "SLURMD_", "SRUN_", "SALLOC_", "SBATCH_", "SQUEUE_", "SINFO_", "SACCT_", "SCANCEL_", "SCONTROL_")
"""Beginnings of variables that change what SLURM's commands do and print, or that belong to an enclosing job."""


def with_shell(cluster: Cluster, variables: Mapping[str, str]) -> Cluster:
    """The cluster, with what the user's shell sets for sbatch where the file says nothing.

    Inside a job the same variables may be the job's own: there they count for nothing.
    """
    if "SLURM_JOB_ID" in variables:
        return cluster
    fields = {
        field: variables[name] for name, field in FIELDS.items() if variables.get(name) and not getattr(cluster, field)
    }
    options = {option: variables[name] for name, option in OPTIONS.items() if variables.get(name)}
    return cluster.model_copy(update={**fields, "options": {**options, **cluster.options}})


def bare_environment() -> dict[str, str]:
    """Our environment without what a shell or an enclosing job would tell SLURM's commands, but for how to reach it."""
    from submitit.helpers import clean_env

    with clean_env():
        inside = {name: value for name, value in os.environ.items() if not name.startswith(COMMANDS)}
    return {**inside, **{name: os.environ[name] for name in REACHING if name in os.environ}}
