"""What a trainer calls while it trains: the log tells loss and speed, and the state with the lowest loss is kept.

The best state is part of every checkpoint, so that a training that was killed keeps the same one.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.jobs.context import JobContext

from .checkpoints import read_state, write_state

if TYPE_CHECKING:
    import torch
    from transformers import Trainer


_FILE = "best"
SECONDS_BETWEEN = 30.0
"""Often enough for a person who follows a log, and two thousand lines a day at most."""


def progress_callback(context: JobContext) -> Any:
    """A callback for a trainer: tells the job's progress after every optimiser step, and writes the log."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]  # the library is untyped here
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = self.told = time.monotonic()
            self.first_step, self.first_tokens = state.global_step, _tokens(state.log_history)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.progress(state.global_step, state.max_steps, "steps")

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            now = time.monotonic()
            if state.is_world_process_zero and "loss" in (logs or {}) and now - self.told >= SECONDS_BETWEEN:
                self.told = now
                say(f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.3f}")

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                steps, tokens = state.global_step - self.first_step, _tokens(state.log_history) - self.first_tokens
                say(summary(state.log_history, steps, tokens, time.monotonic() - self.began))

    return Progress()


def summary(history: Sequence[dict[str, Any]], steps: int, tokens: int, seconds: float) -> str:
    """One line about a training; `steps` and `tokens` are those of this process, `history` is that of all.

    >>> summary([{"loss": 2.5}, {"loss": 1.25}], 2, 640, 4.0)
    'loss 2.500 at the start, 1.250 at the end; 2 steps in 4.0 s: 0.5 steps/s, 160 tokens/s'
    """
    losses = [entry["loss"] for entry in history if "loss" in entry]
    loss = f"loss {losses[0]:.3f} at the start, {losses[-1]:.3f} at the end; " if losses else ""
    speed = f": {steps / seconds:.2g} steps/s" if steps and seconds else ""
    speed += f", {tokens / seconds:,.0f} tokens/s" if tokens and seconds else ""
    return f"{loss}{steps} steps in {seconds:.1f} s{speed}"


def _tokens(history: Sequence[dict[str, Any]]) -> int:
    """Tokens of all steps so far, where the trainer counts them."""
    return int(next((entry["num_tokens"] for entry in reversed(history) if "num_tokens" in entry), 0))


def say(text: str) -> None:
    """Put a line into the log of the job."""
    print(f"    {text}", file=sys.stderr, flush=True)


class BestState:
    """The trained weights at the lowest loss on the rows held back; the trainer needs its `callback()`."""

    def __init__(self, trainer: Trainer, partial: Path | None) -> None:
        self.step: int | None = None
        """Optimiser step of the state that is kept; None before the first measurement."""
        self.loss: float | None = None
        self._trainer = trainer
        self._partial = partial
        self._weights: dict[str, torch.Tensor] = {}

    def _trained(self) -> dict[str, torch.Tensor]:
        return {name: each.detach() for name, each in self._trainer.model.named_parameters() if each.requires_grad}

    def offer(self, step: int, loss: float) -> None:
        """Keep the weights as they are now when their loss is the lowest so far; NaN and infinity never count."""
        if math.isfinite(loss) and (self.loss is None or loss < self.loss):
            self.step, self.loss = step, loss
            self._weights = {name: each.cpu().clone() for name, each in self._trained().items()}

    def put_back(self) -> None:
        """Give the model the weights that are kept; without a measurement it keeps its own."""
        for name, each in self._trained().items() if self._weights else ():
            each.copy_(self._weights[name])

    def write(self, checkpoint: Path) -> None:
        """Make what is kept a part of a checkpoint."""
        write_state(checkpoint / _FILE, {"step": self.step, "loss": self.loss, "weights": self._weights})

    def read(self, checkpoint: Path) -> None:
        """Take up what an earlier process kept."""
        kept = read_state(checkpoint / _FILE)
        self.step, self.loss, self._weights = kept["step"], kept["loss"], kept["weights"]

    def record(self) -> dict[str, object]:
        """What the record of the training says of it."""
        measured = [entry for entry in self._trainer.state.log_history if "eval_loss" in entry]
        return {
            "rows": len(self._trainer.eval_dataset),
            "losses": [{"step": entry["step"], "loss": entry["eval_loss"]} for entry in measured],
            "kept_step": self.step,
            "kept_loss": self.loss,
        }

    def callback(self) -> Any:
        """What the trainer calls."""
        from transformers import TrainerCallback

        best = self

        class Keeper(TrainerCallback):  # type: ignore[misc]  # the library is untyped here
            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if best._partial is not None and state.global_step:
                    best.read(best._partial / f"checkpoint-{state.global_step}")

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step == state.max_steps:
                    control.should_evaluate = True

            def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
                best.offer(state.global_step, metrics["eval_loss"])

            def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.is_world_process_zero:
                    best.write(Path(args.output_dir) / f"checkpoint-{state.global_step}")

        return Keeper()
