"""Read mergekit's YAML where it means the same here; name what does not.

Read: models or one slice over all layers, merge_method (see `METHODS`), base_model, weight, density, t (numbers,
gradients over layers, filters by name), lambda, normalize, rescale, gamma, epsilon (one value each), dtype, out_dtype.
Everything is done under `conventions: mergekit`; the arithmetic is float32 whatever `dtype` says, and random masks are
ours. What mergekit would not use is refused: whoever wrote it expects an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from traitgraph.runtime.merging.methods import merge_options
from traitgraph.runtime.tensors.checkpoint import MergeError
from traitgraph.runtime.vectors.layers import ByName, Gradient, Weight, values_of
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.wording import shown
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, error, near_hint
from traitgraph.specs.source.positions import Document, Step

from .request import Request, Source, read_as

METHODS: Mapping[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "task_arithmetic": ("task_arithmetic", {}, ("weight",)),
    "ties": ("ties", {}, ("weight", "density")),
    "dare_linear": ("dare", {}, ("weight", "density")),
    "dare_ties": ("dare_ties", {}, ("weight", "density")),
    "breadcrumbs": ("breadcrumbs", {}, ("weight", "density", "gamma")),
    "breadcrumbs_ties": ("breadcrumbs", {"elect": "mass"}, ("weight", "density", "gamma")),
    "della": ("della", {}, ("weight", "density", "epsilon")),
    "della_linear": ("della_linear", {}, ("weight", "density", "epsilon")),
    "linear": ("linear", {}, ("weight",)),
    "slerp": ("slerp", {}, ()),
}
"""mergekit's method -> ours, the options that make it the same, the parameters that each model or all models have."""

_OF_THE_MERGE = ("lambda", "normalize", "rescale", "int8_mask")

_KNOWN = (*_OF_THE_MERGE, "weight", "density", "t", "gamma", "epsilon")
_DEFAULTS = {"gamma": 0.01, "epsilon": 0.15}
_ELECT = ("ties", "dare_ties", "breadcrumbs_ties", "della")
_RANDOM = ("dare_linear", "dare_ties", "della", "della_linear")
_CODE = "TG140"
_TRUTH = TypeAdapter(bool)
"""mergekit's own reading of a truth value: 0, 1, no, yes and the like as well."""

NumberFormat = Literal["float32", "bfloat16", "float16"]
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
    dtype: NumberFormat | None = Field(None, description="Number format.")
    out_dtype: NumberFormat | None = Field(None, description="Number format of the result.")
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
    return _Reader(document, read_as(MergekitFile, document), layers_of).request()


class _Reader:
    """Turns a file into a request, and gathers what it cannot turn."""

    def __init__(self, document: Document, file: MergekitFile, layers_of: Callable[[str], int]) -> None:
        self.document, self.file, self.layers_of = document, file, layers_of
        self.found: list[Diagnostic] = []
        self.method = file.merge_method
        self.of_the_merge = {"linear": ("normalize",), "slerp": ("t",)}.get(self.method, _OF_THE_MERGE)
        self.kind, self.fixed, self.of_a_model = METHODS.get(self.method, ("", {}, ()))
        self.shared: dict[str, tuple[Place, Any]] = {}
        slices = [(("slices", place), each.parameters) for place, each in enumerate(file.slices or ())]
        for path, parameters in (((), file.parameters), *slices):
            self.shared |= {key: ((*path, "parameters", key), value) for key, value in (parameters or {}).items()}
        self.inputs = self._inputs()
        self.base = self._base()

    def request(self) -> Request:
        if self.method in METHODS:
            self._refuse_other_meanings()
        else:
            what = f"merge method '{self.method}' is not read here"
            self._refuse(("merge_method",), what, "read are: " + ", ".join(METHODS))
        if self.found:
            raise SpecError(self.found)
        sources, options = self._sources(), {**self.fixed, **self._options()}
        try:
            chosen = merge_options(self.kind, {"conventions": "mergekit", **options})
        except MergeError as problem:
            named = (self.shared[key][0] for key in _DEFAULTS if key in self.shared)
            self._refuse(next(named, ("parameters",)), str(problem))
        if self.found:
            raise SpecError(self.found)
        notes = ("read as mergekit's, under conventions: mergekit; the arithmetic is float32, random masks are ours",)
        dtype = self.file.out_dtype or self.file.dtype
        return Request(self.base, sources, chosen, dtype=dtype, notes=notes)

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
        for key, (where, _) in self.shared.items():
            self._refuse_idle(where, key, (*self.of_the_merge, *self.of_a_model))
        for path, each in self.inputs:
            idle_base = each.model == self.base and self.method != "linear"
            for key in each.parameters or {}:
                where = (*path, "parameters", key)
                if idle_base and key in self.of_a_model:
                    self._refuse(where, f"mergekit does not use `{key}` of the base model", "drop it")
                elif key in self.of_the_merge:
                    hint = "give it under `parameters` of the file"
                    self._refuse(where, f"`{key}` is for the whole merge: mergekit does not use it here", hint)
                else:
                    self._refuse_idle(where, key, self.of_a_model)

    def _refuse_idle(self, where: Place, key: str, used: Sequence[str]) -> None:
        if key not in used:
            what = f"{self.method} does not use `{key}`" if key in _KNOWN else f"unknown parameter '{key}'"
            self._refuse(where, what, near_hint(key, sorted(used)))

    def _inputs(self) -> list[tuple[Place, Input]]:
        """The models of the file with their place: `models`, or the sources of one slice over all layers."""
        models, slices = self.file.models or (), self.file.slices or ()
        found: list[tuple[Place, Input]] = [(("models", place), each) for place, each in enumerate(models)]
        for one in slices:
            found += ((("slices", 0, "sources", place), each) for place, each in enumerate(one.sources))
        fault = "layers of several slices are not put together here" if len(slices) > 1 else ""
        fault = "`models` and `slices` exclude each other" if models and slices else fault
        if fault := fault if found else "`models` is missing":
            self._refuse(("slices",) if slices else (), fault, "give `models`, or one slice over all layers")
            return []
        known = set[str]()
        for path, each in found:
            if each.layer_range and each.layer_range != (0, layers := self.layers_of(each.model.partition("+")[0])):
                self._refuse((*path, "layer_range"), f"not the whole model, [0, {layers}]: layers are not cut here")
            if each.model in known:
                self._refuse((*path, "model"), f"'{each.model}' stands twice: mergekit refuses that")
            known.add(each.model)
        return found

    # ---------------------------------------------------------------- models and values

    def _base(self) -> str:
        own = [(("slices", 0, "base_model"), each.base_model) for each in self.file.slices or ()]
        given = [(path, name) for path, name in (*own, (("base_model",), self.file.base_model)) if name]
        if not given and self.method in METHODS and self.method != "linear":
            self._refuse(("merge_method",), f"`base_model` is missing: {self.method} works on differences")
        path, base = (*given, *(((*path, "model"), each.model) for path, each in self.inputs), ((), ""))[0]
        if "+" in base:
            what = f"an adapter on the base is not read: '{base}' is a model with one"
            self._refuse(path, what, "merge it into its model first, and name the merged model")
        others = [each.model for _, each in self.inputs if each.model != base]
        if given and self.method == "linear" and len(others) == len(self.inputs):
            what = "mergekit takes the base model into the mean as well, with a weight of its own"
            self._refuse(path, what, "list it under `models` with its weight, or drop it")
        if self.method == "slerp" and len(others) != 1 and self.inputs:
            what = f"slerp goes from the base model to one other, and {len(others)} are given"
            self._refuse(self.inputs[0][0][:-1], what, "name the base and one model")
        return base

    def _sources(self) -> tuple[Source, ...]:
        sources = []
        for path, each in self.inputs:
            if each.model == self.base and self.method != "linear":
                continue
            first, plus, adapter = each.model.partition("+")  # an adapter of a model, which must then be the base
            if plus and first != self.base:
                what = f"an adapter of '{first}', which is not the base"
                self._refuse((*path, "model"), what, "merge it into its base first")
            key = "t" if self.method == "slerp" else "weight"
            weight, density = self._varied(path, each, key), self._varied(path, each, "density")
            if weight is None:
                self._refuse((*path, "model"), f"the parameter `{key}` is missing", f"give parameters: {{{key}: ...}}")
            if density is not None and any(not 0 <= one <= 1 for one in values_of(density)):
                where, _ = self._value(path, each, "density")
                self._refuse(where, "a density is a share: it lies between 0 and 1")
            sources.append(Source("adapter" if plus else "model", adapter if plus else first, weight or 0.0, density))
        if self.method == "linear" and not any(any(values_of(each.weight)) for each in sources):
            what = "a mean of models whose weights are all 0: mergekit writes no model of it, but zeros or NaN"
            self._refuse(self.inputs[0][0][:-1], what, "give a weight that is not 0")
        return tuple(sources)

    def _value(self, path: Place, each: Input, key: str) -> tuple[Place, Any]:
        """A parameter of a model, or else that of all models, with its place."""
        if each.parameters and key in each.parameters:
            return (*path, "parameters", key), each.parameters[key]
        return self.shared.get(key, (("parameters", key), None))

    def _varied(self, path: Place, each: Input, key: str) -> Weight | None:
        """A parameter that is a number, a gradient over the layers, or a list of filters; None where it is absent."""
        where, value = self._value(path, each, key)
        if value is None:
            return None
        if not (choices := _filters(value)):
            return self._plain(where, value)
        if odd := next((key for choice in choices for key in choice if key not in ("filter", "value")), None):
            self._refuse(where, f"unknown key `{odd}` beside `filter` and `value`")
        texts = ["" if choice.get("filter") in (None, "*") else str(choice["filter"]) for choice in choices]
        if all(texts):
            self._refuse(where, "tensors that no filter finds have no value", "end with an entry that has no filter")
        return ByName(tuple((text, self._plain(where, c.get("value"))) for text, c in zip(texts, choices, strict=True)))

    def _plain(self, where: Place, value: Any) -> float | Gradient:
        if _is_number(value):
            return float(value)
        if isinstance(value, Sequence) and value and all(_is_number(each) for each in value):
            return Gradient(tuple(float(each) for each in value), outside="first")
        self._refuse(where, f"`{shown(value)}` is not a number, a list of numbers or a list of filters")
        return 0.0

    # ---------------------------------------------------------------- options of the method

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if "lambda" in self.shared:
            where, value = self.shared["lambda"]
            if not _is_number(value):
                self._refuse(where, "`lambda` is one number, for all models")
            else:
                options["scale"] = value
        normalize, rescale = self._truth("normalize"), self._truth("rescale")
        self._truth("int8_mask")  # how mergekit stores its masks: it changes no value
        if normalize is not None:
            how = {"mean": "weight" if normalize else "sum"}
            options |= how if self.method in _ELECT else {"normalise": normalize}
        if self.method in _RANDOM and rescale is False:
            options["rescale"] = "none"
        if self.method not in _RANDOM and rescale:
            self._refuse(self.shared["rescale"][0], f"{self.method} has no rescaled form here")
        if "density" in self.of_a_model:
            options["density"] = 1.0  # mergekit's default; models carry their own
        for theirs, ours in (("gamma", "outliers"), ("epsilon", "epsilon")):
            if theirs in self.of_a_model:
                options[ours] = self._same_for_all(theirs)
        return options

    def _truth(self, key: str) -> bool | None:
        """A truth value, which mergekit also reads by layer and by filter; None where it is absent."""
        if key not in self.shared:
            return None
        where, value = self.shared[key]
        if choices := _filters(value):
            # Where no filter finds a tensor, the method's default holds: that is no one value.
            is_partial = all(each.get("filter") not in (None, "", "*") for each in choices)
            value = [each.get("value") for each in choices] + [None] * is_partial
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        try:
            found = {_TRUTH.validate_python(each) for each in values}
        except ValidationError:
            found = set()
        if len(found) == 1:
            return found.pop()
        self._refuse(where, f"`{key}` is one truth value here, for all tensors", "give true or false")
        return None

    def _same_for_all(self, key: str) -> float | None:
        """One value for all models; a model without one has mergekit's default."""
        values: dict[float | None, Place] = {}
        for path, each in self.inputs:
            if each.model == self.base:
                continue
            where, value = self._value(path, each, key)
            if value is None:
                where, value = (*path, "model"), _DEFAULTS[key]
            elif not _is_number(value):
                what = f"`{key}` is one number here: gradients and filters are read for weight, density and t"
                self._refuse(where, what)
                value = None
            values.setdefault(None if value is None else float(value), where)
        if len(values) > 1:
            what = f"`{key}` differs between models ({_DEFAULTS[key]:g} where it is absent): one is needed"
            self._refuse(max(list(values.values())[:2], key=len), what)
        return next(iter(values), None)

    def _refuse(self, path: Place, message: str, hint: str | None = None) -> None:
        span = self.document.value_span(path)
        self.found.append(error(_CODE, message, span, ".".join(str(step) for step in path), hint))


def _filters(value: Any) -> Sequence[Mapping[str, Any]]:
    """The choices by filter that a value is, none where it is anything else."""
    choices = (value,) if isinstance(value, Mapping) else value
    is_list = isinstance(choices, Sequence) and all(isinstance(each, Mapping) for each in choices)
    return choices if is_list else ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
