"""Fit vectors to the tensors of a base: other names (a vision-language model), other vocabulary sizes, or refuse.

A vector of a language model is carried onto the language part of a larger model by a map of name starts. Nothing is
guessed: what does not fit is listed, and a map that would fit is proposed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from traitgraph.runtime.tensors.checkpoint import (
    Checkpoint,
    CheckpointView,
    MergeError,
    TensorInfo,
    matrix_shape,
    quantised,
    read_object,
)

from .adapters import Factors
from .differences import Difference, differ_in_vocabulary, unequal_shapes

if TYPE_CHECKING:
    import torch


Vocabulary = Literal["refuse", "common", "base"]
"""Embedding and head of unequal sizes: refuse; change the rows that both have; or leave them as in the base."""
NameMap = Mapping[str, str]
"""Start of a tensor's name in the vector -> its start in the base; the longest start that fits is taken."""

_VISION = {"vision_tower.": "model.vision_tower.", "multi_modal_projector.": "model.multi_modal_projector."}
KNOWN_STARTS: tuple[NameMap, ...] = (
    {"model.": "model.language_model.", "visual.": "model.visual."},
    {"model.": "language_model.model.", "lm_head.": "language_model.lm_head."},
    {"model.language_model.": "model.", "model.visual.": "visual."},
    {"language_model.model.": "model.", "language_model.lm_head.": "lm_head."},
    {"language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head.", **_VISION},
    {
        "model.language_model.": "language_model.model.",
        "lm_head.": "language_model.lm_head.",
        **{theirs: ours for ours, theirs in _VISION.items()},
    },
    {"": "model."},
    {"model.": ""},
    {"": "transformer."},
    {"transformer.": ""},
    {"_orig_mod.": ""},
    {"module.": ""},
)
"""Where published architectures put the language model inside a larger one, and how their releases renamed it."""


@dataclass
class Fit:
    """What of the vectors goes where; what a dry run prints."""

    matched: dict[str, str] = field(default_factory=dict)
    """Name in the vectors -> name in the base."""
    unmatched: list[str] = field(default_factory=list)
    """Tensors of the vectors that the base does not have."""
    cut: dict[str, int] = field(default_factory=dict)
    """Tensors of the base of which only the first rows are changed -> their number."""
    left: list[str] = field(default_factory=list)
    """Tensors of the base that no vector changes because one has them in another size (vocabulary: base)."""
    skipped: list[str] = field(default_factory=list)
    """Other tensors of the base that no vector changes."""
    changed_bytes: int = 0
    total_bytes: int = 0


def renamed(name: str, names: NameMap | None) -> str:
    """The name in the base.

    >>> renamed("model.layers.0.w", {"model.": "model.language_model."})
    'model.language_model.layers.0.w'
    """
    starts = [start for start in names or () if name.startswith(start)]
    if not starts:
        return name
    start = max(starts, key=len)
    return (names or {})[start] + name.removeprefix(start)


def as_named(base: Checkpoint, names: NameMap) -> Checkpoint:
    """The base under the names that its tensors have in the vectors: what a map of names is undone for.

    Differences are taken there, and `fit_vectors` brings them to the base's names.
    """
    found = {
        theirs: name
        for name in base
        for start, target in (*names.items(), ("", ""))
        if name.startswith(target) and renamed(theirs := start + name.removeprefix(target), names) == name
    }
    return CheckpointView(base, found)


def names_of_training(wanted: Iterable[str], base: Collection[str]) -> NameMap | None:
    """The known map by which a library that loads a model renames its tensors: from the names in training to ours.

    None where all names are ours, and where no map fits.
    """
    return propose_names([name for name in wanted if name not in base], base)


def fit_trained(
    vectors: Sequence[Difference], base: Mapping[str, TensorInfo], names: NameMap | None
) -> list[Difference]:
    """The vectors of trainings under the base's names: by the map that a spec gives, else by that of the training."""
    if names is None:
        names = names_of_training((name for vector in vectors for name in vector.names), base)
    return fit_vectors(vectors, base, names=names)[0]


def fit_vectors(
    vectors: Sequence[Difference],
    base: Mapping[str, TensorInfo],
    *,
    names: NameMap | None = None,
    vocabulary: Vocabulary = "refuse",
    resized: Iterable[Mapping[str, int]] = (),
    dry: bool = False,
) -> tuple[list[Difference], Fit]:
    """The vectors under the base's names and sizes, and the report. `dry` reports instead of refusing.

    `resized` has what vectors were cut to before: tables by name -> rows that both sides have, 0 for none.
    Raises MergeError for a tensor that the base lacks, of another shape, or not of floating point there, and for a
    start in `names` that no tensor of the vectors has.
    """
    given = dict.fromkeys(name for vector in vectors for name in vector.names)
    if idle := [start for start in names or () if given and start not in _starts(given, names or {})]:
        raise MergeError(f"names: no tensor of the vectors starts with '{idle[0]}'; there is '{next(iter(given))}'")
    fit = Fit()
    for rows in resized:
        for name, count in rows.items():
            _cut(fit, _target(name, names, base), count)
    for vector in vectors:
        for name in vector.names:
            target = _target(name, names, base)
            if target in base:
                _check_shape(fit, target, vector.shape(name), base[target], vocabulary, dry)
                fit.matched[name] = target
            elif name not in fit.unmatched:
                fit.unmatched.append(name)
    fit.matched = {name: ours for name, ours in fit.matched.items() if ours not in fit.left}  # for all or for none
    if fit.unmatched and not dry:
        raise MergeError(_unmatched_message(fit, list(given), base, names))
    changed = set(fit.matched.values())
    fit.skipped = [name for name in base if name not in changed and name not in fit.left]
    fit.changed_bytes = sum(base[name].nbytes for name in changed)
    fit.total_bytes = sum(info.nbytes for info in base.values())
    if all(ours == theirs for ours, theirs in fit.matched.items()) and not fit.cut and not fit.left:
        return list(vectors), fit
    return [Fitted(vector, fit, base) for vector in vectors], fit


def _starts(given: Iterable[str], names: NameMap) -> NameMap:
    """The entries of a map that some name starts with."""
    return {start: names[start] for start in names if any(name.startswith(start) for name in given)}


def _target(name: str, names: NameMap | None, base: Collection[str]) -> str:
    target = renamed(name, names)
    return name if target not in base and name in base else target  # a vector under the base's own names


def _cut(fit: Fit, target: str, rows: int) -> None:
    """Note that a vector changes only the first rows of a table, or that none of them does (0)."""
    if rows:
        fit.cut[target] = min(rows, fit.cut.get(target, rows))
    elif target not in fit.left:
        fit.left.append(target)


def _check_shape(
    fit: Fit, target: str, shape: tuple[int, ...], base: TensorInfo, vocabulary: Vocabulary, dry: bool
) -> None:
    """Note how much of a tensor fits. Raises MergeError where it does not, unless a dry run only reports it."""
    if not base.is_float:
        raise MergeError(f"tensor '{target}' of the base is {base.dtype}: quantised weights cannot be changed")
    if shape != base.shape:
        if not differ_in_vocabulary(target, shape, base.shape) or (vocabulary == "refuse" and not dry):
            raise MergeError(unequal_shapes(target, base.shape, shape, "a vector"))
        _cut(fit, target, min(shape[0], base.shape[0]) if vocabulary == "common" else 0)


def _unmatched_message(fit: Fit, given: Sequence[str], base: Mapping[str, TensorInfo], names: NameMap | None) -> str:
    if reason := quantised((base,)):
        return reason
    count = len(fit.unmatched)
    message = f"{count} tensors of the vectors are not in the base, first '{renamed(fit.unmatched[0], names)}'"
    if proposed := propose_names(given, base):
        return f"{message}; {a_map_would_fit(proposed)}"
    if fit.unmatched == ["lm_head.weight"]:
        return f"{message}: the base has tied embeddings; untie it first (save it with tie_word_embeddings=false)"
    return f"{message}: vectors of another base, or a map of names is needed"


def a_map_would_fit(names: NameMap) -> str:
    """The repair of a merge file whose names need a map."""
    pairs = ", ".join(f"'{ours}': '{theirs}'" for ours, theirs in names.items())
    return f"this map of names would fit: names: {{{pairs}}}"


def propose_names(wanted: Sequence[str], available: Collection[str]) -> NameMap | None:
    """The first known map of starts under which every wanted name is available, or None."""
    for names in KNOWN_STARTS:
        if wanted and all(renamed(name, names) in available for name in wanted):
            return _starts(wanted, names)
    return None


class Fitted(Difference):
    """A vector under other names, with zeros in rows that it does not have."""

    def __init__(self, inner: Difference, fit: Fit, base: Mapping[str, TensorInfo]) -> None:
        self.inner, self._base = inner, base
        self._names = {fit.matched[name]: name for name in inner.names if name in fit.matched}
        shapes = {ours: (inner.shape(theirs), base[ours].shape) for ours, theirs in self._names.items()}
        self.cut = {name: min(own[0], there[0]) for name, (own, there) in shapes.items() if own != there}
        """Tables of another size -> the rows that both sides have."""
        self.names = tuple(self._names)
        self.id = inner.id
        gained = sum(base[name].elements for name in self._names)
        self.elements = inner.elements + gained - sum(prod(inner.shape(name)) for name in inner.names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape in the base."""
        return self._base[name].shape

    def piece(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor:
        """Rows [first, last): float32, flat; zeros below the rows that the vector has."""
        import torch

        end = min(last, max(first, self.cut.get(name, last)))
        found = self.inner.piece(self._names[name], first, end, device)
        missing = (last - end) * matrix_shape(self.shape(name))[1]
        return torch.nn.functional.pad(found, (0, missing)) if missing else found

    def rest(self, name: str, first: int, last: int, device: torch.device | None = None) -> torch.Tensor | None:
        """What the vector's difference lost on its own base; None for tensors of another size."""
        return None if name in self.cut else self.inner.rest(self._names[name], first, last, device)

    def factors(self, name: str, device: torch.device | None = None) -> Factors | None:
        """Low-rank form; None for tensors of another size."""
        return None if name in self.cut else self.inner.factors(self._names[name], device)


def check_same_tokens(folders: Sequence[Path], rows: int) -> None:
    """Raise MergeError unless the tokenizers of all folders give the first `rows` ids the same tokens."""
    tables = [_tokens(folder) for folder in folders]
    for folder, table in zip(folders[1:], tables[1:], strict=True):
        for number in range(rows):
            if table.get(number) != tables[0].get(number):
                raise MergeError(
                    f"token {number} is {table.get(number)!r} in {folder} and {tables[0].get(number)!r} in "
                    f"{folders[0]}: rows of equal number mean different tokens; set vocabulary: base"
                )


def _tokens(folder: Path) -> dict[int, str]:
    """Id -> token of a folder's tokenizer.json."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise MergeError(
            f"{folder}: no tokenizer.json, so that the vocabularies cannot be compared; set vocabulary: base"
        )
    read = read_object(path)
    try:
        vocabulary = read["model"].get("vocab", {})
        if isinstance(vocabulary, list):
            table = {number: str(entry[0]) for number, entry in enumerate(vocabulary)}
        else:
            table = {int(number): str(token) for token, number in vocabulary.items()}
        return table | {int(each["id"]): str(each["content"]) for each in read.get("added_tokens") or ()}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise MergeError(f"{path}: no tokenizer that can be compared; set vocabulary: base") from problem
