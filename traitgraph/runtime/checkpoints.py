"""Checkpoints of a training that outlive its process: a killed training goes on where it was and ends the same.

Trainer writes optimizer, schedule, random states and adapter (read back without unpickling code); a mark beside them
says that all of it is there. Knows trainers, not jobs of other kinds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .context import JobContext, Stopped

if TYPE_CHECKING:
    from transformers import Trainer

SECONDS_BETWEEN = 300.0
"""Chosen so that a kill costs at most five minutes, and saving an adapter and its optimizer stays below 1 % of that."""
MARK = "complete"
"""Empty file that is written last into a checkpoint."""


def train_with_checkpoints(trainer: Trainer, context: JobContext, seconds: float = SECONDS_BETWEEN) -> None:
    """Train to the end, from the newest checkpoint of this job where there is one.

    Raises Stopped, with everything saved, when the context wants the process to end. A checkpoint that cannot be read
    is thrown away, and the training begins anew.
    """
    folder = context.partial
    if folder is None:
        trainer.train()
        return
    trainer.add_callback(_saver(trainer, context.stop_wanted, seconds))
    trainer.train(resume_from_checkpoint=_newest(folder))
    if trainer.state.global_step < trainer.state.max_steps and context.stop_wanted():
        raise Stopped(f"saved at step {trainer.state.global_step}")


def _newest(folder: Path) -> str | None:
    """The newest whole checkpoint; broken ones are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    whole = [path for path in found if (path / MARK).is_file()]
    for path in found:
        if path not in whole[-1:]:
            shutil.rmtree(path, ignore_errors=True)
    return str(whole[-1]) if whole else None


def _saver(trainer: Trainer, stop_wanted: Callable[[], bool], seconds: float) -> Any:
    from transformers import TrainerCallback

    class Saver(TrainerCallback):  # type: ignore[misc]  # the library is untyped here
        """Saves now and then and when the process must end; keeps the newest checkpoint only."""

        def __init__(self) -> None:
            self.saved_at = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            tokens = [entry["num_tokens"] for entry in state.log_history if "num_tokens" in entry]
            if tokens and hasattr(trainer, "_total_train_tokens"):
                trainer._total_train_tokens = int(tokens[-1])  # trl counts anew in each process

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            stop, save = agreed(stop_wanted(), time.monotonic() - self.saved_at > seconds)
            if (stop or save) and state.global_step < state.max_steps:
                control.should_save = True
                control.should_training_stop = control.should_training_stop or stop

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.saved_at = time.monotonic()
            agreed(False, False)  # every process has written its part
            if state.is_world_process_zero:
                folder = Path(args.output_dir)
                (folder / f"checkpoint-{state.global_step}" / MARK).touch()
                _newest(folder)

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
