"""What the log of a job says: our words and what a user can use, not what libraries tell their authors."""

from __future__ import annotations

import json
import logging
import re
import warnings

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.decoding.guided import Guidance, Sampling, Variant, guided_replies
from traitgraph.runtime.jobs.process import quiet_libraries
from traitgraph.runtime.models.generation import written_texts
from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.training import callbacks
from traitgraph.runtime.training.training import train
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.study.training import Lora, SftTraining


@pytest.fixture
def params(model_ref: FolderModel, dialogue_data: FileData) -> TrainParams:
    training = SftTraining(learning_rate=1e-2, steps=4, batch_size=2, lora=Lora(rank=4, alpha=8))
    return TrainParams(
        model=model_ref, data=dialogue_data, training=training, trait="extraversion", level="high", seed=7
    )  # fmt: skip


def test_a_training_logs_its_first_and_last_loss_and_its_speed_and_nothing_else(
    make_context: MakeContext, params: TrainParams, capfd: pytest.CaptureFixture[str]
) -> None:
    context = make_context(params)
    train(context, params)
    (line,) = capfd.readouterr().err.splitlines()
    losses = json.loads((context.out / "training.json").read_text())["losses"]
    assert f"loss {losses[0]:.3f} at the start, {losses[-1]:.3f} at the end; 4 steps in " in line
    assert re.search(r"[\d.]+ steps/s, [\d,]+ tokens/s$", line)


def test_a_long_training_logs_its_loss_while_it_goes(
    make_context: MakeContext,
    params: TrainParams,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN", 0.0)
    train(make_context(params), params)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(":")[0].strip() for line in lines[:-1]] == [f"step {step} of 4" for step in range(1, 5)]


def test_what_libraries_tell_their_authors_is_silent_and_what_concerns_numbers_is_not() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quiet_libraries():
            warnings.warn("is renamed in v6", FutureWarning, stacklevel=1)
            warnings.warn("invalid value encountered", RuntimeWarning, stacklevel=1)
    assert [str(each.message) for each in heard] == ["invalid value encountered"]


def test_a_library_may_warn_of_a_model() -> None:
    """'Some weights are newly initialised' is the end of a study, not chatter."""
    logger = logging.getLogger("transformers")
    with quiet_libraries():
        assert logger.isEnabledFor(logging.WARNING)
        assert not logging.getLogger("lm_eval").isEnabledFor(logging.WARNING)


def test_scoring_and_writing_use_no_name_that_the_library_has_given_up(
    loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """transformers says such a thing in its log, not by a warning, and once in a process."""
    logger = logging.getLogger("transformers")
    logging.Logger.warning_once.cache_clear()  # type: ignore[attr-defined]  # transformers adds it
    logger.addHandler(caplog.handler)
    try:
        continuation_likelihoods(loaded, [Request((1, 5), (6, 7)), Request((1, 9), (6, 7))])
        written_texts(loaded, [(1, 5)], temperature=0, max_new_tokens=2, stream="any")
        variant = Variant(loaded)
        guided_replies([variant, variant], [[(1, 5)], [(1, 6)]], Guidance("sum", 1.0), Sampling(0, 3), ["any"])
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.messages == []
