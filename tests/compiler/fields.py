"""One change for every field of the language, and the jobs that must get another key because of it.

The study has one arm for each way to make a subject, each on a model of its own: no two arms share a job.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from traitgraph.specs.study.merge_methods import MERGE_METHODS, MergeMethod, Ties

TRAIN = {"method": "sft", "learning_rate": 1e-4, "steps": 10, "lora": {"rank": 4, "alpha": 8}}
JUDGE = {"url": "https://judge.example", "model": "judge-1"}
GENERATE = {
    "model": "o/writer",
    "expert": {"model": "o/base", "data": "other.jsonl", "train": TRAIN, "instruction": "{trait}: {level}"},
    "scenarios": "o/scenes",
    "combine": "difference",
    "gamma": 0.5,
    "decoding": {"temperature": 0.5, "max_new_tokens": 64},
}
DESCRIPTIONS = {"openness": {"high": "a", "low": "b"}}
ANCHORS = ["never", "rarely", "sometimes", "often", "always"]
STUDY: dict[str, Any] = {
    "study": "fields",
    "traits": ["openness"],
    "data": "rows.jsonl",
    "train": TRAIN,
    "benchmarks": ["mini-ipip"],
    "arms": {
        "plain": {"method": "direct", "model": {"id": "o/plain"}},
        "local": {"method": "direct", "model": {"path": "model.gguf"}},
        "shipped": {"method": "direct", "model": {"package": "shipped", "file": "model.gguf", "digest": "0" * 32}},
        "instructed": {"method": {"kind": "prompt", "style": "instruction"}, "model": "o/instructed"},
        "shown": {"method": {"kind": "prompt", "style": "demonstration"}, "model": "o/shown"},
        "described": {
            "method": {"kind": "prompt", "style": "description", "descriptions": DESCRIPTIONS},
            "model": "o/described",
        },
        "marked": {"method": {"kind": "prompt", "style": "adjectives"}, "model": "o/marked"},
        "graded": {
            "method": {
                "kind": "prompt",
                "style": "intensity",
                "intensity": [1, 5],
                "definitions": {"openness": "to be open"},
                "anchors": {"openness": ANCHORS},
            },
            "model": "o/graded",
        },
        "tuned": {"method": {"kind": "sft"}, "model": "o/tuned", "prompt": "instruction"},
        "hub": {"method": "sft", "model": "o/hub", "data": {"id": "o/dialogues"}},
        "preferred": {"method": "dpo", "model": "o/preferred", "train": {"method": "dpo"}},
        "scaled": {"method": {"kind": "vector"}, "model": "o/scaled", "alpha": [0.5, 1], "merge": {"kind": "ties"}},
        "composed": {
            "method": {"kind": "compose"},
            "model": "o/composed",
            "alpha": 0.2,
            "traits": ["openness", "extraversion"],
            "merge": {"kind": "ties"},
        },
        "carried": {"method": "vector", "model": "o/carried", "alpha": 1, "onto": {"model": "o/domain", "alpha": 0.5}},
        "shifted": {"method": {"kind": "steer", "layer": 10, "coefficient": 2}, "model": "o/shifted"},
        "fired": {"method": {"kind": "npti"}, "model": "o/fired", "gamma": 0.5},
        "written": {"method": "sft", "model": "o/written", "data": {"generate": GENERATE}},
        "measured": {
            "method": "vector",
            "model": "o/measured",
            "alpha": 1,
            "benchmarks": [
                {"kind": "reply_contrast"},
                {"kind": "questionnaire", "items": "mini-ipip", "mode": "interview", "judge": JUDGE},
                {"kind": "open_questions", "questions": "o/questions", "judge": {"local": "o/judge"}},
                {"kind": "linguistic", "lexicon": "words.json"},
                {"kind": "story", "lexicon": "words.json"},
                {"kind": "lm_eval", "task": "own", "folder": "task"},
                {"kind": "questionnaire", "items": "mini-ipip", "name": "letters"},
                {"kind": "questionnaire", "items": "mini-ipip", "name": "numbers", "mode": "generate"},
            ],
            "analyses": [
                {"kind": "vector_similarity"},
                {"kind": "layer_similarity"},
                {"kind": "trait_correlation", "reference": "matrix.json"},
            ],
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Flip:
    """One changed field: which field of which class, where it stands, its new value, and what it re-keys.

    `kinds` are the kinds of jobs of the arm that hold the field; what follows from them is re-keyed as well.
    """

    field: str
    path: str
    value: object
    kinds: str = ""
    arm: str = ""
    """The arm whose jobs change; by default the one in the path, '*' for all."""
    stage: str = ""
    """Only jobs of these benchmarks, with commas; every other job of the arm must keep its key."""

    def __str__(self) -> str:
        return f"{self.field} at {self.path}"

    @property
    def arms(self) -> str:
        return self.arm or (self.path.split(".")[1] if self.path.startswith("arms.") else "*")


def flipped(*flips: Flip) -> dict[str, Any]:
    """The study with some fields changed."""
    document = copy.deepcopy(STUDY)
    for flip in flips:
        *steps, last = flip.path.split(".")
        place: Any = document
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        place[int(last) if isinstance(place, list) else last] = flip.value
    return document


ALL = "prepare train train_joint generate activations neurons vector merge assess"


def _training() -> Iterator[Flip]:
    values = {
        "learning_rate": 2e-4, "steps": 20, "batch_size": 4, "accumulation": 2, "schedule": "cosine", "warmup_steps": 5,
        "weight_decay": 0.1, "max_length": 512, "max_cut": 0.2, "lora": None, "instruction": "Be {level} in {trait}.",
        "optimiser": "adafactor", "max_gradient_norm": 2.0, "validation": {"share": 0.1, "every": 5},
    }  # fmt: skip
    for name, value in values.items():
        yield Flip(f"Training.{name}", f"arms.tuned.train.{name}", value, "train")
    instructed = {**TRAIN, "instruction": "Be {level} in {trait}."}
    yield Flip("Training.instruction_place", "arms.tuned.train", {**instructed, "instruction_place": "user"}, "train")
    yield Flip("Training.epochs", "arms.hub.train", {**TRAIN, "epochs": 2, "steps": None}, "train")
    yield Flip("DpoTraining.beta", "arms.preferred.train.beta", 0.2, "train")
    yield Flip("DpoTraining.label_smoothing", "arms.preferred.train.label_smoothing", 0.1, "train")
    lora = {"rank": 8, "alpha": 32, "dropout": 0.1, "targets": "mlp", "rank_stabilised": True}
    for name, value in lora.items():
        yield Flip(f"Lora.{name}", f"arms.tuned.train.lora.{name}", value, "train")
    yield Flip("Lora.targets", "arms.tuned.train.lora.targets", ["q_proj", "v_proj"], "train")
    held = {"share": 0.1, "every": 5}
    for name, value in (("share", 0.2), ("every", 6)):
        yield Flip(f"Validation.{name}", "arms.tuned.train.validation", {**held, name: value}, "train")


def _prompts() -> Iterator[Flip]:
    yield Flip("Prompt.place", "arms.instructed.method.place", "user", "assess")
    yield Flip("Prompt.style", "arms.instructed.method", {"kind": "prompt", "style": "adjectives"}, "assess")
    yield Flip("InstructionPrompt.template", "arms.instructed.method.template", "Be {level} in {trait}.", "assess")
    shown = {"examples": 3, "seed": 1, "template": "As: {examples}"}
    for name, value in shown.items():
        yield Flip(f"DemonstrationPrompt.{name}", f"arms.shown.method.{name}", value, "assess")
    other = {"openness": {"high": "c", "low": "d"}}
    yield Flip("DescriptionPrompt.descriptions", "arms.described.method.descriptions", other, "assess")
    for name, value in {"intensity": "very", "count": 2, "seed": 9, "template": "Be {adjectives}."}.items():
        yield Flip(f"AdjectivesPrompt.{name}", f"arms.marked.method.{name}", value, "assess")
    yield Flip("IntensityPrompt.intensity", "arms.graded.method.intensity", [1, 3, 5])
    yield Flip("IntensityPrompt.definitions", "arms.graded.method.definitions", {"openness": "curious"}, "assess")
    yield Flip("IntensityPrompt.anchors", "arms.graded.method.anchors", {"openness": ANCHORS[::-1]}, "assess")
    yield Flip("IntensityPrompt.template", "arms.graded.method.template", "{trait} {level} {anchor}", "assess")


def _contexts() -> Iterator[Flip]:
    yield Flip("Arm.contexts", "arms.instructed.contexts", {"a": {"system": "b"}}, "assess")
    for name in ("system", "user"):
        yield Flip(f"ContextText.{name}", "arms.tuned.contexts", {"a": {name: "b"}}, "assess")
    yield Flip("ContextFile.path", "arms.plain.contexts", {"path": "people.jsonl"}, "assess")
    fields = {"path": "people.jsonl", "fields": {"system": "biography"}}
    yield Flip("ContextFile.fields", "arms.plain.contexts", fields, "assess")


def _methods() -> Iterator[Flip]:
    combined = {"kind": "prompt", "style": "instruction", "combinations": "all"}
    both = {"method": combined, "model": "o/instructed", "traits": ["openness", "extraversion"]}
    yield Flip("Prompt.combinations", "arms.instructed", both, "assess")
    told = {"method": {"kind": "sft", "conditions": "joint"}, "train": {"instruction": "{trait} {level}"}}
    yield Flip("Tuned.conditions", "arms.tuned", {**STUDY["arms"]["tuned"], **told}, "train")
    yield Flip("Vector.contrast", "arms.scaled.method.contrast", True, "vector")
    yield Flip(
        "Compose.combinations",
        "arms.composed.method.combinations",
        [{"openness": "low", "extraversion": "low"}],
        "unused",
    )
    yield Flip("Steer.layer", "arms.shifted.method.layer", 11, "assess")
    yield Flip("Steer.coefficient", "arms.shifted.method.coefficient", 1.5, "assess")
    yield Flip("Steer.read_out", "arms.shifted.method.read_out", "prompt", "activations")
    yield Flip("Steer.positions", "arms.shifted.method.positions", "all", "assess")
    yield Flip("Steer.normalise", "arms.shifted.method.normalise", True, "assess")
    yield Flip("Npti.personas", "arms.fired.method.personas", "adjectives", "neurons")
    yield Flip("Npti.repetition_penalty", "arms.fired.method.repetition_penalty", 1.2, "neurons")
    yield Flip("Npti.max_new_tokens", "arms.fired.method.max_new_tokens", 50, "neurons")
    yield Flip("Npti.limit", "arms.fired.method.limit", 50, "neurons")
    yield Flip("Npti.quantile", "arms.fired.method.quantile", 0.9, "neurons")
    steering = {
        "neurons": 100,
        "difference": 0.2,
        "share": 0.8,
        "midpoint": 0.2,
        "steepness": 5.0,
        "seed": 1,
    }
    for name, value in steering.items():
        yield Flip(f"Npti.{name}", f"arms.fired.method.{name}", value, "assess")


def _merges() -> Iterator[Flip]:
    values = {
        "conventions": "mergekit", "include": ["mlp"], "exclude": ["lm_head"], "layer_weights": [0.5, 1.0],
        "rounding": "stochastic", "scale": 1.5, "normalise": True, "density": 0.3, "scope": "tensor", "kept": "exact",
        "elect": "count", "elect_on": "plain", "zero_sum": "majority", "mean": "sum", "rescale": "l1", "seed": 7,
        "trim_density": 0.2, "outliers": 0.02, "epsilon": 0.1,
    }  # fmt: skip
    for _, model in MERGE_METHODS.items():
        kind = model.model_fields["kind"].default
        for name in model.model_fields:
            if name in MergeMethod.model_fields and model is not Ties:
                continue  # one class stands for all that inherit the field
            value = {"kind": kind} if name == "kind" else {"kind": kind, name: values[name]}
            value |= {"elect": "mass"} if (kind, name) == ("breadcrumbs", "elect_on") else {}
            value |= {"trim_density": 0.5} if kind == "dare_ties" and name in ("scope", "kept") else {}
            owner = next(each for each in reversed(model.__mro__) if name in getattr(each, "model_fields", ()))
            yield Flip(
                f"{owner.__name__}.{name}", "arms.composed.merge", value, "merge" if value != {"kind": "ties"} else ""
            )


def _models() -> Iterator[Flip]:
    yield Flip("HubModelSpec.id", "arms.plain.model.id", "o/other", ALL)
    yield Flip("HubModelSpec.revision", "arms.plain.model.revision", "v2", ALL)
    yield Flip("ModelSpec.dtype", "arms.plain.model.dtype", "float16", ALL)
    yield Flip("ModelSpec.trust_remote_code", "arms.plain.model.trust_remote_code", True, ALL)
    yield Flip("ModelSpec.parameters", "arms.plain.model.parameters", 10**9)
    yield Flip("Named.name", "arms.plain.model.name", "another-name")
    yield Flip("Local.path", "arms.local.model.path", "other.gguf", ALL)
    yield Flip("PackagedModelSpec.digest", "arms.shipped.model.digest", "1" * 32, ALL)
    yield Flip("PackagedModelSpec.package", "arms.shipped.model.package", "elsewhere")
    yield Flip("PackagedModelSpec.file", "arms.shipped.model.file", "moved.gguf")


def _data() -> Iterator[Flip]:
    yield Flip("HubDataSpec.id", "arms.hub.data.id", "o/others", "train")
    yield Flip("HubDataSpec.revision", "arms.hub.data.revision", "v2", "train")
    yield Flip("HubDataSpec.config", "arms.hub.data.config", "small", "train")
    yield Flip("HubDataSpec.split", "arms.hub.data.split", "dev", "train")
    yield Flip("DataSpec.fields", "arms.hub.data.fields", {"prompt": "question"}, "train")
    yield Flip("RowsSpec.form", "arms.hub.data.form", "messages", "train")
    generate = "arms.written.data.generate"
    values = {
        "model": "o/author", "scenarios": "o/plots", "limit": 100, "combine": "sum", "gamma": 1,
        "anti_expert": "opposite", "filter_p": 0.9, "persona": "instruction",
    }  # fmt: skip
    for name, value in values.items():
        yield Flip(f"Generation.{name}", f"{generate}.{name}", value, "generate")
    for name, value in {"temperature": 1, "top_p": 0.9, "max_new_tokens": 32, "seed": 3}.items():
        yield Flip(f"Decoding.{name}", f"{generate}.decoding.{name}", value, "generate")
    trained = "train_joint generate"
    yield Flip("Expert.model", f"{generate}.expert.model", "o/expert", trained)
    yield Flip("Expert.data", f"{generate}.expert.data", "o/posts", trained)
    yield Flip("Expert.train", f"{generate}.expert.train", {**TRAIN, "steps": 30}, trained)
    yield Flip("Expert.conditions", f"{generate}.expert.conditions", "separate", trained)
    yield Flip("Expert.instruction", f"{generate}.expert.instruction", "{level} {trait}", trained)


def _benchmarks() -> Iterator[Flip]:
    place = "arms.measured.benchmarks"
    yield Flip("ReplyContrast.data", f"{place}.0.data", "other.jsonl", "assess", stage="reply_contrast")
    yield Flip("ReplyContrast.traits", f"{place}.0.traits", ["neuroticism"], "assess", stage="reply_contrast")
    yield Flip("Questionnaire.items", f"{place}.1.items", "ipip-neo-120", "assess", stage="mini-ipip")
    plain = {"kind": "questionnaire", "items": "mini-ipip", "mode": "generate"}
    form = f"{place}.6.forms"
    for axis, values in {"option_order": ["forward"], "wording": ["agree"], "labels": ["digits"]}.items():
        yield Flip(f"Forms.{axis}", f"{form}.{axis}", values, "assess", stage="letters")
    yield Flip("Forms.language", f"{form}.language", {"de": "words.json"}, "assess", stage="letters")
    yield Flip("Shuffled.shuffled", f"{form}.option_order", [{"shuffled": 1}], "assess", stage="letters")
    text = {"template": "{options} {statement}"}
    yield Flip("Template.template", f"{form}.wording", [text], "assess", stage="letters")
    yield Flip("Template.name", f"{form}.wording", [{**text, "name": "own"}], "assess", stage="letters")
    yield Flip("Questionnaire.follow_ups", f"{place}.1.follow_ups", ["Why?"], "assess", stage="mini-ipip")
    yield Flip("Questionnaire.forms", form, {"labels": ["words"]}, "assess", stage="letters")
    yield Flip("Questionnaire.mode", f"{place}.1", plain, "assess", stage="mini-ipip")
    other = {**JUDGE, "model": "judge-2"}
    yield Flip("Questionnaire.judge", f"{place}.1.judge", other, "assess", stage="mini-ipip")
    for name, value in {"url": "http://other.example", "model": "judge-3"}.items():
        yield Flip(f"ApiJudgeSpec.{name}", f"{place}.1.judge.{name}", value, "assess", stage="mini-ipip")
    yield Flip("ApiJudgeSpec.key_from", f"{place}.1.judge.key_from", "JUDGE_KEY")
    yield Flip("JudgeLimits.timeout", f"{place}.1.judge.timeout", 5)
    yield Flip("JudgeLimits.max_bytes", f"{place}.1.judge.max_bytes", 2048)
    yield Flip("JudgeSpec.temperature", f"{place}.1.judge.temperature", 0.5, "assess", stage="mini-ipip")
    yield Flip("LocalJudgeSpec.local", f"{place}.2.judge.local", "o/judge-2", "assess", stage="open_questions")
    yield Flip("OpenQuestions.questions", f"{place}.2.questions", "o/more", "assess", stage="open_questions")
    yield Flip("OpenQuestions.judge", f"{place}.2.judge", JUDGE, "assess", stage="open_questions")
    yield Flip("Linguistic.lexicon", f"{place}.3.lexicon", "matrix.json", "assess", stage="linguistic")
    yield Flip("Linguistic.prompts", f"{place}.3.prompts", ["Who are you?"], "assess", stage="linguistic")
    task = {"kind": "lm_eval", "task": "arc_easy", "name": "own", "folder": "task"}
    yield Flip("LmEval.task", f"{place}.5", task, "assess", stage="own")
    yield Flip("LmEval.folder", f"{place}.5.folder", "other-task", "assess", stage="own")
    options: dict[str, object] = {"shots": 3, "chat_template": False, "limit": 10, "filters": ["none"]}
    for option, given in options.items():
        yield Flip(f"LmEval.{option}", f"{place}.5.{option}", given, "assess", stage="own")
    yield Flip("Benchmark.name", f"{place}.5.name", "our-task")
    analyses = "arms.measured.analyses"
    yield Flip("VectorSimilarity.scope", f"{analyses}.0.scope", "layer", "analyse", stage="vector_similarity")
    yield Flip("LayerSimilarity.data", f"{analyses}.1.data", "other.jsonl", "assess", stage="layer_similarity")
    yield Flip("LayerSimilarity.rows", f"{analyses}.1.rows", 10, "assess", stage="layer_similarity")
    correlation = ", ".join(f"trait_correlation {name}" for name in ("mini-ipip", "letters", "numbers"))
    yield Flip("TraitCorrelation.reference", f"{analyses}.2.reference", "words.json", "analyse", stage=correlation)
    yield Flip("TraitCorrelation.shuffles", f"{analyses}.2.shuffles", 10, "analyse", stage=correlation)


def _arms() -> Iterator[Flip]:
    yield Flip("Arm.model", "arms.instructed.model", "o/new", ALL)
    yield Flip("Arm.method", "arms.plain.method", "prompt", "assess")
    yield Flip("Arm.traits", "arms.tuned.traits", ["openness", "neuroticism"])
    yield Flip("Arm.levels", "arms.tuned.levels", ["high"], "unused")
    others = {pole: {"adjectives": ["a", "b", "c", "d", pole]} for pole in ("high", "low")}
    words = {"preset": "big-five", "traits": {"openness": others}}
    yield Flip("Arm.vocabulary", "arms.marked.vocabulary", words, "assess")
    yield Flip("Arm.data", "arms.tuned.data", "other.jsonl", "train")
    yield Flip("Arm.merge", "arms.scaled.merge", ["ties", "dare"])
    yield Flip("Arm.alpha", "arms.scaled.alpha", [0.5, 1, 2])
    yield Flip("Arm.gamma", "arms.fired.gamma", [0.5, 1])
    yield Flip("Arm.onto", "arms.scaled.onto", {"model": "o/domain", "alpha": 1}, "merge")
    yield Flip("Onto.model", "arms.carried.onto.model", "o/characters", "vector", stage="onto")
    yield Flip("Onto.alpha", "arms.carried.onto.alpha", 1, "merge")
    yield Flip("Onto.names", "arms.carried.onto.names", {"model.": "model.language_model."}, "vector", stage="onto")
    yield Flip("Arm.prompt", "arms.scaled.prompt", "instruction", "assess")
    yield Flip("Arm.seeds", "arms.tuned.seeds", [0, 1])
    yield Flip("Arm.benchmarks", "arms.plain.benchmarks", ["mini-ipip", "ipip-neo-120"])
    yield Flip("Arm.analyses", "arms.scaled.analyses", ["vector_similarity"])
    yield Flip("Arm.keep", "arms.scaled.keep", "weights", "merge")
    yield Flip("Study.study", "study", "another-study")
    yield Flip("Study.description", "description", "for readers")
    yield Flip("Study.cluster", "cluster", {"partition": "long"})
    yield Flip("Study.tracking", "tracking", {"wandb": {"project": "p"}})


def _sampling() -> Iterator[Flip]:
    written = "mini-ipip, open_questions, linguistic, story"
    place = "arms.measured.sampling"
    for name, value in {"temperature": 0.9, "repeats": 2, "seed": 5}.items():
        yield Flip(f"Sampling.{name}", f"{place}.{name}", value, "assess", stage=f"{written}, letters, numbers")
    yield Flip("Sampling.max_new_tokens", f"{place}.max_new_tokens", 2048, "assess", stage=written)
    yield Flip("Sampling.max_new_tokens", f"{place}.max_new_tokens", 8, "assess", stage=f"{written}, numbers")


FLIPS = (
    *_training(), *_prompts(), *_methods(), *_merges(), *_models(), *_data(), *_benchmarks(), *_arms(),
    *_sampling(), *_contexts(),
)  # fmt: skip

NO_FLIP = {
    "Sampling.engine": "there is one of ours: tests/end_to_end/test_plugin_answers.py",
    "Arm.name": "test_names_of_arms_and_studies_change_no_key",
    "Arm.train": "Training.*",
    "Arm.sampling": "Sampling.*",
    **dict.fromkeys(
        (
            "TraitWords.high",
            "TraitWords.low",
            "TraitWords.description",
            "Pole.name",
            "Pole.description",
            "Pole.adjectives",
        ),
        "said by prompts: tests/end_to_end/effects.py",
    ),
    "Vocabulary.traits": "Arm.vocabulary",
    "Vocabulary.levels": "one position a study: tests/end_to_end/test_own_vocabulary.py",
    "TraitWords.letter": "names a trait in questionnaires",
    "TraitWords.facet_of": "only chooses traits: tests/specs/study/test_declared_vocabularies.py",
    "Arm.zip": "only chooses points: the golden file zipped_and_conditional",
    "Arm.alpha_of": "filled in from alpha",
    "Arm.excluded": "only chooses points: the golden file composed_levels",
    "Arm.included": "only chooses points: the golden file composed_levels",
    "Arm.rules": "only chooses points: the golden file zipped_and_conditional",
    "Steer.operation": "only `add` is built in: tests/end_to_end/test_steering_operators.py",
    "Study.arms": "Arm.*",
    "Study.overrides": "what was typed behind the file: told in the report",
    "Study.file": "where the spec lies: not written in it",
    "SftTraining.method": "the method of the arm, Arm.method",
    "DpoTraining.method": "the method of the arm, Arm.method",
    "Measured.kind": "Arm.benchmarks",
    "Analysis.kind": "Arm.analyses",
    "GeneratedDataSpec.generate": "Generation.*",
    "Generation.expert": "Expert.*",
    "Generation.decoding": "Decoding.*",
}
"""Fields without a change of their own, and what covers them instead."""
