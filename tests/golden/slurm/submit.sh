#!/bin/sh
# Submits run sweep-1. Run it again after an interruption: what was submitted is not submitted twice.
set -eu
cd "$(dirname "$0")"
: "${HF_TOKEN:?is not set here, and tasks need it: export HF_TOKEN=..., then run this again}"
mkdir -p slurm/ids
for name in $(env | cut -d= -f1); do
  case $name in SBATCH_*) unset "$name" ;; esac  # they would undo what the scripts say
done

submit() { # array, indices as JSON, options of sbatch
  array=$1 indices=$2
  shift 2
  if [ ! -s "slurm/ids/$array" ]; then
    sbatch --parsable "$@" "slurm/scripts/$array.sh" | while read -r line; do
      case ${line%%;*} in '' | *[!0-9]*) ;; *) echo "${line%%;*}" ;; esac  # a site may print more than the id
    done > "slurm/ids/$array.new"
    [ -s "slurm/ids/$array.new" ]
    mv "slurm/ids/$array.new" "slurm/ids/$array"
    printf '{"array": "%s", "indices": %s, "job": "%s"}\n' \
      "$array" "$indices" "$(id_of "$array")" >> slurm/submitted.jsonl
  fi
}

id_of() {
  cat "slurm/ids/$1"
}

nothing_by_halves() {
  for file in slurm/ids/*; do
    if [ -s "$file" ]; then scancel "$(cat "$file")" || true; fi
  done
  rm -rf slurm/ids slurm/submitted.jsonl
  echo "not submitted: what was in the queue already has been cancelled" >&2
}
trap nothing_by_halves EXIT
trap 'exit 1' HUP INT TERM

submit 01-train '[0, 1]' --array=0-1%16 --hold
submit 02-assess '[0, 1]' --array=0-1%16 --dependency="aftercorr:$(id_of 01-train)"
submit 03-end '[0]' --array=0%16 --dependency="afterok:$(id_of 02-assess),afterany:$(id_of 01-train)_1"

trap - EXIT HUP INT TERM
scontrol release "$(id_of 01-train)" || true  # released before
echo "submitted sweep-1"
