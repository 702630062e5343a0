#!/bin/bash
# traitgraph, run sweep-1: 01-train, 2 tasks
#SBATCH --job-name=sweep-1.01-train
#SBATCH --output=/store/runs/sweep-1/slurm/output/01-train-%a.log
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --time=60
#SBATCH --signal=B:USR2@90
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes

trap '' USR2  # python takes it once it is up; a warning while the environment loads must not kill the task
export SUBMITIT_EXECUTOR=slurm
exec /usr/bin/python3 -P -m traitgraph.launchers.slurm.node.array_task /store/runs/sweep-1 01-train
