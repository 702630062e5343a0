"""Write merged checkpoints: one pass over base and vectors for any number of outputs, a few pieces of memory.

Each piece of the base is read once; directions (trim, masks, election) are computed once for all outputs that share
them; every output then costs a scaling, a rounding and its own write. Outputs keep the base's shards and order, get
their final name when they are complete, and take everything beside the weights from the base.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError, TensorInfo, read_object
from traitgraph.runtime.tensors.writer import BackgroundWriter, Slot, TensorFile, check_new, drafted
from traitgraph.runtime.vectors.adapters import HUB_ID
from traitgraph.runtime.vectors.differences import pieces
from traitgraph.specs.folders.model_folder import INDEX, SINGLE

from .composition import Composition

if TYPE_CHECKING:
    import torch


Progress = Callable[[int, int, str], None]
BESIDE_WEIGHTS = (
    "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*",
    "merges.txt", "*.model", "*.jinja", "chat_template*", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json", "LICENSE*", "NOTICE*",
)  # fmt: skip
"""What a checkpoint has beside its weights; code (`*.py`) and other weights are not among it."""


@dataclass
class Output:
    """One merged checkpoint: what is done to the base, where it goes, and what its card says."""

    composition: Composition
    folder: Path
    dtype: str | None = None
    """Number format of all floating-point tensors; None: each tensor keeps the base's."""
    record: Mapping[str, Any] = field(default_factory=dict)
    loaded_as: str | None = None
    """Number format that the base is rounded to before the change is added, as a loaded model's is; None: as stored."""

    def slot(self, info: TensorInfo) -> Slot:
        """A tensor of the base as this output holds it."""
        return Slot(info.name, info.shape, self.dtype if self.dtype and info.is_float else info.dtype)


def write_merges(base: Checkpoint, outputs: Sequence[Output], progress: Progress | None = None) -> None:
    """Write all outputs in one pass over the base.

    Each folder holds shards, index, configuration, tokenizer, a model card and recipe.json; transformers loads it.
    Raises MergeError when a folder exists, when the disk has too little room, and for values that no number format
    holds; nothing is left of any output then.
    """
    _check_room(base, outputs)
    with ExitStack() as stack:
        drafts = [stack.enter_context(drafted(output.folder)) for output in outputs]
        targets = []
        for output, draft in zip(outputs, drafts, strict=True):
            _write_beside(base, output, draft)
            targets.append((output, _open_shards(base, output, draft, stack)))
        writer, done = stack.enter_context(BackgroundWriter()), 0
        for info in base.values():
            _write_tensor(info, base, [(output, files[info.name]) for output, files in targets], writer)
            done += info.nbytes
            if progress:
                progress(done, base.nbytes, "bytes of the base")


def _check_room(base: Checkpoint, outputs: Sequence[Output]) -> None:
    for output in outputs:
        check_new(output.folder)
        output.folder.resolve().parent.mkdir(parents=True, exist_ok=True)
    if not outputs:
        return
    needed = sum(output.slot(info).nbytes for output in outputs for info in base.values())
    place = outputs[0].folder.resolve().parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise MergeError(
            f"{len(outputs)} outputs need {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free in {place}"
        )


def _open_shards(base: Checkpoint, output: Output, draft: Path, stack: ExitStack) -> dict[str, TensorFile]:
    """The file that each tensor is written to, in the base's layout; several files get their index.

    They are named as transformers names them, whatever the base calls its own and in whichever of its folders they lie.
    """
    shards: dict[str, list[Slot]] = {}
    for info in base.values():
        number = f"{base.files.index(info.file) + 1:05}-of-{len(base.files):05}"
        shard = SINGLE if len(base.files) == 1 else f"model-{number}.safetensors"
        shards.setdefault(shard, []).append(output.slot(info))
    where = {slot.name: shard for shard, slots in shards.items() for slot in slots}
    if len(base.files) > 1:
        total = sum(slot.nbytes for slots in shards.values() for slot in slots)
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}, indent=2)
        (draft / INDEX).write_text(text + "\n", encoding="utf-8")
    files = {shard: stack.enter_context(TensorFile(draft / shard, slots)) for shard, slots in shards.items()}
    return {name: files[shard] for name, shard in where.items()}


def _write_tensor(
    info: TensorInfo, base: Checkpoint, targets: Sequence[tuple[Output, TensorFile]], writer: BackgroundWriter
) -> None:
    """One tensor of all outputs; a direction is kept for the other outputs of the same rows."""
    changed = [each for each in targets if info.name in each[0].composition.names]
    same = [each for each in targets if info.name not in each[0].composition.names]
    for first, last in pieces(info.shape):
        if same:
            stored = base.read(info.name, (first, last))
            for output, file in same:
                writer.write(file, info.name, stored.to(output.slot(info).torch_dtype), first)
        made: dict[str, torch.Tensor] | None = {} if len(targets) > 1 else None
        for output, file in changed:
            rows = base.floats(info.name, first, last)
            writer.write(file, info.name, _merged_rows(output, info, first, last, rows, made), first)


def _merged_rows(
    output: Output, info: TensorInfo, first: int, last: int, rows: torch.Tensor, made: dict[str, torch.Tensor] | None
) -> torch.Tensor:
    """Rows of one output in its number format; `made` keeps directions, where they are to be kept."""
    import torch

    merge = output.composition
    if output.loaded_as not in (None, info.dtype):
        rows = rows.to(getattr(torch, str(output.loaded_as))).float()
    found = None
    if made is not None and not merge.steps.on_arc and info.name in merge.merged:
        if merge.direction_key not in made:
            made[merge.direction_key] = merge.direction(info.name, first, last)
        found = made[merge.direction_key]
    return merge.rounded(info.name, first, last, rows, output.slot(info).torch_dtype, direction=found)


def _write_beside(base: Checkpoint, output: Output, draft: Path) -> None:
    """Configuration, tokenizer and templates of the base, the recipe and the card."""
    if base.path.is_dir():
        for pattern in BESIDE_WEIGHTS:
            for file in base.path.glob(pattern):
                if file.is_file():
                    shutil.copyfile(file, draft / file.name)
    if (draft / "config.json").is_file():
        _adapt(draft / "config.json", output.dtype)
    (draft / "recipe.json").write_text(json.dumps(output.record, indent=1) + "\n", encoding="utf-8")
    (draft / "README.md").write_text(model_card(output.record), encoding="utf-8")


def _adapt(path: Path, dtype: str | None) -> None:
    """Say in the configuration which number format the weights have, under the key that it uses, and no other file."""
    config = read_object(path)
    if config.pop("transformers_weights", None) is None and dtype is None:
        return
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    for part in parts:
        for key in ("torch_dtype", "dtype"):
            if dtype and key in part:
                part[key] = dtype
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


# ---------------------------------------------------------------- the model card


def model_card(record: Mapping[str, Any]) -> str:
    """A README.md with the metadata that model hubs read, the ingredients, and the whole recipe as JSON."""
    sources = [str(each) for each in record.get("sources", ())]
    lines = ["---", "library_name: transformers", "tags:", "- merge", "- traitgraph"]
    base = str(record.get("base_name") or "")
    if HUB_ID.fullmatch(base) and not Path(base).exists():  # hubs refuse a card that names anything else
        lines += ["base_model:", f"- {json.dumps(base)}"]
    lines += [
        "---",
        "",
        "# A merged model",
        "",
        f"Made by traitgraph from a base{f', `{base}`,' if base else ''} and the differences of tuned models.",
        "",
    ]
    lines += _ingredients(record, sources)
    lines += ["## Recipe", "", "```json", json.dumps(dict(record), indent=1), "```", ""]
    return "\n".join(lines)


def _ingredients(record: Mapping[str, Any], sources: list[str]) -> list[str]:
    vectors = record.get("vectors", ())
    coefficients = record.get("params", {}).get("coefficients", record.get("coefficients", ()))
    resolved = record.get("resolved", {})
    lines = [f"Method: {resolved.get('kind', 'unknown')}, conventions: {resolved.get('conventions', 'paper')}.", ""]
    if vectors:
        lines += ["| vector | coefficient | fingerprint |", "| --- | ---: | --- |"]
        for place, vector in enumerate(vectors):
            name = sources[place] if place < len(sources) else vector.get("key", "")[:8]
            weight = coefficients[place] if place < len(coefficients) else ""
            lines.append(f"| {name} | {weight} | `{vector['fingerprint'][:8]}` |")
        lines.append("")
    if not (statistics := record.get("statistics")):
        return lines
    if statistics["effective_alpha"] is None:
        text = "No change: the vectors, with these coefficients and options, add nothing to the sampled weights."
    else:
        text = (
            f"Effective alpha {statistics['effective_alpha']:.3f}: the share of the change that the number format "
            f"holds (relative error {statistics['relative_error']:.2g})."
        )
    return [*lines, text, ""]
