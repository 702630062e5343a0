"""Hidden states of base and subject, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.assessment.job import assess
from traitgraph.runtime.assessment.layer_similarity import mean_states
from traitgraph.runtime.assessment.measurement import METRICS_FILE
from traitgraph.runtime.data.dialogues import read_dialogues, spread_rows
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.models.chat import PromptMessage, Turn, turn
from traitgraph.runtime.models.forward_pass import Positions, decoder_blocks, seen_by
from traitgraph.runtime.models.likelihood import NoNumbersError
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.subjects.activations import steer_block
from traitgraph.runtime.subjects.workbench import weights_checksum
from traitgraph.specs.jobs.params import AssessParams, Prompt
from traitgraph.specs.jobs.refs import FileData, FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path

if TYPE_CHECKING:
    import torch

TALK = "You talk to everyone, at length."


@pytest.fixture
def params(model_ref: FolderModel, dialogue_data: FileData) -> AssessParams:
    return AssessParams(
        model=model_ref, benchmark=ResolvedBenchmark(kind="layer_similarity", data=dialogue_data, rows=5)
    )


def rows_of(folder: Path) -> list[dict[str, object]]:
    import json

    return [json.loads(line) for line in (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()]


def measured(make_context: MakeContext, params: AssessParams, **inputs: tuple[Path, ...]) -> list[dict[str, object]]:
    context = make_context(params, **inputs)
    keys = {name: tuple(digest_path(path) for path in paths) for name, paths in inputs.items()}
    context.row = context.row.model_copy(update={"inputs": keys})
    assess(context, params)
    return rows_of(context.out)


def adapter(loaded: LoadedModel, folder: Path) -> Path:
    """A tuned model as a training leaves it: random low-rank factors."""
    import copy

    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(copy.deepcopy(loaded.model), config).save_pretrained(str(folder / "adapter"))
    return folder


def test_means_are_those_of_one_row_at_a_time(loaded: LoadedModel, dialogue_file: Path) -> None:
    """Padding and batches change nothing; only the reply's tokens count; the last block's states are not normed."""
    import torch

    turns = [
        turn(loaded.tokenizer, row.prompt, row.reply, PromptMessage(TALK)) for row in read_dialogues(dialogue_file)
    ]
    found = mean_states(loaded, turns)
    assert len({len(each.context) + len(each.reply) for each in turns}) > 1, "rows of one length need no padding"
    for each, states in zip(turns, found, strict=True):
        ids = torch.tensor([[*each.context, *each.reply]])
        with torch.inference_mode():
            hidden = loaded.model(input_ids=ids, output_hidden_states=True).hidden_states
        means = [layer[0, -len(each.reply) :].mean(0) for layer in hidden[1:]]
        torch.testing.assert_close(states[:-1], torch.stack(means[:-1]))
        assert not torch.allclose(states[-1], means[-1], atol=1e-2), "transformers norms the last"


def test_the_base_turns_nowhere_and_a_prompt_turns_it(make_context: MakeContext, params: AssessParams) -> None:
    base = measured(make_context, params)
    assert [row["metric"] for row in base] == ["layer 0", "layer 1"]
    assert [row["value"] for row in base] == pytest.approx([1, 1], abs=1e-12)
    assert [row["n"] for row in base] == [5, 5]
    prompted = measured(make_context, params.model_copy(update={"prompt": Prompt(system=TALK)}))
    assert all(float(str(row["value"])) < 0.999 for row in prompted)


def test_the_order_of_jobs_changes_no_number_and_the_base_comes_back(
    make_context: MakeContext, loaded: LoadedModel, params: AssessParams, tmp_path: Path
) -> None:
    """A subject measured first, or after others with other rows, or twice, has the same cosines."""
    before = weights_checksum(loaded.model)
    folder = adapter(loaded, tmp_path / "tuned")
    first = measured(make_context, params, tuned=(folder,))
    fewer = params.model_copy(update={"benchmark": params.benchmark.model_copy(update={"rows": 2})})
    other = measured(make_context, fewer, tuned=(folder,))
    base = measured(make_context, params)
    assert measured(make_context, params, tuned=(folder,)) == first
    assert [row["n"] for row in other] == [2, 2]
    assert all(float(str(row["value"])) < 0.999 for row in [*first, *other]), "the base is not what stands there"
    assert [row["value"] for row in base] == pytest.approx([1, 1], abs=1e-12)
    measured(make_context, params)
    assert weights_checksum(loaded.model) == before
    assert not any(block._forward_hooks for block in decoder_blocks(loaded.model))


def test_rows_are_spread_over_the_held_out_ones(dialogue_file: Path) -> None:
    """Every trait of a sorted file is read; data of which none is held out are read all the same."""
    dialogues = read_dialogues(dialogue_file)
    heldout = [row for row in dialogues if row.split == "heldout"]
    assert spread_rows(dialogues, 4) == heldout[::2]
    assert spread_rows(dialogues, 100) == heldout
    assert {row.trait for row in spread_rows(dialogues, 2)} == {"extraversion", "neuroticism"}
    trained = [row for row in dialogues if row.split == "train"]
    assert spread_rows(trained, 100) == trained
    with pytest.raises(DialogueError, match="no row"):
        spread_rows([], 3)


def test_states_that_are_no_numbers_have_no_cosine(loaded: LoadedModel, dialogue_file: Path) -> None:
    """An overflow fails the job with its reason, instead of an undefined cosine."""
    import torch

    row = read_dialogues(dialogue_file)[0]
    weight = loaded.model.get_submodule("model.layers.1.mlp.down_proj").weight
    assert isinstance(weight, torch.Tensor)
    weight.data[0, 0] = float("inf")
    with pytest.raises(NoNumbersError):
        mean_states(loaded, [turn(loaded.tokenizer, row.prompt, row.reply)])


def test_hooks_go_even_when_a_pass_fails(loaded: LoadedModel, dialogue_file: Path) -> None:
    row = read_dialogues(dialogue_file)[0]
    broken = turn(loaded.tokenizer, row.prompt, row.reply)._replace(context=(10**6,))
    with pytest.raises(IndexError):
        mean_states(loaded, [broken])
    assert not any(block._forward_hooks for block in decoder_blocks(loaded.model))


@pytest.mark.parametrize("positions", ["all", "prompt", "response"])
def test_a_steered_subject_is_shifted_at_its_positions_in_every_row(
    loaded: LoadedModel, dialogue_file: Path, positions: Positions
) -> None:
    """As one plain pass for each row, with the output of the first block raised at those positions."""
    import torch

    turns = [turn(loaded.tokenizer, row.prompt, row.reply) for row in read_dialogues(dialogue_file)]
    assert min(len({len(each[part]) for each in turns}) for part in (0, 1)) > 1, "prompts or replies of one length"
    blocks = decoder_blocks(loaded.model)
    remove = steer_block(loaded.model, blocks[0], torch.full((32,), 0.5), positions)
    found = mean_states(loaded, turns)
    remove()
    for each, states in zip(turns, found, strict=True):
        first = len(each.context)
        at = {"all": slice(None), "prompt": slice(0, first), "response": slice(first - 1, None)}[positions]
        torch.testing.assert_close(states, means_of_one(loaded, each, at), atol=1e-5, rtol=1e-5)


def means_of_one(loaded: LoadedModel, row: Turn, at: slice) -> torch.Tensor:
    """Means over a reply after every block, the output of the first one raised by 0.5 at the positions of `at`."""
    import torch

    def raise_by_half(module: Any, given: Any, hidden: torch.Tensor) -> torch.Tensor:
        raised = hidden.clone()
        raised[:, at] += 0.5
        return raised

    blocks = decoder_blocks(loaded.model)
    handle = blocks[0].register_forward_hook(raise_by_half)
    seen: list[torch.Tensor] = []
    with torch.inference_mode(), seen_by(blocks, seen.append):
        loaded.model(input_ids=torch.tensor([[*row.context, *row.reply]]))
    handle.remove()
    return torch.stack([states[0, len(row.context) :].mean(0) for states in seen])
