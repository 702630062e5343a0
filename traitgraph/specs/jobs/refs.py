"""What jobs name in place of what a study writes: models, data, judges and benchmarks.

Paths are replaced by digests of content, models and data by references to a revision or a digest. A benchmark or judge
carries the fields of its written form, for every kind alike; which fields a kind has is said once, in
`specs/study/benchmarks.py` and `specs/study/judges.py`.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.folders.tables import Table
from traitgraph.specs.source.library import DIGEST
from traitgraph.specs.study.analyses import ANALYSES
from traitgraph.specs.study.benchmarks import BENCHMARKS, Measured
from traitgraph.specs.study.data import Form
from traitgraph.specs.study.forms import Forms
from traitgraph.specs.study.judges import key_name, limits_name

Digest = Annotated[str, Field(pattern=DIGEST, description="BLAKE2b-128 of the content, 32 hex digits.")]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16"], Field(description="Number format of the loaded base weights.")
]


class HubModel(Spec):
    """A model of the hub at a revision."""

    kind: Literal["hub"] = "hub"
    id: str = Field(description="Owner and name on the hub.")
    revision: str = Field(description="Commit, tag or branch; only a commit pins the weights.")
    dtype: Dtype = "bfloat16"
    trust_remote_code: bool = Field(False, description="Run the Python files of the model's repository.")


class FolderModel(Spec):
    """A folder that transformers loads, named by the digest of its files."""

    kind: Literal["folder"] = "folder"
    digest: Digest
    dtype: Dtype = "float32"
    trust_remote_code: bool = Field(False, description="Run the Python files in the folder.")


class GgufModel(Spec):
    """One GGUF file, named by its digest; a `prepare` job turns it into a folder."""

    kind: Literal["gguf"] = "gguf"
    digest: Digest
    dtype: Dtype = "float32"


ModelRef = Annotated[HubModel | FolderModel | GgufModel, Field(discriminator="kind")]


class FileData(Spec):
    """Dialogue rows of a local file or saved data set, named by the digest of its content."""

    kind: Literal["file"] = "file"
    digest: Digest
    fields: dict[str, str] = Field(
        default_factory=dict, description="Our field (prompt, reply, trait, level, split, pair) -> the file's field."
    )
    form: Form | None = Field(None, description="Form of the rows; absent: recognised row by row.")
    levels: dict[str, float] | None = Field(None, description="Position of each level; absent: high 1, low -1.")
    table: Table | None = Field(None, description="How the rows are written; absent: JSON.")


class HubData(Spec):
    """Dialogue rows of a data set on the hub."""

    kind: Literal["hub"] = "hub"
    id: str = Field(description="Owner and name on the hub.")
    revision: str = Field(description="Commit, tag or branch.")
    config: str | None = Field(None, description="Configuration of the data set.")
    split: str = Field("train", description="Split that is read.")
    fields: dict[str, str] = Field(default_factory=dict, description="Our field -> the data set's field.")
    form: Form | None = Field(None, description="Form of the rows; absent: recognised row by row.")
    levels: dict[str, float] | None = Field(None, description="Position of each level; absent: high 1, low -1.")


class GeneratedData(Spec):
    """Dialogue rows that `generate` jobs make; they are inputs, one artifact per trait and level.

    The input is `data`, for demonstrations in a prompt `examples`.
    """

    kind: Literal["generated"] = "generated"
    levels: dict[str, float] | None = Field(None, description="Position of each level; absent: high 1, low -1.")


DataRef = Annotated[FileData | HubData | GeneratedData, Field(discriminator="kind")]

PLUGIN = "plugin"
"""Kind of every benchmark of another package; its own stands in the field `benchmark`."""

OF_PACKAGES: Mapping[str, object] = {"benchmark": "", "options": {}, "files": {}, "data": None}
"""What a job carries of a benchmark of another package, and its value where a row leaves it out.

benchmark   the kind as a spec writes it
options     every other field that is given
files       field that names a file or folder -> digest of its content
data        dialogues, where it has a field `data`
judge       who rates, where it has a field `judge` and that is given
"""


class _Carried(Spec, extra="allow"):
    """Fields that depend on the kind."""

    kind: str

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A field of this kind."""


class ResolvedJudge(_Carried):
    """Who rates answers. What it needs on a machine (its key) stands in the job table's locations, never here."""

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, value: Any) -> Any:
        model = value.get("model")
        return {**value, "model": _read("model", model)} if isinstance(model, Mapping) else value

    @property
    def key_name(self) -> str:
        """Under which name the locations of a job table say where the key of an interface lies."""
        return key_name(self.url, self.model)

    @property
    def limits_name(self) -> str:
        """Under which name they say how long and how much is read, where it is not the default."""
        return limits_name(self.url, self.model)


class ResolvedBenchmark(_Carried):
    """What a subject is measured with: `benchmark.items`, or `benchmark.options["question"]` of another package."""

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """Every field of the kind, in its order, with references read; raises ValueError for what the kind has not."""
        if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
            return value
        kind = value["kind"]
        if kind != PLUGIN and kind not in BENCHMARKS.builtin | ANALYSES.builtin:
            raise ValueError(f"no benchmark '{kind}' of ours")
        fields = {**OF_PACKAGES, **({"judge": None} if "judge" in value else {})}  # field -> where a row leaves it out
        if kind != PLUGIN:
            form = written_form(kind)
            given = {name: field.default for name, field in form.model_fields.items() if not field.is_required()}
            fields = {name: given.get(name) for name in form.in_jobs}
        if unknown := value.keys() - fields.keys() - {"kind"}:
            raise ValueError(f"benchmark '{kind}' has no {', '.join(sorted(unknown))}")
        return {"kind": kind, **{name: _read(name, value.get(name, default)) for name, default in fields.items()}}

    @property
    def written(self) -> str:
        """The kind as a spec writes it."""
        return str(self.benchmark) if self.kind == PLUGIN else self.kind


def written_form(kind: str) -> type[Measured]:
    """The written form of a benchmark, or of an analysis that looks at one subject. Raises UnknownNameError."""
    form: Any = (ANALYSES if kind in ANALYSES.builtin else BENCHMARKS).get(kind)
    return form  # type: ignore[no-any-return]  # only what is measured of each subject has a job form


def _read(name: str, value: object) -> object:
    return _reader(name).validate_python(value) if name in _READ and value is not None else value


_READ: Mapping[str, Any] = {
    "data": DataRef, "questions": DataRef, "judge": ResolvedJudge, "model": ModelRef, "forms": Forms,
}  # fmt: skip


@cache
def _reader(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_READ[name])
