"""What the log of a training says: the loss now and then while it goes; loss and speed when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from traitgraph.runtime.jobs.context import JobContext

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
