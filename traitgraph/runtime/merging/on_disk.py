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

from traitgraph.runtime.tensors.checkpoint import Checkpoint, TensorInfo, read_object
from traitgraph.runtime.tensors.errors import MergeError
from traitgraph.runtime.tensors.writer import BackgroundWriter, Slot, TensorFile, check_new, drafted
from traitgraph.runtime.vectors.differences import piece_size, pieces
from traitgraph.specs.folders.model_folder import INDEX, SINGLE

from .composition import Composition
from .model_card import model_card

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

    def dtype_of(self, info: TensorInfo) -> str:
        """Number format of a tensor in this output."""
        return self.dtype if self.dtype and info.is_float else info.dtype


def write_merges(
    base: Checkpoint, outputs: Sequence[Output], *, device: torch.device | None = None, progress: Progress | None = None
) -> None:
    """Write all outputs in one pass over the base.

    Each folder holds shards, index, configuration, tokenizer, a model card and recipe.json; transformers loads it.
    Raises MergeError when a folder exists, when the disk has too little room, and for values that no number format
    holds; nothing is left of any output then.
    """
    _check_room(base, outputs)
    with ExitStack() as stack:
        drafts = [stack.enter_context(drafted(output.folder)) for output in outputs]
        for output, draft in zip(outputs, drafts, strict=True):
            _write_beside(base, output, draft)
        with _Files(base, outputs, drafts) as files, BackgroundWriter() as writer:
            done, total = 0, base.nbytes
            for name in base:
                _write_tensor(name, base, outputs, files, writer, device)
                done += base[name].nbytes
                if progress:
                    progress(done, total, "bytes of the base")


def _check_room(base: Checkpoint, outputs: Sequence[Output]) -> None:
    for output in outputs:
        check_new(output.folder)
        output.folder.resolve().parent.mkdir(parents=True, exist_ok=True)
    if not outputs:
        return
    needed = sum(Slot(info.name, info.shape, o.dtype_of(info)).nbytes for o in outputs for info in base.values())
    place = outputs[0].folder.resolve().parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise MergeError(
            f"{len(outputs)} outputs need {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free in {place}"
        )


class _Files:
    """The open shards of all outputs, in the base's layout; closed with their index."""

    def __init__(self, base: Checkpoint, outputs: Sequence[Output], drafts: Sequence[Path]) -> None:
        self._base, self._outputs, self._drafts = base, outputs, drafts
        self._stack = ExitStack()
        self._open: list[dict[str, TensorFile]] = []

    def __enter__(self) -> _Files:
        for output, draft in zip(self._outputs, self._drafts, strict=True):
            shards: dict[str, list[Slot]] = {}
            for info in self._base.values():
                shards.setdefault(self._shard(info), []).append(Slot(info.name, info.shape, output.dtype_of(info)))
            files = {shard: self._stack.enter_context(TensorFile(draft / shard, s)) for shard, s in shards.items()}
            self._open.append(files)
            if len(self._base.files) > 1:
                _write_index(draft, shards)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def of(self, info: TensorInfo) -> list[TensorFile]:
        """The shard that holds a tensor, for each output."""
        return [files[self._shard(info)] for files in self._open]

    def _shard(self, info: TensorInfo) -> str:
        """As transformers names it, whatever the base calls it and in whichever of its folders it lies."""
        files = self._base.files
        return SINGLE if len(files) == 1 else f"model-{files.index(info.file) + 1:05}-of-{len(files):05}.safetensors"


def _write_index(draft: Path, shards: Mapping[str, Sequence[Slot]]) -> None:
    where = {slot.name: shard for shard, slots in shards.items() for slot in slots}
    total = sum(slot.nbytes for slots in shards.values() for slot in slots)
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}, indent=2)
    (draft / INDEX).write_text(text + "\n", encoding="utf-8")


def _write_tensor(
    name: str,
    base: Checkpoint,
    outputs: Sequence[Output],
    files: _Files,
    writer: BackgroundWriter,
    device: torch.device | None,
) -> None:
    info = base[name]
    targets = list(zip(outputs, files.of(info), strict=True))
    for first, last in pieces(info.shape, piece_size(device)):
        made: dict[str, torch.Tensor] = {}
        for output, file in targets:
            if name in output.composition.names:
                rows = base.floats(name, first, last, device)
                writer.write(
                    file, name, _merged_rows(output, info, first, last, rows, made if len(targets) > 1 else None), first
                )
            else:
                writer.write(file, name, base.rows(name, first, last).to(_torch_dtype(output.dtype_of(info))), first)


def _merged_rows(
    output: Output,
    info: TensorInfo,
    first: int,
    last: int,
    rows: torch.Tensor,
    made: dict[str, torch.Tensor] | None,
) -> torch.Tensor:
    """Rows of one output in its number format; its direction is kept for the other outputs of the same pass."""
    merge = output.composition
    if output.loaded_as not in (None, info.dtype):
        rows = rows.to(_torch_dtype(str(output.loaded_as))).float()
    found = None
    if made is not None and not merge.steps.on_arc and info.name in merge.merged_names:
        if merge.direction_key not in made:
            made[merge.direction_key] = merge.direction(info.name, first, last, rows.device)
        found = made[merge.direction_key]
    dtype = _torch_dtype(output.dtype_of(info))
    return merge.rounded(info.name, first, last, rows, dtype, direction=found).cpu()


def _torch_dtype(name: str) -> torch.dtype:
    import torch

    found: torch.dtype = getattr(torch, name)
    return found


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
