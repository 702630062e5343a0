"""Who rates free answers: a model behind an API, or a local one. The judge is part of every result it makes."""

from typing import Annotated, ClassVar

from pydantic import Field

from .benchmarks import JudgeLimits
from .models import Model
from .named import Named, Reference
from .patterns import VARIABLE


class JudgeSpec(Named):
    """What every judge has."""

    temperature: float = Field(0.0, ge=0, description="Softmax temperature of the judge. (0: Personality Vector)")


class ApiJudgeSpec(JudgeSpec, JudgeLimits):
    """A model behind an HTTP interface of chat completions."""

    key: ClassVar[str] = "url"
    url: str = Field(pattern="^https?://", description="Base address of the interface.")
    model: str = Field(min_length=1, description="Name of the model there, best a dated one.")
    key_from: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Environment variable that holds the key; never the key itself.",
    )

    def own_name(self) -> str:
        """The model's name."""
        return self.model.rsplit("/", 1)[-1]


class LocalJudgeSpec(JudgeSpec):
    """A model that runs here."""

    key: ClassVar[str] = "local"
    local: Model = Field(description="The judging model.")

    def own_name(self) -> str:
        """The model's name."""
        return self.local.name


Judge = Annotated[JudgeSpec, Reference("judge", "judge", ApiJudgeSpec, LocalJudgeSpec)]
"""A judge: a preset, or a mapping with `url` or `local`."""
