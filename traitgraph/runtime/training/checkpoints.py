"""Checkpoints of a training that outlive its process: a killed training goes on where it was and ends the same.

Trainer decides what belongs into a checkpoint; we write its state without the pickles of the libraries
(docs/decisions/0011): JSON for the shape, safetensors for tensors. Only numbers, text, lists, tuples, mappings and
tensors come back, whatever stands in the files. Last of all comes a mark, with the digests of everything that is there.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.store.durable import sync, write_json
from traitgraph.specs.source.hashing import digest_file

if TYPE_CHECKING:
    import torch
    from transformers import Trainer


SECONDS_BETWEEN = 300.0
"""Chosen so that a kill costs at most some five minutes, and a training of seconds saves nothing."""
SAVING_SHARE = 0.02
"""Saving may take this share of a training's time; where it takes longer, as for all weights, we save less often."""
MARK = "complete"
"""File that is written last into a checkpoint: name -> digest of every other one."""
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle"})
"""Endings of files from which a library might unpickle."""


def train_with_checkpoints(trainer: Trainer, context: JobContext) -> None:
    """Train a `resumable` trainer to the end, from the newest checkpoint of this job where there is one.

    Raises Stopped, with everything saved, when the context wants the process to end. A checkpoint that is not whole is
    thrown away, and the training begins anew.
    """
    folder = context.partial
    if folder is None:
        trainer.train()
        return
    saver = _saver(trainer, context.stop_wanted)
    trainer.add_callback(saver)
    trainer.train(resume_from_checkpoint=_newest(folder))
    if saver.has_stopped:
        raise Stopped(f"saved at step {trainer.state.global_step}")


def resumable(kind: type[Trainer]) -> type[Trainer]:
    """The kind of trainer, with its checkpoints in safetensors and JSON.

    The methods replaced are private ones of transformers. Raises AttributeError when it has renamed one: pickles would
    come back, and a training that is stopped would begin anew.
    """

    class Resumable(kind):  # type: ignore[misc]  # the library is untyped here
        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            super()._save(output_dir, state_dict)
            if output_dir is not None:
                (Path(output_dir) / "training_args.bin").unlink(missing_ok=True)  # a copy of what the job row says

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            if self.args.should_save:
                write_state(Path(output_dir) / "optimizer", self.optimizer.state_dict())
                write_state(Path(output_dir) / "schedule", self.lr_scheduler.state_dict())

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                self.optimizer.load_state_dict(read_state(Path(checkpoint) / "optimizer"))
                self.lr_scheduler.load_state_dict(read_state(Path(checkpoint) / "schedule"))

        def _save_rng_state(self, output_dir: str) -> None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)  # rank 0 may not have come so far
            write_state(Path(output_dir) / f"random-{self.args.process_index}", random_state())

        def _load_rng_state(self, checkpoint: str | None) -> None:
            # Another number of processes than before leaves some without a state: they keep the one of their seed.
            own = Path(checkpoint or "") / f"random-{self.args.process_index}"
            if checkpoint is not None and own.with_suffix(".json").is_file():
                set_random_state(read_state(own))

    if gone := [name for name in vars(Resumable) if not name.startswith("__") and not hasattr(kind, name)]:
        raise AttributeError(f"this release of transformers has no {', '.join(gone)}: its checkpoints would be pickles")
    return Resumable


def _newest(folder: Path) -> str | None:
    """The newest whole checkpoint; all others are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    newest = next((path for path in reversed(found) if _is_whole(path)), None)
    _remove(path for path in found if path != newest)
    return str(newest) if newest else None


def _remove(checkpoints: Iterable[Path]) -> None:
    for path in checkpoints:
        (path / MARK).unlink(missing_ok=True)  # first: a kill may come between
        shutil.rmtree(path, ignore_errors=True)


def _is_whole(checkpoint: Path) -> bool:
    """Whether it is what was written, to the last bit, and can be read without running code from it."""
    if not (checkpoint / MARK).is_file() or any(path.suffix in PICKLED for path in checkpoint.rglob("*")):
        return False
    try:
        if json.loads((checkpoint / MARK).read_text(encoding="utf-8")) == _digests(checkpoint):
            return True
    except (OSError, ValueError):
        pass
    print(f"{checkpoint} is damaged, or of an earlier version, and is not used", file=sys.stderr, flush=True)
    return False


def _digests(checkpoint: Path) -> dict[str, str]:
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path != checkpoint / MARK)
    return {path.relative_to(checkpoint).as_posix(): digest_file(path) for path in files}


def _saver(trainer: Trainer, stop_wanted: Callable[[], bool]) -> Any:
    from transformers import TrainerCallback

    class Saver(TrainerCallback):  # type: ignore[misc]  # the library is untyped here
        """Saves now and then and when the process must end; keeps the newest checkpoint only."""

        def __init__(self) -> None:
            self.seconds = SECONDS_BETWEEN
            self.began = self.saved_at = time.monotonic()
            self.has_stopped = False
            """Whether the training was ended before its last step: a wish of any process, not of this one alone."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            tokens = [entry["num_tokens"] for entry in state.log_history if "num_tokens" in entry]
            if tokens and hasattr(trainer, "_total_train_tokens"):
                trainer._total_train_tokens = int(tokens[-1])  # trl counts anew in each process

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = time.monotonic()
            stop, save = agreed(stop_wanted(), self.began - self.saved_at > self.seconds)
            if (stop or save) and state.global_step < state.max_steps:
                control.should_save = True
                control.should_training_stop = control.should_training_stop or stop
                self.has_stopped = stop

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            agreed(False, False)  # every process has written its part
            if state.is_world_process_zero:
                checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                for path in filter(Path.is_file, checkpoint.rglob("*")):
                    sync(path)
                write_json(checkpoint / MARK, _digests(checkpoint))
                sync(checkpoint)
                _remove(path for path in checkpoint.parent.glob("checkpoint-*") if path != checkpoint)
            self.saved_at = time.monotonic()
            self.seconds = max(self.seconds, (self.saved_at - self.began) / SAVING_SHARE)

    return Saver()


def agreed(*wishes: bool) -> tuple[bool, ...]:
    """The wishes that any process of a distributed training has; one's own where there is one process."""
    import torch

    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return wishes
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    flags = torch.tensor(wishes, dtype=torch.int32, device=device)
    distributed.all_reduce(flags, op=distributed.ReduceOp.MAX)
    return tuple(bool(flag) for flag in flags.tolist())


PLAIN = (type(None), bool, int, float, str)


def write_state(path: Path, state: object) -> None:
    """Write nested state to `path`.json and `path`.safetensors. Raises TypeError for a value that is no plain data."""
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    shape = _shape(state, tensors)
    save_file(tensors, path.with_suffix(".safetensors"))
    write_json(path.with_suffix(".json"), shape)


def read_state(path: Path) -> Any:
    """What `write_state` was given, with all tensors on the CPU."""
    from safetensors.torch import load_file

    shape = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return _filled(shape, load_file(path.with_suffix(".safetensors")))


def _shape(value: object, tensors: dict[str, torch.Tensor]) -> object:
    """The value as JSON, with names in the places of tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()  # copied: safetensors refuses shared memory
        return {"tensor": name}
    if isinstance(value, dict):
        return {"map": [[_shape(key, tensors), _shape(inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_shape(inner, tensors) for inner in value]}
    if isinstance(value, list):
        return [_shape(inner, tensors) for inner in value]
    if type(value) in PLAIN:
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__module__}.{type(value).__qualname__}")


def _filled(shape: Any, tensors: dict[str, torch.Tensor]) -> Any:
    match shape:
        case {"tensor": name}:
            return tensors[name]
        case {"map": pairs}:
            return {_filled(key, tensors): _filled(inner, tensors) for key, inner in pairs}
        case {"tuple": parts}:
            return tuple(_filled(inner, tensors) for inner in parts)
        case list():
            return [_filled(inner, tensors) for inner in shape]
    return shape


def random_state() -> dict[str, object]:
    """State of the generators of Python, numpy and torch, on the CPU and on this process's GPU."""
    import numpy
    import torch

    name, words, *rest = numpy.random.get_state(legacy=True)
    state: dict[str, object] = {
        "python": random.getstate(),
        "numpy": (name, [int(word) for word in words], *rest),
        "cpu": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put the generators where they were."""
    import numpy
    import torch

    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.random.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
