"""The short names of failures: what shares a cause, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from traitgraph.launchers.slurm.layout.task_resources import count_shortages
from traitgraph.runtime.store.errors import GPU_OUT_OF_MEMORY, cause_of
from traitgraph.runtime.store.records import failure_of
from traitgraph.specs.jobs.params import JobRow


def of_the_host() -> BaseException:
    """torch's own error of the host's allocator."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**14)
    return raised.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."), GPU_OUT_OF_MEMORY),
        (RuntimeError("CUDA error: out of memory"), GPU_OUT_OF_MEMORY),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), GPU_OUT_OF_MEMORY),
        (MemoryError(), "out of memory"),
        (of_the_host(), "out of memory"),
    ],
)
def test_only_the_memory_of_the_host_is_asked_for_again(error: BaseException, cause: str) -> None:
    assert cause_of(error) == cause
    assert bool(count_shortages([("key", cause)])) == (cause == "out of memory")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "s/f1/dialogues.jsonl has changed (1234abcd5678 -> 0123456789ab)",
            "s/f1/dialogues.jsonl has changed (# -> #)",
        ),
        ("rows2.jsonl: line 17 is too long", "rows2.jsonl: line # is too long"),
        ("needs torch>=2.6, found 2.5.1+cpu", "needs torch>=2.6, found 2.5.1+cpu"),
        ("/store1/vector/0123456789abcdef/x3.bin: gone", "/store1/vector/#/x3.bin: gone"),
        ("alpha=0.5 of layer 3 gives 1e30", "alpha=# of layer # gives #e#"),
        ("model.layers.3.mlp has 7 rows", "model.layers.#.mlp has # rows"),
    ],
)
def test_a_cause_keeps_the_numbers_of_paths_and_versions_and_no_others(text: str, cause: str) -> None:
    assert cause_of(ValueError(text)) == f"ValueError: {cause}"


def test_whoever_runs_out_of_gpu_memory_is_told_what_helps() -> None:
    row = JobRow(key="0" * 32, kind="train", version=1, params={}, inputs={}, label="train")
    told = failure_of(torch.OutOfMemoryError("CUDA out of memory."), row, "task", Path("log")).message
    assert "batch_size" in told
    assert "gpu_type" in told
    assert "batch_size" not in failure_of(MemoryError(), row, "task", Path("log")).message


def test_the_cause_of_a_message_without_a_blank_is_found_at_once() -> None:
    """One that would be looked through for names of files from each of its letters: half an hour."""
    assert cause_of(ValueError("x" * 300_000)) == f"ValueError: {'x' * 300}"[:160]
