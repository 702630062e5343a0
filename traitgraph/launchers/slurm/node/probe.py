"""Can tasks run on a compute node? One small job answers, before anything that matters is started.

    python -m traitgraph.launchers.slurm.node.probe RUN_FOLDER STORE

On a site's first run every array waits for this job, so that a missing interpreter fails one job and not a thousand.
Its findings stand in STORE/runs/RUN/slurm/probe.json, what it printed in output/probe.log, and its exit code in
probe.exit.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from pydantic import Field

from traitgraph.launchers.slurm.record.attempts import slurm_folder
from traitgraph.runtime.store.durable import write_json
from traitgraph.specs.fields.base import Spec

LIBRARIES = ("torch", "transformers", "peft", "trl", "lm_eval", "submitit")
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_JOB_GPUS")
"""Where SLURM says which GPUs a job was given."""


class Questions(Spec):
    """What `doctor` wants to know besides; the probe of a submission asks nothing more, to be quick."""

    gpus: int = Field(0, description="GPUs that a task asks for.")
    models: tuple[tuple[str, str], ...] = Field((), description="Models of the hub: id, revision.")
    files: tuple[str, ...] = Field((), description="Paths that jobs read.")


class Findings(Spec):
    """What a compute node can do."""

    node: str
    python: str = Field(description="Interpreter, with its version.")
    missing: tuple[str, ...] = Field((), description="Libraries that tasks need and that are not installed there.")
    store_writable: bool = True
    scontrol: str = Field("", description="Why a task cannot requeue itself; empty: it can.")
    gpus: tuple[str, ...] = Field((), description="What the job was given.")
    hub_cache: str = Field("", description="Folder of downloaded models.")
    gpus_seen: int = Field(0, description="GPUs that torch can use.")
    torch_for_gpus: str = Field("", description="What torch is built for ('CUDA 12.8'); empty: for CPUs alone.")
    models_missing: tuple[str, ...] = Field((), description="Models asked for that the cache does not hold.")
    hub_answers: bool = Field(True, description="Whether a missing model could be downloaded.")
    files_missing: tuple[str, ...] = Field((), description="Paths asked for that the node does not see.")
    free_gb: float = Field(0.0, description="Room in the store. [GiB]")

    @property
    def fatal(self) -> str:
        """Why no task can run there, empty when they can."""
        if not self.store_writable:
            return f"{self.node} cannot write in the store"
        if self.missing:
            return f"{self.python} on {self.node} has no {', '.join(self.missing)}"
        return ""


def probe_path(run: Path) -> Path:
    """Where the findings of a run's probe stand."""
    return slurm_folder(run) / "probe.json"


def read_findings(run: Path) -> Findings | None:
    """The findings of a run's probe; None when it has not ended well."""
    try:
        return Findings.model_validate_json(probe_path(run).read_bytes())
    except (OSError, ValueError):
        return None


def probe_log(run: Path) -> Path:
    """What a run's probe printed."""
    return slurm_folder(run) / "output" / "probe.log"


def exit_path(run: Path) -> Path:
    """Where a run's probe leaves its exit code."""
    return slurm_folder(run) / "probe.exit"


def clear_probe(run: Path) -> None:
    """Remove what an earlier probe of a run left, before another one is submitted."""
    for path in (probe_path(run), exit_path(run), probe_log(run)):
        path.unlink(missing_ok=True)


def questions_path(run: Path) -> Path:
    """Where `doctor` leaves its questions for a probe."""
    return slurm_folder(run) / "questions.json"


def look_around(store: Path, questions: Questions) -> Findings:
    """What this node can do for tasks."""
    hub = os.environ.get("HF_HUB_CACHE") or f"{os.environ.get('HF_HOME', '~/.cache/huggingface')}/hub"
    cache = Path(hub).expanduser()
    visible = next(filter(None, map(os.environ.get, GPU_VARIABLES)), "")
    seen, built_for = _torch_devices() if questions.gpus else (0, "")
    absent = tuple(name for name, revision in questions.models if not in_hub_cache(name, revision))
    return Findings(
        node=os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        python=f"{sys.executable} ({sys.version.split()[0]})",
        missing=tuple(name for name in LIBRARIES if find_spec(name) is None),
        store_writable=_can_write(store),
        scontrol=_scontrol(),
        gpus=tuple(each for each in visible.split(",") if each),
        hub_cache=str(cache),
        gpus_seen=seen,
        torch_for_gpus=built_for,
        models_missing=absent,
        hub_answers=hub_answers() if absent else True,
        files_missing=tuple(path for path in questions.files if not Path(path).exists()),
        free_gb=round(shutil.disk_usage(store).free / 2**30, 2),
    )


def _torch_devices() -> tuple[int, str]:
    """(GPUs that torch can use here, what it is built for)."""
    try:
        import torch
    except (ImportError, OSError):  # named among the missing libraries, or a library of its own is
        return 0, ""
    built = {"CUDA": torch.version.cuda, "ROCm": torch.version.hip}
    return torch.cuda.device_count(), next((f"{name} {text}" for name, text in built.items() if text), "")


def in_hub_cache(name: str, revision: str) -> bool:
    """Whether the cache of this node holds the weights of a model of the hub."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    config = try_to_load_from_cache(name, "config.json", revision=revision)
    return isinstance(config, str) and any(Path(config).parent.glob("*.safetensors"))


def hub_answers() -> bool:
    """Whether the hub can be reached from here; a refusal is an answer."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true"):
        return False
    try:
        with urllib.request.urlopen(os.environ.get("HF_ENDPOINT") or "https://huggingface.co", timeout=10):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _scontrol() -> str:
    """Why scontrol does not work here; empty when it does."""
    try:
        done = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if "UP" in done.stdout else (done.stderr or done.stdout).strip()


def main() -> int:
    """Look around and write it down; 0 when tasks can run here."""
    run, store = map(Path, sys.argv[1:])
    path = questions_path(run)
    questions = Questions.model_validate_json(path.read_bytes()) if path.is_file() else Questions()
    findings = look_around(store, questions)
    write_json(probe_path(run), findings.model_dump(mode="json"))
    print(findings.fatal or f"{findings.node}: tasks can run here")
    return 1 if findings.fatal else 0


if __name__ == "__main__":
    sys.exit(main())
