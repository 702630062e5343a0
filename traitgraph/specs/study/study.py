"""A study: the value that a spec file means, with every arm written out.

Read this first. `validate.load_study` makes a study from a file; the compiler expands it. Each arm holds its complete
settings: the study's own keys are filled in, presets and paths are replaced by what they name, ranges by their values.
What the arm's method does not use is empty or None there.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from traitgraph.specs.composition.arms import AXIS_KEYS
from traitgraph.specs.fields.axes import SeedAxis, StrengthAxis
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.references import Name, PresetOr

from .analyses import Analyses
from .benchmark_list import Benchmarks
from .cluster import Cluster
from .contexts import Contexts
from .data import DataAxis
from .filters import Filter, When, Zip
from .merge_methods import Merges, TaskArithmetic
from .methods import AnyMethod
from .models import Models, Onto
from .prompts import AnyPrompt
from .training import Sampling, Samplings, Train
from .traits import AlphaAxis, Levels, Traits, chosen
from .vocabulary import BIG_FIVE, VOCABULARIES, Trait, Vocabulary

Tag = Annotated[str, Field(min_length=1, max_length=64)]
"""The service refuses longer ones, and of an offline run only when it is sent."""


# Where a run is mirrored for watching: nothing here changes a result, and nothing is read back from there.
class Wandb(Spec):
    """Weights & Biases. Offline by default: compute nodes often have no network, and results never depend on it."""

    project: str = Field(
        min_length=1, max_length=128, pattern=r"^[^/\\#?%:]*$", description="Project that the runs are listed under."
    )
    entity: str | None = Field(None, max_length=128, description="Team or user; absent: the default of the account.")
    mode: Literal["offline", "online"] = Field("offline", description="offline: written to disk, synchronised later.")
    tags: tuple[Tag, ...] = Field((), description="Labels of every run, of at most 64 characters each.")


class Tracking(Spec):
    """Trackers that mirror the run."""

    wandb: Wandb | None = Field(None, description="Mirror results to Weights & Biases.")


StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]


class Arm(Spec):
    """One arm with everything filled in.

    A tuple is an axis: its values stand in the order they are written, never twice. `axes` gives all axes of the arm;
    its subjects are their product, less what `admits` refuses, plus one product for each entry of `included`.
    """

    model_config = ConfigDict(validate_default=False)  # an axis that is written is never empty

    name: Name = Field("", description="Name of the arm; a study without arms has one, named after its method.")
    method: AnyMethod = Field(description="How personality is induced.")
    model: Models = Field((), description="Axis: base model, or several.")
    vocabulary: Annotated[Vocabulary, PresetOr("vocabulary", "vocabulary", Vocabulary, VOCABULARIES)] = Field(
        BIG_FIVE, description="What traits and levels there are; absent: the Big Five, high and low."
    )
    traits: Traits = Field((), description="Axis: traits of the vocabulary, or `all`.")
    levels: Levels = Field(
        tuple(BIG_FIVE.levels), description="Axis: levels of the vocabulary; by default all, as high and low."
    )
    contexts: Contexts = Field(
        (), description="Axis: named texts that stand around a subject, whatever its method; or a file of them."
    )
    data: DataAxis = Field((), description="Axis: dialogues for training and held-out measures.")
    train: Train | None = Field(None, description="How personality models are trained.")
    merge: Merges = Field((TaskArithmetic(),), description="Axis: how vectors become one change of the weights.")
    alpha: AlphaAxis = Field((), description="Axis: scaling coefficient of a vector; 1 is the tuned model.")
    gamma: StrengthAxis = Field((), description="Axis: strength of the trait's neurons.")
    onto: Onto | None = Field(None, description="Another model of the same base that vectors are carried onto.")
    prompt: AnyPrompt | None = Field(None, description="Prompt that tuned, merged and steered subjects see as well.")
    seeds: SeedAxis = Field((0,), description="Axis: seeds of training, one model for each.")
    benchmarks: Benchmarks = Field((), description="What every subject is measured with.")
    analyses: Analyses = Field((), description="What is compared across subjects.")
    sampling: Samplings = Field(Sampling(), description="How answers are drawn.")
    keep: Literal["recipe", "weights"] = Field("recipe", description="Whether merged weights are written to disk.")
    zip: Zip = Field((), description="Axes that move together, e.g. [[model, data]]; by default all are crossed.")

    # Filled in from the study; not keys of an arm.
    alpha_of: dict[Trait, tuple[Decimal, ...]] = Field(
        {}, description="For `compose` with one alpha per trait: the axis of each trait; then `alpha` is empty."
    )
    excluded: tuple[Filter, ...] = Field((), description="Points of this arm that are left out.")
    included: tuple[Filter, ...] = Field((), description="Points of this arm beside the product.")
    rules: tuple[When, ...] = Field((), description="Conditions on the points of this arm.")

    def axes(self) -> dict[str, tuple[object, ...]]:
        """The axes that the method uses, in the singular, with their values: {"model": (...), "trait": (...), ...}.

        One alpha per trait gives an axis `alpha:TRAIT` for each; `onto` is the axis of its alpha; where traits are
        composed, level combinations stand for trait and level.
        """
        used = {"model", "contexts"} | self.method.uses
        own = {name: getattr(self, key) for name, key in AXIS_KEYS.items() if key in used}
        own |= {f"alpha:{trait}": values for trait, values in self.alpha_of.items()}
        own |= {"onto": self.onto.alpha} if self.onto else {}
        if combinations := getattr(self.method, "combinations", None):
            several = chosen(combinations, self.vocabulary.in_order(self.traits), self.levels)
            own |= {"trait": (), "level": (), "combination": several}
        return {name: values for name, values in (own | self.method.own_axes()).items() if values}

    def admits(self, point: Mapping[str, object]) -> bool:
        """Whether a point of the product is run: it meets every rule, and no exclusion matches it."""
        return all(rule.admits(point) for rule in self.rules) and not any(hole.matches(point) for hole in self.excluded)


HEAD = ("study", "description", "cluster", "tracking")
"""Keys of a study that are read as they are."""


class Study(Spec):
    """One study, complete: nothing in it refers to another file, and every arm stands alone."""

    study: StudyName = Field(description="Name of the study, in results and in the report.")
    description: str = Field("", description="For readers; printed in the report.")
    arms: tuple[Arm, ...] = Field(description="The arms in the order they are written.")
    cluster: Annotated[Cluster, PresetOr("cluster", "cluster", Cluster)] | None = Field(
        None, description="SLURM site: where `--launcher slurm` runs."
    )
    tracking: Tracking = Field(Tracking(), description="Where the run is mirrored.")
    file: Path = Field(description="The file it was read from; relative paths of the spec started at its folder.")
    overrides: tuple[str, ...] = Field((), description="What was put in place of the file's values, as it was typed.")

    @property
    def words(self) -> Vocabulary:
        """The traits and levels of all arms."""
        return Vocabulary.joined(arm.vocabulary for arm in self.arms)

    @property
    def traits(self) -> tuple[Trait, ...]:
        """Traits that rows of data may name; none where they are those of the Big Five."""
        named = self.words.traits
        return () if named.keys() <= BIG_FIVE.traits.keys() else tuple(named)

    def resolved_arms(self) -> tuple[Arm, ...]:
        """Every arm with the study's keys filled in, presets and paths resolved, and axes as tuples of exact values."""
        return self.arms
