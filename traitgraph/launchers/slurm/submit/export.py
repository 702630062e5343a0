"""The scripts of a run as text, to look at before submitting or to carry to a site where Python may not run.

An exported folder is a run folder with one file more, `submit.sh`, which does with a POSIX shell what `launch` does: it
submits every array once, roots held until the end, cancels what it submitted when SLURM refuses one, and can be run
again after an interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from traitgraph.compiler.views.print_plan import aligned
from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.layout.script import array_option, array_script
from traitgraph.launchers.slurm.record.record import SubmissionRecord, site_of
from traitgraph.launchers.slurm.site.limits import DEFAULT_ARRAY_SIZE, Limits
from traitgraph.launchers.worker_process import unset_keys
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster

from .launch import SubmissionRefusedError, plan_arrays
from .problems import Problem


def offline_limits(cluster: Cluster) -> Limits:
    """The site's limits where SLURM cannot be asked: the cluster file's, else SLURM's own defaults."""
    return Limits(array_size=cluster.limits.array_size or DEFAULT_ARRAY_SIZE, submitted=cluster.limits.submitted)


def dry_run(table: JobTable, store: Store, cluster: Cluster, limits: Limits | None = None) -> str:
    """Every batch script of a run and the calls that would submit them, in order. Writes and submits nothing."""
    arrays = plan_arrays(table, cluster, limits or offline_limits(cluster))
    site = site_of(store.root / "runs" / "RUN", cluster)
    # The shell's name for the job id of an array: 'job_02_assess' of '02-assess'.
    variables = {array.id: "job_" + "".join(c if c.isalnum() else "_" for c in array.id) for array in arrays}
    options = {array.id: _options(array, cluster, lambda name: f"${{{variables[name]}}}") for array in arrays}
    calls = [f"{variables[name]}=$(sbatch --parsable {options[name]} {name}.sh)" for name in variables]
    scripts = [f"### {array.id}.sh\n{array_script(array, site)}" for array in arrays]
    return "\n".join([*scripts, "### calls of sbatch", *calls, ""])


def export(table: JobTable, store: Store, cluster: Cluster, folder: Path) -> Path:
    """Write a run into `folder`, ready for `sh submit.sh` on a login node; the path of that file.

    The folder must be one that the compute nodes see under the same path. Raises SubmissionRefusedError when the run
    does not fit under the site's limit at once, for there is nobody to refill the queue, and FileExistsError when the
    folder is not empty.
    """
    limits = offline_limits(cluster)
    if limits.submitted is not None and len(table.tasks) > limits.submitted:
        what = f"{len(table.tasks):,} tasks do not fit into the queue at once ({limits.submitted:,} may be submitted)"
        raise SubmissionRefusedError(Problem(what, "make fewer, longer tasks, or submit with `traitgraph run`"))
    folder = folder.resolve()
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    for each in ("", "logs", "failures", "ended", "slurm"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    run = RunRecord(folder)
    write_json(run.table_path, table.model_dump(mode="json"))
    arrays = plan_arrays(table, cluster, limits)
    SubmissionRecord.write(run, table, arrays, cluster, store.root, limits.submitted)
    script = folder / "submit.sh"
    needed = dict.fromkeys([*cluster.environment, *unset_keys(table, {})])
    script.write_text(submit_script(arrays, cluster, run.id, tuple(needed)), encoding="utf-8")
    script.chmod(0o755)
    return script


_HEAD = """\
#!/bin/sh
# Submits run {run}. Run it again after an interruption: what was submitted is not submitted twice.
set -eu
cd "$(dirname "$0")"
{needs}mkdir -p slurm/ids
for name in $(env | cut -d= -f1); do
  case $name in SBATCH_*) unset "$name" ;; esac  # they would undo what the scripts say
done

submit() {{ # array, indices as JSON, options of sbatch
  array=$1 indices=$2
  shift 2
  if [ ! -s "slurm/ids/$array" ]; then
    sbatch --parsable "$@" "slurm/scripts/$array.sh" | while read -r line; do
      case ${{line%%;*}} in '' | *[!0-9]*) ;; *) echo "${{line%%;*}}" ;; esac  # a site may print more than the id
    done > "slurm/ids/$array.new"
    [ -s "slurm/ids/$array.new" ]
    mv "slurm/ids/$array.new" "slurm/ids/$array"
    printf '{{"array": "%s", "indices": %s, "job": "%s"}}\\n' \\
      "$array" "$indices" "$(id_of "$array")" >> slurm/submitted.jsonl
  fi
}}

id_of() {{
  cat "slurm/ids/$1"
}}

nothing_by_halves() {{
  for file in slurm/ids/*; do
    if [ -s "$file" ]; then scancel "$(cat "$file")" || true; fi
  done
  rm -rf slurm/ids slurm/submitted.jsonl
  echo "not submitted: what was in the queue already has been cancelled" >&2
}}
trap nothing_by_halves EXIT
trap 'exit 1' HUP INT TERM

"""


def submit_script(arrays: Sequence[TaskArray], cluster: Cluster, run: str, variables: Sequence[str] = ()) -> str:
    """The shell script that submits an exported run, or nothing of it; `variables`: names of those that tasks need."""
    needs = "".join(
        f': "${{{name}:?is not set here, and tasks need it: export {name}=..., then run this again}}"\n'
        for name in variables
    )
    options = {array.id: _options(array, cluster, lambda name: f"$(id_of {name})") for array in arrays}
    calls = [f"submit {array.id} '{sorted(array.tasks)}' {options[array.id]}" for array in arrays]
    roots = [f'"$(id_of {array.id})"' for array in arrays if not array.edges]
    releases = [f"scontrol release {root} || true  # released before" for root in roots]
    end = ["trap - EXIT HUP INT TERM", *releases, f'echo "submitted {run}"', ""]
    return "\n".join([_HEAD.format(run=run, needs=needs).rstrip("\n"), "", *calls, "", *end])


def _options(array: TaskArray, cluster: Cluster, job_of: Callable[[str], str]) -> str:
    """What names the tasks of an array and what they wait for; `job_of`: the job id of another one, as shell text."""
    terms = [
        f"{edge.kind}:{job_of(edge.array)}" + ("" if edge.element is None else f"_{edge.element}")
        for edge in array.edges
    ]
    after = f'--dependency="{",".join(terms)}"' if terms else "--hold"
    return f"{array_option(array.tasks, cluster.throttle)} {after}"


def arrays_text(table: JobTable, cluster: Cluster) -> str:
    """One line for each array. Asks no controller: limits are the cluster file's, else SLURM's own defaults."""
    rows: list[tuple[str, ...]] = [("arrays", "elements", "nodes", "gpus", "cpus", "memory", "time limit", "partition")]
    for array in plan_arrays(table, cluster, offline_limits(cluster)):
        asked = array.resources
        memory = "node" if asked.memory_gb == 0 else f"{asked.memory_gb:g} GiB" if asked.memory_gb else "-"
        time = f"{asked.minutes} min" if asked.minutes else "-"
        counts = f"{len(array.tasks):,}", str(asked.nodes or 1), str(asked.gpus or 0), str(asked.cpus or 1)
        rows.append((array.id, *counts, memory, time, asked.partition or "-"))
    return "\n".join(aligned(rows)) + "\n"
