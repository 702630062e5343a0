"""One merge without a study: read a recipe file (ours or mergekit's), fit, measure, write."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from traitgraph import __version__
from traitgraph.runtime.merging.adapter_out import write_adapter
from traitgraph.runtime.merging.composition import Composition
from traitgraph.runtime.merging.on_disk import Output, Progress, write_merges
from traitgraph.runtime.merging.pruned import Cache
from traitgraph.runtime.merging.recipe import resolved_record
from traitgraph.runtime.merging.statistics import Sample, statistics_of, warning
from traitgraph.runtime.store.artifacts import MANIFEST, BadArtifactError, content_faults, read_manifest
from traitgraph.runtime.tensors.checkpoint import (
    Checkpoint,
    CheckpointView,
    MergeError,
    read_object,
    sampled_fingerprint,
)
from traitgraph.runtime.vectors.adapters import doubt_about_base
from traitgraph.runtime.vectors.differences import Difference
from traitgraph.runtime.vectors.extraction import build_vector, compared
from traitgraph.runtime.vectors.fitting import (
    Fit,
    Fitted,
    a_map_would_fit,
    as_named,
    check_same_tokens,
    fit_vectors,
    propose_names,
)
from traitgraph.runtime.vectors.layers import ByName, Gradient, Weight
from traitgraph.runtime.vectors.vectors import load_vector
from traitgraph.specs.fields.context import key_faults
from traitgraph.specs.folders.model_folder import ADAPTER_CONFIG, ModelFolderError, check_adapter, check_weights
from traitgraph.specs.jobs.merge_file import MergeFile, MergeSource
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, error
from traitgraph.specs.source.positions import Document
from traitgraph.specs.source.yaml import read_document
from traitgraph.specs.source.yaml_errors import A_RECIPE, no_recipe, written_by_us

from .mergekit_file import is_mergekit, read_mergekit
from .request import NamedModels, Request, Source, SourceKind, read_as

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
"""What architectures call the number of their layers in config.json."""


@dataclass(frozen=True)
class MergeReport:
    """What a merge did, or in a dry run would do."""

    out: Path | None
    """None in a dry run that names no folder."""
    request: Request
    fit: Fit
    statistics: dict[str, Any] = field(default_factory=dict)
    """Empty in a dry run: measuring reads the vectors."""
    warnings: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The report as plain data."""
        fit = self.fit
        return {
            "out": None if self.out is None else str(self.out),
            "base": self.request.base,
            "method": resolved_record(self.request.options),
            "vectors": [
                {"from": s.where, "kind": s.kind, "alpha": weight_data(s.weight)} for s in self.request.sources
            ],
            "matched": fit.matched,
            "unmatched": fit.unmatched,
            "left_as_in_the_base": [*fit.left, *fit.skipped],
            "rows_in_common": fit.cut,
            "bytes_changed": fit.changed_bytes,
            "bytes_written": fit.total_bytes,
            "statistics": self.statistics,
            "warnings": list(self.warnings),
            "notes": list(self.request.notes),
        }


def merge_from_file(
    recipe: Path | str,
    out: Path | str | None,
    *,
    dry_run: bool = False,
    dtype: str | None = None,
    progress: Progress | None = None,
) -> MergeReport:
    """Do the merge that a file asks for, and write it to a new folder.

    recipe   YAML: a `MergeFile` (see `traitgraph.specs.jobs.merge_file`), or mergekit's with `merge_method`
    out      the folder; it must not exist or be empty; a dry run needs none
    dry_run  read names and shapes only: what matches, what does not, and the bytes; nothing is written
    dtype    number format of the result, in place of the file's

    Raises SpecError with every fault of the file and its place, MergeError when inputs do not fit together, OSError.
    """
    recipe, out = Path(recipe), None if out is None else Path(out)
    with ExitStack() as stack:
        models = NamedModels(recipe, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        request = read_request(recipe, models)
        base = Checkpoint(models.folder(request.base))
        resized: list[dict[str, int]] = []
        vectors = [_difference(request, source, base, models, stack, resized) for source in request.sources]
        policy, names = request.vocabulary, request.names
        fitted, fit = fit_vectors(vectors, base, names=names, vocabulary=policy, resized=resized, dry=dry_run)
        request, doubts = _doubted(request, base, models)
        doubts += _unlike_tokens(request, base, models, fitted)
        if dry_run:
            return MergeReport(out, request, fit, warnings=doubts)
        assert out is not None, "a merge is written to a folder"
        for folder in (models.folder(source.where) for source in request.sources if source.kind == "vector"):
            _check_unaltered(folder)
        return _merge(request, fitted, fit, base, out, dtype or request.dtype, progress, doubts)


def _doubted(request: Request, base: Checkpoint, models: NamedModels) -> tuple[Request, tuple[str, ...]]:
    """The request with what should be known of its adapters' base, and what should be warned of."""
    notes, warnings = list(request.notes), list[str]()
    for source in request.sources:
        if source.kind != "adapter":
            continue
        folder = models.folder(source.where)
        if doubt := doubt_about_base(folder, base.path, adapter_name=source.where, base_name=request.base):
            (notes if doubt.kind == "note" else warnings).append(doubt.text)
        alone = len(request.sources) == 1 and source.weight == 1
        if not alone and read_object(folder / ADAPTER_CONFIG).get("use_dora"):
            warnings.append(
                f"{source.where}: a DoRA adapter, which is not linear: its change is the one that it makes of "
                f"{request.base} at alpha 1, and another one of a fine-tune that it was trained on"
            )
    return replace(request, notes=tuple(notes)), tuple(warnings)


def _merge(
    request: Request,
    vectors: Sequence[Difference],
    fit: Fit,
    base: Checkpoint,
    out: Path,
    dtype: str | None,
    progress: Progress | None,
    doubts: tuple[str, ...],
) -> MergeReport:
    import torch

    composition = Composition(
        vectors,
        [source.weight for source in request.sources],
        request.options,
        densities=[source.density for source in request.sources],
        cache=Cache(),
        base=base.floats,
        base_names=base,
    )
    counts = Counter[str]()
    for info in base.values():
        counts[info.dtype] += info.elements * info.is_float
    number_format = dtype or counts.most_common(1)[0][0]  # the one that most weights of the base have
    statistics = statistics_of(composition, Sample(base, getattr(torch, number_format), composition.names))
    text = warning(statistics["effective_alpha"], number_format, request.options.rounding)
    warnings = (*doubts, text) if text and request.form == "weights" else doubts
    record = {"base_fingerprint": sampled_fingerprint(base), **_record(request, composition, statistics, warnings)}
    output = Output(composition, out, dtype, record)
    if request.form == "adapter":
        record = write_adapter(output, request.rank)
    else:
        write_merges(base, [output], progress=progress)
    return MergeReport(out, request, fit, record["statistics"], tuple(record["warnings"]))


def _record(
    request: Request, composition: Composition, statistics: dict[str, Any], warnings: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "format": 1,
        "traitgraph": __version__,
        "base_name": request.base,
        "sources": [source.where for source in request.sources],
        "coefficients": [weight_data(source.weight) for source in request.sources],
        "densities": [weight_data(source.density) for source in request.sources],
        "resolved": resolved_record(request.options),
        "vectors": [{"fingerprint": vector.id} for vector in composition.vectors],
        "names": dict(request.names or {}),
        "vocabulary": request.vocabulary,
        "statistics": statistics,
        "warnings": list(warnings),
        "notes": list(request.notes),
    }


def weight_data(weight: Weight | None) -> Any:
    """A coefficient as plain data: a number, a list over layers, pairs of a text and one of these, or None."""
    if isinstance(weight, Gradient):
        return list(weight.values)
    if isinstance(weight, ByName):
        return [[text, weight_data(value)] for text, value in weight.choices]
    return weight


# ---------------------------------------------------------------- sources


def _difference(
    request: Request,
    source: Source,
    base: Checkpoint,
    models: NamedModels,
    stack: ExitStack,
    resized: list[dict[str, int]],
) -> Difference:
    """The vector of a source, under its own names; an adapter's is made in a temporary folder, a model's when read.

    `resized` gets the tables of which it changes some rows only, because the vocabularies differ.
    """
    where = models.folder(source.where)
    if source.kind == "vector":
        return load_vector(where)
    start = as_named(base, request.names) if request.names else base
    if source.kind == "adapter":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        resized += build_vector(where, start, folder, vocabulary=request.vocabulary)
        return load_vector(folder)
    tuned = Checkpoint(where)
    if source.of is not None:
        start = Checkpoint(models.folder(source.of))
    elif any(name not in start for name in tuned) and (names := propose_names(list(tuned), base)):
        raise MergeError(f"{where} has other names than {base.path}; {a_map_would_fit(names)}")
    elif request.names and all(name in start for name in tuned):  # a part of the base, as the map says
        start = CheckpointView(start, {name: name for name in tuned})
    difference, rows = compared(start, tuned, request.vocabulary)
    resized.append(rows)
    return difference


def _unlike_tokens(
    request: Request, base: Checkpoint, models: NamedModels, fitted: Sequence[Difference]
) -> tuple[str, ...]:
    """Rows of the base and of what a vector was tuned from must mean the same tokens: which vectors do not tell."""
    silent = []
    for source, vector in zip(request.sources, fitted, strict=True):
        if not isinstance(vector, Fitted) or not vector.cut:
            continue
        rows = max(vector.cut.values())
        if source.of:
            check_same_tokens([base.path, models.folder(source.of)], rows)
        else:
            silent.append(
                f"{source.where}: a vector has no tokenizer, so nothing says whether its first {rows} rows mean the "
                "base's tokens; set vocabulary: base where they do not"
            )
    return tuple(silent)


def _check_unaltered(folder: Path) -> None:
    """Raise MergeError where a vector of a store is not what its job wrote; one that has no manifest is its owner's."""
    if not (folder / MANIFEST).is_file():
        return
    try:
        faults = content_faults(folder, read_manifest(folder))
    except BadArtifactError as fault:
        faults = [str(fault)]
    if faults:
        raise MergeError(f"{folder}: not what its job wrote ({faults[0]}); run the study again, which makes it again")


# ---------------------------------------------------------------- files


def read_request(path: Path, models: NamedModels) -> Request:
    """The merge that a file asks for; a base that is a preset of a hub model goes by its id.

    Raises SpecError with every fault of the file.
    """
    document, found = read_document(path)
    found += key_faults(document) if document else []
    other = written_by_us(path, A_RECIPE) or (document and no_recipe(document))
    if document is None or other or found:
        raise SpecError([other] if other else found)
    if is_mergekit(document):
        request = read_mergekit(document, lambda model: layers_of_model(models.folder(model)))
    else:
        request = _own_request(document)
    if lost := _lost_models(document, request, models):
        raise SpecError(lost)
    named = (request.base, *(name for each in request.sources for name in (each.where, each.of) if name))
    notes = request.notes
    if folders := dict.fromkeys(name for name in named if models.hides_hub(name)):
        notes = (
            *notes,
            f"folders beside the recipe, and not of the hub: {', '.join(folders)} (say so: ./{next(iter(folders))})",
        )
    return replace(request, base=models.plain(request.base), notes=notes)


def _lost_models(document: Document, request: Request, models: NamedModels) -> list[Diagnostic]:
    """A fault for each model, adapter and vector that a file names and that is nowhere, or is no such thing."""
    kinds = {request.base: "model", **{source.of: "model" for source in request.sources if source.of}}
    kinds |= {source.where: source.kind for source in request.sources}
    faults = [(name, fault) for name, kind in kinds.items() if (fault := _fault_of(name, kind, models))]
    return [
        error(code, message, document.value_span(path), hint=hint)
        for name, (code, message, hint) in faults
        for path in _paths_to(name, document.data)
    ]


def _fault_of(name: str, kind: str, models: NamedModels) -> tuple[str, str, str | None] | None:
    """Code, message and repair."""
    if models.is_nowhere(name):
        return "TG108", f"there is no file or folder '{name}'", models.repair(name)
    if kind == "vector" or (path := models.local(name)) is None or path.is_file():
        return None
    try:
        (check_adapter if kind == "adapter" else check_weights)(path)
    except ModelFolderError as fault:
        return "TG216", f"'{name}' {fault.reason}", fault.repair
    return None


def _paths_to(name: str, data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a name stands in a file; mergekit writes an adapter behind its base, `base+adapter`."""
    if isinstance(data, str) and name in (data, *data.split("+")):
        yield path
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in entries:
        yield from _paths_to(name, value, (*path, step))


def _own_request(document: Document) -> Request:
    file = read_as(MergeFile, document)
    return Request(
        base=file.base,
        sources=tuple(_source(each) for each in file.vectors),
        options=file.method,
        names=file.names,
        vocabulary=file.vocabulary,
        dtype=file.dtype,
        form=file.write,
        rank=file.rank,
    )


def _source(each: MergeSource) -> Source:
    kinds: dict[SourceKind, str | None] = {"model": each.model, "adapter": each.adapter, "vector": each.vector}
    kind, where = next((kind, where) for kind, where in kinds.items() if where is not None)
    return Source(kind, where, _over_layers(each.alpha), _over_layers(each.density) if each.density else None, each.of)


def _over_layers(values: tuple[float, ...]) -> Weight:
    return values[0] if len(values) == 1 else Gradient(values)


def layers_of_model(folder: Path) -> int:
    """Number of layers that a model's configuration states. Raises MergeError when it states none."""
    config = read_object(folder / "config.json")
    parts = [part for part in (config, config.get("text_config")) if isinstance(part, dict)]
    found = (part.get(name) for part in parts for name in LAYERS)
    if (layers := next((each for each in found if isinstance(each, int)), None)) is None:
        raise MergeError(f"{folder / 'config.json'}: `num_hidden_layers` is not a number: how many layers are there?")
    return layers
