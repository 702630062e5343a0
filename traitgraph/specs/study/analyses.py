"""What is compared across the subjects of an arm, beside the scores of each."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choices
from traitgraph.specs.fields.pydantic_errors import existing
from traitgraph.specs.fields.registry import Registry

from .benchmarks import Measured
from .data import Data


class Analysis(Spec):
    """One comparison. `of_vectors` says that it needs a method that makes personality vectors.

    A plugin's analysis is a subclass with a `kind` of its own and a method `compare(scores)`: the mean of every score
    of each condition ("extraversion high") in one benchmark -> a `Measurement`.
    """

    kind: str
    of_vectors: ClassVar[bool] = False
    fills: ClassVar[tuple[str, ...]] = ()

    @property
    def shown(self) -> str:
        """What tells its results from those of other analyses of an arm."""
        return self.kind

    def settled(self, folder: Path) -> Self:
        """Itself with absolute paths."""
        return self


class VectorSimilarity(Analysis):
    """Cosine between every two personality vectors (Personality Vector: above 0.3 is shared style, not trait)."""

    kind: Literal["vector_similarity"] = Field("vector_similarity", description="Cosines between vectors.")
    of_vectors: ClassVar[bool] = True
    scope: Literal["model", "layer"] = Field("model", description="Over all weights, or layer by layer.")

    @property
    def shown(self) -> str:
        """The kind and the scope: a report has both."""
        return f"{self.kind}, scope {self.scope}"


class LayerSimilarity(Analysis, Measured):
    """Cosine between the hidden states of base and subject after every block (Personality Vector).

    Of the means over the tokens of a reply that both read: our choice.
    """

    kind: Literal["layer_similarity"] = Field(
        "layer_similarity", description="Cosine of hidden states, base and subject."
    )
    fills: ClassVar[tuple[str, ...]] = ("data",)
    function: ClassVar[str] = "traitgraph.runtime.assessment.layer_similarity:measure"
    in_jobs: ClassVar[tuple[str, ...]] = ("data", "rows")
    data: Data | None = Field(None, validate_default=False, description="Texts that are read; absent: the arm's data.")
    rows: PositiveInt = Field(
        100, description="At most n rows, evenly spaced over the held-out ones (over all, where none is); our choice."
    )


class TraitCorrelation(Analysis):
    """Correlations between the five measured traits, and their distance to a human matrix (BIG5-CHAT)."""

    kind: Literal["trait_correlation"] = Field("trait_correlation", description="Distance to human trait correlations.")
    reference: str = Field(
        min_length=1, description="JSON file of a 5 x 5 matrix in the order O C E A N; studies differ widely."
    )
    shuffles: int = Field(1000, ge=0, description="Shuffled conditions for the distance that chance gives; our choice.")

    @property
    def shown(self) -> str:
        """The kind and the matrix."""
        return f"{self.kind}, reference {self.reference}"

    def settled(self, folder: Path) -> Self:
        """Itself with the absolute path of the matrix."""
        return self.model_copy(update={"reference": str(existing(self.reference, folder, "reference"))})


ANALYSES: Registry[type[Analysis]] = Registry(
    "analysis", "traitgraph.analyses", (VectorSimilarity, LayerSimilarity, TraitCorrelation), base=Analysis
)


class _AnalysisList(Choices):
    twice = "analysis_twice"

    def told_apart_by(self, one: Analysis) -> str:
        return one.shown

    def settled(self, one: Analysis, folder: Path) -> Analysis:
        return one.settled(folder)


Analyses = Annotated[tuple[Analysis, ...], _AnalysisList(ANALYSES)]
"""A list of analyses, or one."""
