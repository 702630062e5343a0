#!/bin/bash
# traitgraph, run sweep-1: submit what did not fit before
#SBATCH --job-name=sweep-1.continue
#SBATCH --output=/store/runs/sweep-1/slurm/output/continuation-%j.log
#SBATCH --partition=gpu
#SBATCH --account=psych
#SBATCH --qos=long
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=1024M
#SBATCH --time=30
#SBATCH --requeue
#SBATCH --mail-type=END
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes

trap '' USR2  # python takes it once it is up; a warning while the environment loads must not kill the task
export SUBMITIT_EXECUTOR=slurm
module load cuda/12.4
export HF_HOME=/scratch/hf
exec apptainer exec --nv '/images/lab image.sif' /opt/env/bin/python -P -m traitgraph.launchers.slurm.submit.submit /store/runs/sweep-1
