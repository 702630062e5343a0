"""Turn what the spec names (presets, paths, prompts) into what a job carries: ids, digests of content, texts.

Content is read through the context only. Where each digest lies on this machine goes into `locations`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from traitgraph.specs.folders.tables import table_of
from traitgraph.specs.jobs.params import Demonstrations
from traitgraph.specs.jobs.params import Prompt as PromptText
from traitgraph.specs.jobs.refs import DataRef, FileData, FolderModel, GgufModel, HubData, HubModel
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.contexts import SubjectContext
from traitgraph.specs.study.data import DataSpec, FileDataSpec, HubDataSpec
from traitgraph.specs.study.models import HubModelSpec, LocalModelSpec, ModelSpec, PackagedModelSpec
from traitgraph.specs.study.prompts import DemonstrationPrompt, Prompt
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait, Vocabulary

from .context import Context, Counts

ModelReference = HubModel | FolderModel | GgufModel
DataReference = FileData | HubData


@dataclass
class Resolver:
    """Remembers every path it has read, so that each is read once."""

    context: Context
    locations: dict[str, str] = field(default_factory=dict)
    """Digest -> path, or `package:NAME/FILE` for a file that an installed package ships."""
    rows: dict[bytes, Counts] = field(default_factory=dict)
    """Canonical bytes of a local file of dialogues -> how many rows it has of each sort."""
    items: dict[str, int] = field(default_factory=dict)
    """Digest of a questionnaire's file -> how many items it has."""
    _digests: dict[str, str] = field(default_factory=dict)

    def digest(self, path: str) -> str:
        """The content digest of a path, whose location is remembered. Raises OSError when it cannot be read."""
        if path not in self._digests:
            self._digests[path] = self.context.digest_of(Path(path))
        self.locations.setdefault(self._digests[path], path)
        return self._digests[path]

    def questionnaire(self, path: str) -> str:
        """The digest of a questionnaire's file, whose items are counted. Raises OSError when it cannot be read."""
        if (digest := self.digest(path)) not in self.items:
            self.items[digest] = self.context.count_items(Path(path))
        return digest

    def item_words(self, path: str, vocabulary: Vocabulary) -> dict[str, object]:
        """Letters and levels that a questionnaire's file uses, where the vocabulary means others than the Big Five.

        A file with a letter of the Big Five that the vocabulary has not is about the Big Five.
        """
        meant, usual = vocabulary.trait_of_letter, BIG_FIVE.trait_of_letter
        if meant == usual and vocabulary.own_levels is None:
            return {}
        used, levels = self.context.words_of_items(Path(path))
        meant = usual if used & usual.keys() - meant.keys() else meant
        letters = {each: meant[each] for each in sorted(used) if each in meant and meant[each] != usual.get(each)}
        places = {each: vocabulary.levels[each] for each in sorted(levels) if each in vocabulary.levels}
        return {"letters": letters or None, "levels": places if levels and vocabulary.own_levels else None}

    def model(self, spec: ModelSpec) -> ModelReference:
        """The model as a job carries it."""
        trust = spec.trust_remote_code
        match spec:
            case HubModelSpec():
                return HubModel(
                    id=spec.id, revision=spec.revision, dtype=spec.dtype or "bfloat16", trust_remote_code=trust
                )
            case PackagedModelSpec():
                self.locations[spec.digest] = f"package:{spec.package}/{spec.file}"
                return GgufModel(digest=spec.digest, dtype=spec.dtype or "float32")
            case LocalModelSpec() if spec.path.endswith(".gguf"):
                return GgufModel(digest=self.digest(spec.path), dtype=spec.dtype or "float32")
            case LocalModelSpec():
                digest = self.digest(spec.path)
                return FolderModel(digest=digest, dtype=spec.dtype or "float32", trust_remote_code=trust)
        raise AssertionError(f"no job form for {type(spec).__name__}")

    def data(self, spec: DataSpec, vocabulary: Vocabulary = BIG_FIVE) -> DataReference:
        """The dialogue data as a job carries it: with the levels of its rows, where they are not the default's."""
        levels = vocabulary.own_levels
        # What is called otherwise there, and which field holds the messages.
        fields = {str(ours): name for ours, name in spec.fields.items() if ours != name or ours == "messages"}
        match spec:
            case FileDataSpec():
                path = Path(spec.path)
                digest, table = self.digest(spec.path), table_of(path)
                data = FileData(digest=digest, fields=fields, form=spec.form, table=table, levels=levels)
                if (name := encode(data)) not in self.rows:
                    self.rows[name] = self.context.count_rows(path, data.fields, data.table)
                return data
            case HubDataSpec():
                return HubData(
                    id=spec.id,
                    revision=spec.revision,
                    config=spec.config,
                    split=spec.split,
                    fields=fields,
                    form=spec.form,
                    levels=levels,
                )
        raise AssertionError(f"no job form for {type(spec).__name__}")


def condition_prompt(
    prompt: Prompt, trait: Trait, level: Level | None, intensity: object = None, data: DataRef | None = None
) -> PromptText:
    """The prompt of one trait and level; `data` is what demonstrations are drawn from."""
    examples = None
    if isinstance(prompt, DemonstrationPrompt):
        assert data is not None, "demonstrations are drawn from data"
        assert level is not None, "demonstrations belong to a level"
        examples = Demonstrations(data=data, trait=trait, level=level, count=prompt.examples, seed=prompt.seed)
    place = "user" if prompt.place == "user" else None
    return PromptText(system=prompt.system(trait, level, intensity), place=place, examples=examples)


def in_context(prompt: PromptText | None, context: SubjectContext) -> PromptText | None:
    """The prompt with a context around it; without either nothing, as if no context had been written."""
    around = {"before_system": context.system, "before_user": context.user}
    said = {field: text for field, text in around.items() if text}
    return (prompt or PromptText(system="")).model_copy(update=said) if said else prompt
