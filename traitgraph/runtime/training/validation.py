"""Hold training rows back, measure their loss now and then, and keep the state in which it was lowest.

The best state is part of every checkpoint, so that a training that was killed keeps the same one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.data.rows import DialogueError

from .state import read_state, write_state

if TYPE_CHECKING:
    import torch
    from transformers import Trainer


_FILE = "best"
ASKED = "asked"
"""Field of a row that holds its prompt, without the instruction that tells its condition."""
Row = dict[str, Any]


def hold_back(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows to measure, about `share` of all, in their order; drawn by the seed.

    Rows with one prompt stay together, whatever their instruction and the blanks around it, so that nothing that is
    measured was seen in training. Raises DialogueError when nothing would be left on one side.
    """
    groups: dict[str, int] = {}
    for row in rows:
        groups[row[ASKED].strip()] = groups.get(row[ASKED].strip(), 0) + 1
    drawn, wanted = set[str](), share * len(rows)
    count = 0
    for text in sorted(groups, key=lambda text: blake2b(f"{seed}/{text}".encode()).digest()):
        if drawn and count + groups[text] / 2 > wanted:
            break
        drawn.add(text)
        count += groups[text]
    if count == len(rows):
        raise DialogueError(f"{len(rows)} rows with {len(groups)} different prompts are too few to hold some back")
    kept = [row for row in rows if row[ASKED].strip() not in drawn]
    return kept, [row for row in rows if row[ASKED].strip() in drawn]


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
        """Keep the weights as they are now when their loss is the lowest so far; a loss that is no number never is."""
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
