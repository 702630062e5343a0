#!/bin/bash
# traitgraph, run sweep-1: 01-train, 1 task
#SBATCH --job-name=sweep-1.01-train
#SBATCH --output=/store/runs/sweep-1/slurm/output/01-train-%a.log
#SBATCH --partition=gpu
#SBATCH --account=psych
#SBATCH --qos=long
#SBATCH --constraint='a100&nvlink'
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=66048M
#SBATCH --gpus-per-node=a100:4
#SBATCH --time=240
#SBATCH --signal=USR2@120
#SBATCH --requeue
#SBATCH --mail-type=END
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes

trap '' USR2  # python takes it once it is up; a warning while the environment loads must not kill the task
export SUBMITIT_EXECUTOR=slurm
module load cuda/12.4
export HF_HOME=/scratch/hf
exec srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=8 --kill-on-bad-exit=1 apptainer exec --nv '/images/lab image.sif' /opt/env/bin/python -P -m traitgraph.launchers.slurm.node.array_task /store/runs/sweep-1 01-train
