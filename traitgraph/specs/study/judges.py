"""Who rates free answers: a model behind an HTTP interface, or a local one. The judge is part of every result it makes.

A package adds a kind of judge as a member of its plug-in: a subclass of `JudgeSpec` with a `kind` and a `key` of its
own, whose `function` opens it.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.references import Named, Reference
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.source.library import VARIABLE

from .models import Model

LIMITS = "limits:"
"""What a location begins with that holds no place, but the limits of a judge."""


class JudgeLimits(Spec):
    """How long and how much is read of one reply. They change no result, so they stand in no job's identity."""

    timeout: float = Field(
        60.0, gt=0, le=3600, allow_inf_nan=False, description="Longest time from a request to the last byte. [s]"
    )
    max_bytes: int = Field(4 << 20, ge=1 << 10, le=1 << 30, description="Longest reply. [bytes]")


class JudgeSpec(Named):
    """What every judge has."""

    kind: ClassVar[str]
    function: ClassVar[str]
    """"module:function" of the runtime: `function(context, judge) -> Judge`."""
    unkeyed: ClassVar[tuple[str, ...]] = ("name",)
    """Fields that change no rating, so that no key of a job holds them."""
    in_jobs: ClassVar[Mapping[str, str]] = {}
    """Field -> what a job calls it, where that is another name."""
    temperature: float = Field(0.0, ge=0, description="Softmax temperature of the judge. (0: Personality Vector)")

    def locations(self) -> dict[str, str]:
        """What the locations of a job table say of it: what it needs on this machine and no key may hold."""
        return {}


class ApiJudgeSpec(JudgeSpec, JudgeLimits):
    """A model behind an HTTP interface of chat completions."""

    kind: ClassVar[str] = "api"
    key: ClassVar[str] = "url"
    function: ClassVar[str] = "traitgraph.runtime.assessment.judged.http_judge:open_judge"
    unkeyed: ClassVar[tuple[str, ...]] = ("name", "key_from", "timeout", "max_bytes")
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

    def locations(self) -> dict[str, str]:
        """The variable that holds its key, and its limits where they are not the default."""
        key = {key_name(self.url, self.model): f"environment:{self.key_from}"} if self.key_from else {}
        limits = JudgeLimits(timeout=self.timeout, max_bytes=self.max_bytes)
        own = {limits_name(self.url, self.model): f"{LIMITS}{limits.model_dump_json()}"}
        return key | (own if limits != JudgeLimits() else {})


class LocalJudgeSpec(JudgeSpec):
    """A model that runs here."""

    kind: ClassVar[str] = "local"
    key: ClassVar[str] = "local"
    function: ClassVar[str] = "traitgraph.runtime.assessment.judged.judges:open_local_judge"
    in_jobs: ClassVar[Mapping[str, str]] = {"local": "model"}
    local: Model = Field(description="The judging model.")

    def own_name(self) -> str:
        """The model's name."""
        return self.local.name


JUDGES: Registry[type[JudgeSpec]] = Registry(
    "judge", "traitgraph.judges", (ApiJudgeSpec, LocalJudgeSpec), base=JudgeSpec
)

Judge = Annotated[JudgeSpec, Reference("judge", "judge", registry=JUDGES)]
"""A judge: a preset, or a mapping with `url`, `local`, or the key of a package's kind."""


def key_name(url: str, model: str) -> str:
    """Under which name the locations of a job table say where the key of an interface lies."""
    return f"key of {url} {model}"


def limits_name(url: str, model: str) -> str:
    """Under which name they say how long and how much is read, where it is not the default."""
    return f"limits of {url} {model}"
