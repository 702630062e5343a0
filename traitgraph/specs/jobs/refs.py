"""What jobs name instead of paths: models and data, by revision or by the digest of their content."""

from typing import Annotated, Literal

from pydantic import Field

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.source.library import DIGEST

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
    """Dialogue rows of a local JSONL file, named by the digest of its content."""

    kind: Literal["file"] = "file"
    digest: Digest
    fields: dict[str, str] = Field(
        default_factory=dict, description="Our field (prompt, reply, trait, level, split, pair) -> the file's field."
    )


class HubData(Spec):
    """Dialogue rows of a data set on the hub."""

    kind: Literal["hub"] = "hub"
    id: str = Field(description="Owner and name on the hub.")
    revision: str = Field(description="Commit, tag or branch.")
    config: str | None = Field(None, description="Configuration of the data set.")
    split: str = Field("train", description="Split that is read.")
    fields: dict[str, str] = Field(default_factory=dict, description="Our field -> the data set's field.")


class GeneratedData(Spec):
    """Dialogue rows that `generate` jobs make; they are inputs, one artifact per trait and level.

    The input is `data`, for demonstrations in a prompt `examples`.
    """

    kind: Literal["generated"] = "generated"


DataRef = Annotated[FileData | HubData | GeneratedData, Field(discriminator="kind")]
