"""A training that was stopped anywhere goes on where it was and ends with the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import is_zipfile

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.jobs.context import Stopped
from traitgraph.runtime.training.checkpoints import MARK, resumable
from traitgraph.runtime.training.training import train
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.study.training import AnyTraining, DpoTraining, Lora, SftTraining

SFT = SftTraining(learning_rate=1e-2, steps=5, batch_size=2, lora=Lora(rank=4, alpha=8, dropout=0.1))
DPO = DpoTraining(learning_rate=1e-2, steps=5, batch_size=2, lora=Lora(rank=4, alpha=8))
ADAFACTOR = SFT.model_copy(update={"optimiser": "adafactor", "schedule": "cosine", "warmup_steps": 2})
FULL = SftTraining(learning_rate=1e-2, steps=5, batch_size=1, lora=None)


class Run:
    """One training with a folder that outlives it."""

    def __init__(self, make_context: MakeContext, params: TrainParams, partial: Path) -> None:
        self.make_context, self.params, self.partial = make_context, params, partial
        self.steps: list[int] = []

    def train(self, stop_at: int | None = None) -> bytes:
        """Train, or until a step; the trained tensors."""
        self.steps = []
        self.partial.mkdir(exist_ok=True)
        context = replace(
            self.make_context(self.params),
            partial=self.partial,
            progress=lambda done, total, what="": self.steps.append(done),
            stop_wanted=lambda: self.steps[-1:] == [stop_at],
        )
        train(context, self.params)
        return next(context.out.rglob("*model.safetensors")).read_bytes()


@pytest.fixture
def run(make_context: MakeContext, model_ref: FolderModel, dialogue_data: FileData, tmp_path: Path) -> Run:
    params = TrainParams(
        model=model_ref, data=dialogue_data, training=SFT, trait="extraversion", level="high", seed=7
    )  # fmt: skip
    return Run(make_context, params, tmp_path / "partial")


@pytest.mark.parametrize("training", [SFT, DPO, FULL, ADAFACTOR], ids=["sft", "dpo", "full", "adafactor"])
def test_a_stopped_training_goes_on_and_ends_with_the_same_bytes(run: Run, training: AnyTraining) -> None:
    run.params = run.params.model_copy(update={"training": training})
    undisturbed = run.train()
    with pytest.raises(Stopped, match="saved at step 3"):
        run.train(stop_at=3)
    assert run.train() == undisturbed
    assert run.steps == [4, 5]


def test_a_checkpoint_that_was_cut_short_is_not_used(run: Run) -> None:
    undisturbed = run.train()
    with pytest.raises(Stopped):
        run.train(stop_at=2)
    (run.partial / "checkpoint-2" / MARK).unlink()
    assert run.train() == undisturbed
    assert run.steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("file", ["optimizer.safetensors", "random-0.json", "adapter_model.safetensors"])
def test_a_checkpoint_that_cannot_be_read_is_not_used(run: Run, file: str) -> None:
    """The disk was full, or the power failed: half of a file is there."""
    with pytest.raises(Stopped):
        run.train(stop_at=2)
    path = run.partial / "checkpoint-2" / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run.train()
    assert run.steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("file", ["optimizer.safetensors", "schedule.json", "adapter_model.safetensors"])
def test_a_checkpoint_with_one_changed_bit_is_as_none(run: Run, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It would still be read, and another model would stand under the key."""
    undisturbed = run.train()
    with pytest.raises(Stopped):
        run.train(stop_at=2)
    path = run.partial / "checkpoint-2" / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    assert run.train() == undisturbed
    assert run.steps == [1, 2, 3, 4, 5]
    assert "checkpoint-2 is damaged" in capsys.readouterr().err


def test_a_checkpoint_with_a_file_more_or_less_is_as_none(run: Run) -> None:
    changes: tuple[Callable[[Path], object], ...] = (
        lambda folder: (folder / "extra.json").write_text("{}"),
        lambda folder: (folder / MARK).write_text(""),
    )
    for change in changes:
        with pytest.raises(Stopped):
            run.train(stop_at=2)
        change(run.partial / "checkpoint-2")
        run.train()
        assert run.steps == [1, 2, 3, 4, 5]


def test_an_older_whole_checkpoint_serves_where_the_newest_is_damaged(run: Run) -> None:
    undisturbed = run.train()
    with pytest.raises(Stopped):
        run.train(stop_at=2)
    shutil.copytree(run.partial / "checkpoint-2", run.partial / "kept")
    with pytest.raises(Stopped):
        run.train(stop_at=3)
    (run.partial / "kept").rename(run.partial / "checkpoint-2")
    (run.partial / "checkpoint-3" / "optimizer.json").write_text("{}")
    assert run.train() == undisturbed
    assert run.steps == [3, 4, 5]


def test_a_checkpoint_holds_no_pickle_and_none_is_read(run: Run) -> None:
    """Whoever may write into a store must not run code in the processes of others."""
    with pytest.raises(Stopped):
        run.train(stop_at=2)
    folder = run.partial / "checkpoint-2"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja", ".md", ""}
    assert not [path.name for path in files if is_zipfile(path)], "torch.save writes pickles in zip files"
    (folder / "optimizer.pt").write_bytes(b"a pickle")
    run.train()
    assert run.steps == [1, 2, 3, 4, 5]


def test_a_library_that_saves_in_another_way_is_refused_before_the_training() -> None:
    class Renamed:
        def _save(self) -> None: ...

    with pytest.raises(
        AttributeError, match=r"no _save_optimizer_and_scheduler, .*_load_rng_state: .* would be pickles"
    ):
        resumable(Renamed)


def test_only_the_newest_checkpoint_is_kept(run: Run) -> None:
    for step in (1, 3):
        with pytest.raises(Stopped):
            run.train(stop_at=step)
    assert [path.name for path in run.partial.glob("checkpoint-*")] == ["checkpoint-3"]


def test_a_request_at_the_last_step_does_not_throw_the_result_away(run: Run) -> None:
    assert run.train(stop_at=5) == run.train()
