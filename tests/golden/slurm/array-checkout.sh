#!/bin/bash
# traitgraph, run r: 01-train, 1 task
#SBATCH --job-name=r.01-train
#SBATCH --output=/s/runs/r/slurm/output/01-train-%a.log
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
export PYTHONPATH='/home/me/check out'${PYTHONPATH:+:$PYTHONPATH}
exec python -P -m traitgraph.launchers.slurm.node.array_task /s/runs/r 01-train
