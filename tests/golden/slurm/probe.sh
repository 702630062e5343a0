#!/bin/bash
# traitgraph, run sweep-1: can tasks run here?
#SBATCH --job-name=sweep-1.probe
#SBATCH --output=/dev/null
#SBATCH --partition=gpu
#SBATCH --account=psych
#SBATCH --qos=long
#SBATCH --constraint='a100&nvlink'
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=66048M
#SBATCH --gpus-per-node=a100:1
#SBATCH --time=5
#SBATCH --mail-type=END
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes

trap '' USR2  # python takes it once it is up; a warning while the environment loads must not kill the task
export SUBMITIT_EXECUTOR=slurm
module load cuda/12.4
export HF_HOME=/scratch/hf
test -d /store/runs/sweep-1 || exit 73
exec > /store/runs/sweep-1/slurm/output/probe.log 2>&1
leave_code() { echo $? > /store/runs/sweep-1/slurm/probe.exit; }
trap leave_code EXIT
command -v apptainer > /dev/null || exit 74
apptainer exec --nv '/images/lab image.sif' /opt/env/bin/python -P -m traitgraph.launchers.slurm.node.probe /store/runs/sweep-1 /store
