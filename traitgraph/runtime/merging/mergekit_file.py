"""Read mergekit's YAML where it means the same here; name what does not.

Read: models or one slice over all layers, merge_method (see `METHODS`), base_model, weight, density, t (numbers,
gradients over layers, filters by name), lambda, normalize, rescale, gamma, epsilon, dtype, out_dtype. Everything is
done under `conventions: mergekit`; the arithmetic is float32 whatever `dtype` says, and random masks are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, ValidationError

from traitgraph.specs.axes import shown
from traitgraph.specs.diagnostics import Diagnostic, SpecError, error, near_names
from traitgraph.specs.document import Document, Step
from traitgraph.specs.faults import validated
from traitgraph.specs.freeze import frozen
from traitgraph.specs.messages import diagnose
from traitgraph.specs.spec import Spec

from .errors import MergeError
from .layers import ByName, Gradient, Weight, values_of
from .options import merge_options
from .request import Request, Source

METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "task_arithmetic": ("task_arithmetic", {}),
    "ties": ("ties", {}),
    "dare_linear": ("dare", {}),
    "dare_ties": ("dare_ties", {}),
    "breadcrumbs": ("breadcrumbs", {}),
    "breadcrumbs_ties": ("breadcrumbs", {"elect": "mass"}),
    "della": ("della", {}),
    "della_linear": ("della_linear", {}),
    "linear": ("linear", {}),
    "slerp": ("slerp", {}),
}
"""mergekit's method -> ours, with the options that make it the same."""
PARAMETERS = ("weight", "density", "t", "lambda", "normalize", "rescale", "gamma", "epsilon", "int8_mask")
_ELECT = ("ties", "dare_ties", "breadcrumbs_ties", "della")
_SPARSE = ("ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear")
_RANDOM = ("dare_linear", "dare_ties", "della", "della_linear")
_CODE = "TG140"

Parameters = dict[str, Any]
Place = tuple[Step, ...]


class Input(Spec):
    """One model of a mergekit file."""

    model: str = Field(description="Folder, hub id, or model+adapter.")
    parameters: Parameters | None = Field(None, description="Parameters of this model.")
    layer_range: tuple[int, ...] | None = Field(
        None, min_length=2, max_length=2, description="First layer, and the one after the last."
    )


class Slice(Spec):
    """Layers of the output and where they come from."""

    sources: tuple[Input, ...] = Field(min_length=1, description="Models of the slice.")
    base_model: str | None = Field(None, description="Base of this slice.")
    parameters: Parameters | None = Field(None, description="Parameters of this slice.")


class MergekitFile(Spec):
    """A mergekit configuration, as far as it is read here."""

    merge_method: str = Field(description="Name of the method.")
    base_model: str | None = Field(None, description="What differences are taken from.")
    models: tuple[Input, ...] | None = Field(None, description="Models to merge.")
    slices: tuple[Slice, ...] | None = Field(None, description="Layers of the output.")
    parameters: Parameters | None = Field(None, description="Parameters for all models.")
    dtype: Literal["float32", "bfloat16", "float16"] | None = Field(None, description="Number format.")
    out_dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        None, description="Number format of the result."
    )
    tokenizer_source: str | None = Field(None, description="Whose tokenizer the result has.")
    tokenizer: Parameters | None = Field(None, description="How the tokenizer is built.")
    chat_template: str | None = Field(None, description="Chat template of the result.")
    modules: Parameters | None = Field(None, description="Parts of a model with several.")
    name: str | None = Field(None, description="A name for people.")


def is_mergekit(document: Document) -> bool:
    """Whether a file is mergekit's: it names its method `merge_method`."""
    return "merge_method" in document.data


def read_mergekit(document: Document, layers_of: Callable[[str], int]) -> Request:
    """The request that a mergekit file means. Raises SpecError with everything in it that means something else here.

    `layers_of` gives the number of layers of a model by its name in the file: a slice over all of them is the model.
    """
    data = frozen(document.data)
    assert isinstance(data, dict), "a document is a mapping"
    try:
        file = validated(MergekitFile, data)
    except ValidationError as problems:
        raise SpecError(diagnose(problems, data, document)) from problems
    reader = _Reader(document, file, layers_of)
    request = reader.request()
    if request is None:
        raise SpecError(reader.found)
    return request


class _Reader:
    """Turns a file into a request, and gathers what it cannot turn."""

    def __init__(self, document: Document, file: MergekitFile, layers_of: Callable[[str], int]) -> None:
        self.document, self.file, self.layers_of = document, file, layers_of
        self.found: list[Diagnostic] = []
        self.shared = file.parameters or {}
        self.inputs = self._inputs()

    def request(self) -> Request | None:
        self._refuse_other_meanings()
        if self.file.merge_method not in METHODS:
            known = "read are: " + ", ".join(METHODS)
            self._refuse(("merge_method",), f"merge method '{self.file.merge_method}' is not read here", known)
            return None
        if self.found:
            return None
        kind, options = METHODS[self.file.merge_method]
        base, chosen = self._base(), None
        sources, all_options = self._sources(base), {**options, **self._options()}
        try:
            chosen = merge_options(kind, {"conventions": "mergekit", **all_options})
        except MergeError as problem:
            self._refuse(("parameters",), str(problem))
        if self.found or chosen is None:
            return None
        notes = ("read as mergekit's, under conventions: mergekit; the arithmetic is float32, random masks are ours",)
        dtype = self.file.out_dtype or self.file.dtype
        return Request(base, sources, chosen, dtype=dtype, notes=notes)

    # ---------------------------------------------------------------- what means something else

    def _refuse_other_meanings(self) -> None:
        base = (None, "base", self.file.base_model)
        if self.file.tokenizer_source not in base:
            self._refuse(("tokenizer_source",), "only the base's tokenizer is kept", "set it to base, or drop it")
        if self.file.tokenizer not in (None, *({"source": name} for name in base)):
            what = "tokenizers are not built here: the base's is kept"
            self._refuse(("tokenizer",), what, "set it to {source: base}, or drop it")
        for key, reason in (
            ("modules", "several modules in one file are not read"),
            ("chat_template", "chat templates are not replaced here: the base's is kept"),
        ):
            if getattr(self.file, key) is not None:
                self._refuse((key,), reason, "drop it, or use mergekit for this merge")
        for path, parameters in [((), self.shared), *((path, each.parameters or {}) for path, each in self.inputs)]:
            for key in parameters:
                if key not in PARAMETERS:
                    near = near_names(key, PARAMETERS)
                    hint = f"near: {', '.join(near)}" if near else "there are: " + ", ".join(PARAMETERS)
                    self._refuse((*path, "parameters", key), f"unknown parameter '{key}'", hint)

    def _inputs(self) -> list[tuple[Place, Input]]:
        """The models of the file with their place: `models`, or the sources of one slice over all layers."""
        if self.file.models:
            return [(("models", place), each) for place, each in enumerate(self.file.models)]
        if self.file.slices and len(self.file.slices) == 1:
            (one,) = self.file.slices
            self.shared = {**self.shared, **(one.parameters or {})}
            found: list[tuple[Place, Input]] = [
                (("slices", 0, "sources", place), each) for place, each in enumerate(one.sources)
            ]
            for path, each in found:
                self._check_whole(path, each)
            return found
        message = "layers of several slices are not put together here" if self.file.slices else "`models` is missing"
        self._refuse(("slices",) if self.file.slices else (), message, "give `models`, or one slice over all layers")
        return []

    def _check_whole(self, path: Place, each: Input) -> None:
        layers = self.layers_of(each.model.partition("+")[0])
        if each.layer_range not in (None, (0, layers)):
            self._refuse((*path, "layer_range"), f"not the whole model, [0, {layers}]: layers are not cut here")

    # ---------------------------------------------------------------- models and values

    def _base(self) -> str:
        slices = self.file.slices or ()
        named = self.file.base_model or next((each.base_model for each in slices if each.base_model), None)
        if named is None and self.file.merge_method != "linear":
            self._refuse(("merge_method",), f"`base_model` is missing: {self.file.merge_method} works on differences")
        return named or self.inputs[0][1].model

    def _sources(self, base: str) -> tuple[Source, ...]:
        key = "t" if self.file.merge_method == "slerp" else "weight"
        sources = []
        for path, each in self.inputs:
            if each.model == base and self.file.merge_method != "linear":
                continue
            where, is_adapter = self._adapter(path, each.model, base)
            weight, density = self._weight(path, each, key), self._density(path, each)
            sources.append(Source("adapter" if is_adapter else "model", where, weight, density))
        return tuple(sources)

    def _adapter(self, path: Place, model: str, base: str) -> tuple[str, bool]:
        """`model+adapter` is an adapter of that model, which must then be the base."""
        first, plus, adapter = model.partition("+")
        if plus and first != base:
            self._refuse(
                (*path, "model"), f"an adapter of '{first}', which is not the base", "merge it into its base first"
            )
        return (adapter, True) if plus else (model, False)

    def _value(self, path: Place, each: Input, key: str) -> tuple[Place, Any]:
        """A parameter of a model, or else that of all models, with its place."""
        if each.parameters and key in each.parameters:
            return (*path, "parameters", key), each.parameters[key]
        return ("parameters", key), self.shared.get(key)

    def _number(self, path: Place, each: Input, key: str) -> float | None:
        where, value = self._value(path, each, key)
        if value is None or _is_number(value):
            return None if value is None else float(value)
        self._refuse(where, f"`{key}` is one number here: gradients and filters are read for weight, density and t")
        return None

    def _weight(self, path: Place, each: Input, key: str) -> Weight:
        where, value = self._value(path, each, key)
        if value is not None:
            return self._varied(where, value)
        self._refuse((*path, "model"), f"the parameter `{key}` is missing", f"give parameters: {{{key}: ...}}")
        return 0.0

    def _density(self, path: Place, each: Input) -> Weight | None:
        where, value = self._value(path, each, "density")
        if value is None:
            return None
        density = self._varied(where, value)
        if any(not 0 <= one <= 1 for one in values_of(density)):
            self._refuse(where, "a density is a share: it lies between 0 and 1")
        return density

    def _varied(self, where: Place, value: Any) -> Weight:
        """A number, a gradient over the layers, or a list of filters."""
        choices = (value,) if isinstance(value, Mapping) else value
        if isinstance(choices, Sequence) and choices and all(isinstance(choice, Mapping) for choice in choices):
            return self._by_name(where, choices)
        return self._plain(where, value)

    def _by_name(self, where: Place, choices: Sequence[Mapping[str, Any]]) -> Weight:
        texts = ["" if choice.get("filter") in (None, "*") else str(choice["filter"]) for choice in choices]
        if all(texts):
            self._refuse(where, "tensors that no filter finds have no value", "end with an entry that has no filter")
        return ByName(tuple((text, self._plain(where, c.get("value"))) for text, c in zip(texts, choices, strict=True)))

    def _plain(self, where: Place, value: Any) -> float | Gradient:
        if _is_number(value):
            return float(value)
        if isinstance(value, Sequence) and value and all(_is_number(each) for each in value):
            return Gradient(tuple(float(each) for each in value), outside="first")
        self._refuse(where, f"`{shown(value)}` is no number, no list of numbers and no list of filters")
        return 0.0

    # ---------------------------------------------------------------- options of the method

    def _options(self) -> dict[str, Any]:
        method = self.file.merge_method
        options: dict[str, Any] = {}
        if "lambda" in self.shared:
            options["scale"] = self._lambda()
        if "normalize" in self.shared:
            wanted = bool(self.shared["normalize"])
            options |= {"mean": "weight" if wanted else "sum"} if method in _ELECT else {"normalise": wanted}
        if method in _RANDOM and self.shared.get("rescale") is False:
            options["rescale"] = "none"
        if method not in _RANDOM and self.shared.get("rescale"):
            self._refuse(("parameters", "rescale"), f"{method} has no rescaled form here")
        if method in _SPARSE:
            options["density"] = 1.0  # mergekit's default; models carry their own
        for theirs, ours in (("gamma", "outliers"), ("epsilon", "epsilon")):
            options |= self._same_for_all(theirs, ours)
        return options

    def _lambda(self) -> Any:
        value = self.shared["lambda"]
        if not _is_number(value):
            self._refuse(("parameters", "lambda"), "`lambda` is one number, for all models")
            return 1.0
        return value

    def _same_for_all(self, theirs: str, ours: str) -> dict[str, float | None]:
        values = {self._number(path, each, theirs) for path, each in self.inputs} - {None}
        if len(values) > 1:
            self._refuse(self.inputs[0][0], f"`{theirs}` differs between models: one for all of them is needed")
        return {ours: values.pop()} if values else {}

    def _refuse(self, path: Place, message: str, hint: str | None = None) -> None:
        span = self.document.value_span(path)
        self.found.append(error(_CODE, message, span, ".".join(str(step) for step in path), hint))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
