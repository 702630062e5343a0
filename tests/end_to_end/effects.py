"""One change for every field of the language, and the arm of a tiny study whose results it must change.

All arms, each as it stands and with one field changed, are one study: one run makes them, and what two arms share is
made once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tests.runtime.dialogues import REPLIES
from tests.runtime.questionnaires import ITEMS as FOUR_ITEMS
from tests.runtime.questionnaires import write_questionnaire
from tests.tiny_model import save_tiny_model
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.merge_methods import MERGE_METHODS, MergeMethod, Ties

Values = Mapping[str, Any]

TRAIN = {
    "method": "sft", "learning_rate": 1e-2, "steps": 3, "batch_size": 2, "max_length": 256,
    "lora": {"rank": 4, "alpha": 8},
}  # fmt: skip
FULL = {"train": {"lora": None, "steps": 1}}
"""Every weight, one step of AdamW: changes of equal size, so that draws and ties of a merge method come up."""
EXPERT = {"model": "./third", "instruction": "{Trait} - {level}"}
GENERATE = {
    "model": "./model", "expert": EXPERT, "scenarios": "./dialogues.jsonl", "combine": "difference", "gamma": 0.5,
    "decoding": {"temperature": 0.9, "max_new_tokens": 6},
}  # fmt: skip
CONTRAST = {"kind": "reply_contrast", "data": "./dialogues.jsonl"}
ANCHORS = {"extraversion": ["never", "rarely", "sometimes", "often", "always"]}
GRADED = {
    "kind": "prompt", "style": "intensity", "intensity": 4, "definitions": {"extraversion": "to go out"},
    "anchors": ANCHORS,
}  # fmt: skip
DESCRIBED = {"extraversion": {"high": "You go out each night."}}
WORDS = {
    "traits": {
        "extraversion": {
            "description": "To go out.",
            "letter": "E",
            "high": {"name": "outgoing", "description": "You go out.", "adjectives": ["loud", "bold"]},
            "low": {"name": "reserved", "description": "You stay in.", "adjectives": ["shy", "calm"]},
        }
    },
    "levels": {"high": 1, "low": -1},
}
LOCAL_JUDGE = {"local": "./model"}
TASK = {"kind": "lm_eval", "task": "number", "folder": "./tasks"}
FOUR = {"kind": "questionnaire", "items": "./four.json"}

BASES: dict[str, Values] = {
    "plain": {"method": "direct"},
    "told": {"method": {"kind": "prompt", "style": "instruction"}},
    "shown": {"method": {"kind": "prompt", "style": "demonstration", "examples": 2}},
    "described": {"method": {"kind": "prompt", "style": "description", "descriptions": DESCRIBED}},
    "marked": {"method": {"kind": "prompt", "style": "adjectives"}},
    "graded": {"method": GRADED},
    "worded": {"method": {"kind": "prompt", "style": "description"}},
    "degrees": {"method": {"kind": "prompt", "style": "intensity", "intensity": 4}},
    "tuned": {"method": "sft"},
    "preferred": {"method": "dpo", "train": {"method": "dpo"}},
    "scaled": {"method": {"kind": "vector"}, "alpha": 1},
    "carried": {"method": {"kind": "vector"}, "alpha": 1, "onto": {"model": "./other", "alpha": 0.5}},
    "composed": {
        "method": {"kind": "compose"},
        "traits": ["extraversion", "neuroticism"],
        "alpha": {"extraversion": 0.4, "neuroticism": 0.8},
        "benchmarks": [{**CONTRAST, "traits": ["extraversion"]}],
    },
    "steered": {"method": {"kind": "steer", "layer": 1, "coefficient": 2}},
    "fired": {"method": {"kind": "npti", "neurons": 12, "max_new_tokens": 6}, "gamma": 2},
    "written": {
        "method": {"kind": "prompt", "style": "demonstration", "examples": 1},
        "data": {"generate": GENERATE},
        "benchmarks": [CONTRAST],
    },
}


@dataclass(frozen=True)
class Effect:
    """A field, the arm that has it, what both sides have besides, and the change."""

    field: str
    base: str
    change: Values
    also: Values | None = None
    file: str = ""
    """The file to compare, KIND/NAME, where the results cannot show it; else all files of the arm's results."""

    @property
    def arms(self) -> tuple[Values, Values]:
        """The arm as it stands, and with the change."""
        before = merged(BASES[self.base], self.also or {})
        return before, merged(before, self.change)

    def __str__(self) -> str:
        return f"{self.field} of {self.base}"


def merged(left: Any, right: Any) -> Any:
    """Mappings key by key; a list in which only one entry is given stays a list."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return {**left, **{key: merged(left.get(key), value) for key, value in right.items()}}
    return right


def name_of(arm: Values) -> str:
    """A name for an arm, by what it holds."""
    return "arm-" + digest("arm", json.dumps(arm, sort_keys=True))[:10]


def _trainings() -> Iterator[Effect]:
    values = {
        "learning_rate": 2e-2, "steps": 4, "batch_size": 1, "accumulation": 2, "schedule": "constant",
        "warmup_steps": 2, "weight_decay": 5.0, "lora": None, "instruction": "{level} {trait}",
        "optimiser": "adafactor", "max_gradient_norm": 1e-3, "validation": {"share": 0.5, "every": 1},
    }  # fmt: skip
    for name, value in values.items():
        yield Effect(f"Training.{name}", "tuned", {"train": {name: value}})
    yield Effect("Training.max_length", "tuned", {"train": {"max_length": 60, "max_cut": 1}})
    yield Effect("Training.epochs", "tuned", {"train": {"steps": None, "epochs": 2}})
    instructed = {"train": {"instruction": "{level} {trait}"}}
    yield Effect("Training.instruction_place", "tuned", {"train": {"instruction_place": "user"}}, instructed)
    yield Effect("Tuned.conditions", "tuned", {"method": {"kind": "sft", "conditions": "joint"}}, instructed)
    for name, value in {"share": 0.3, "every": 2}.items():
        held = {"train": {"validation": {"share": 0.6, "every": 1}}}
        change = {"train": {"validation": {name: value}}}
        yield Effect(f"Validation.{name}", "tuned", change, held, file="train/training.json")
    lora = {"rank": 2, "alpha": 16, "dropout": 0.5, "targets": "mlp", "rank_stabilised": True}
    for name, value in lora.items():
        yield Effect(f"Lora.{name}", "tuned", {"train": {"lora": {name: value}}})
    yield Effect("Lora.targets", "tuned", {"train": {"lora": {"targets": ["q_proj", "up_proj"]}}})
    for name, value in {"beta": 0.9, "label_smoothing": 0.3}.items():
        yield Effect(f"DpoTraining.{name}", "preferred", {"train": {name: value}})


def _prompts() -> Iterator[Effect]:
    yield Effect("Prompt.style", "told", {"method": {"style": "adjectives"}})
    yield Effect("Prompt.place", "told", {"method": {"place": "user"}})
    yield Effect("InstructionPrompt.template", "told", {"method": {"template": "Be {level} in {trait}."}})
    for name, value in {"examples": 1, "seed": 1, "template": "They said {examples}"}.items():
        yield Effect(f"DemonstrationPrompt.{name}", "shown", {"method": {name: value}})
    other = {"extraversion": {"high": "You like people."}}
    yield Effect("DescriptionPrompt.descriptions", "described", {"method": {"descriptions": other}})
    for name, value in {"intensity": "very", "count": 2, "seed": 9, "template": "Be {adjectives}."}.items():
        yield Effect(f"AdjectivesPrompt.{name}", "marked", {"method": {name: value}})
    yield Effect("AdjectivesPrompt.count", "marked", {"method": {"count": None}})
    yield Effect("IntensityPrompt.intensity", "graded", {"method": {"intensity": 5}})
    yield Effect("IntensityPrompt.definitions", "graded", {"method": {"definitions": {"extraversion": "to talk"}}})
    shuffled = {"extraversion": ANCHORS["extraversion"][::-1]}
    yield Effect("IntensityPrompt.anchors", "graded", {"method": {"anchors": shuffled}})
    two = {"traits": ["extraversion", "neuroticism"], "benchmarks": [CONTRAST]}
    yield Effect("Prompt.combinations", "told", {"method": {"combinations": "all"}}, two)
    yield Effect("IntensityPrompt.template", "graded", {"method": {"template": "{trait} {level} {anchor}"}})


def _methods() -> Iterator[Effect]:
    yield Effect("Vector.contrast", "scaled", {"method": {"contrast": True}})
    low = [{"extraversion": "high", "neuroticism": "low"}]
    yield Effect(
        "Compose.combinations", "composed", {"method": {"combinations": low}}, {"levels": ["high", "low"]}
    )  # fmt: skip
    steered = {
        "layer": 2, "coefficient": 3, "read_out": "prompt", "positions": "all", "normalise": True,
    }  # fmt: skip
    for name, value in steered.items():
        also = {"data": "./asked.jsonl", "benchmarks": [CONTRAST]} if name == "read_out" else {}
        yield Effect(f"Steer.{name}", "steered", {"method": {name: value}}, also)
    fired = {
        "personas": "adjectives", "limit": 1, "neurons": 30, "difference": 0.0, "share": 0.5, "quantile": 0.5,
        "midpoint": 0.9, "steepness": 1.0, "repetition_penalty": 3.0, "max_new_tokens": 3, "seed": 3,
    }  # fmt: skip
    for name, value in fired.items():
        alone: Values = {"method": {"difference": 1.0}} if name in ("neurons", "difference") else {}
        yield Effect(f"Npti.{name}", "fired", {"method": {name: value}}, alone)


OTHERWISE = {("linear", "normalise"): False, ("breadcrumbs", "scope"): "model", ("breadcrumbs", "mean"): "count"}
"""Values where the usual one is the default of the method."""


def _merges() -> Iterator[Effect]:
    values = {
        "conventions": "mergekit", "include": ["mlp"], "exclude": ["mlp"], "layer_weights": [0.5, 1.5],
        "rounding": "stochastic", "scale": 1.5, "normalise": True, "density": 0.4, "scope": "tensor", "kept": "exact",
        "elect": "count", "elect_on": "plain", "zero_sum": "majority", "mean": "sum", "rescale": "none", "seed": 7,
        "trim_density": 0.2, "outliers": 0.3, "epsilon": 0.05,
    }  # fmt: skip
    for _, model in MERGE_METHODS.items():
        kind = model.model_fields["kind"].default
        for name in model.model_fields:
            if name == "kind" or (name in MergeMethod.model_fields and model is not Ties):
                continue  # one class stands for all that inherit the field
            given: dict[str, Any] = {"kind": kind}
            if name == "zero_sum":
                given["elect"] = "count"  # two signs, two votes: a draw
            if kind == "breadcrumbs" and name in ("elect_on", "mean"):
                given["elect"] = "mass"
            if kind == "dare_ties" and name in ("scope", "kept"):
                given["trim_density"] = 0.5
            value = OTHERWISE.get((kind, name), values[name])
            owner = next(each for each in reversed(model.__mro__) if name in getattr(each, "model_fields", ()))
            negated = {"alpha": {"extraversion": -0.4, "neuroticism": -0.8}} if name == "zero_sum" else {}
            half = {"model": {"path": "./model", "dtype": "bfloat16"}} if name == "rounding" else {}
            change = {"merge": {**given, name: value}}
            yield Effect(f"{owner.__name__}.{name}", "composed", change, {**FULL, **half, **negated, "merge": given})
        if kind != "task_arithmetic":
            plain = {**FULL, "merge": {"kind": "task_arithmetic"}}
            yield Effect(f"{model.__name__}.kind", "composed", {"merge": {"kind": kind}}, plain)


def _models() -> Iterator[Effect]:
    yield Effect("Local.path", "plain", {"model": {"path": "./other"}}, {"model": {"path": "./model"}})
    yield Effect("ModelSpec.dtype", "plain", {"model": {"dtype": "bfloat16"}}, {"model": {"path": "./model"}})


def _data() -> Iterator[Effect]:
    renamed = {"path": "./renamed.jsonl", "fields": {"prompt": "asked", "reply": "said"}}
    other = {"data": {"fields": {"prompt": "asked", "reply": "other"}}}
    yield Effect("DataSpec.fields", "tuned", other, {"data": renamed, "benchmarks": [CONTRAST]})
    two = {"path": "./two_forms.jsonl", "form": "plain"}
    yield Effect("RowsSpec.form", "tuned", {"data": {"form": "alpaca"}}, {"data": two, "benchmarks": [CONTRAST]})
    values = {
        "model": "./other", "scenarios": "./asked.jsonl", "limit": 1, "combine": "sum", "gamma": 3,
        "anti_expert": "opposite", "filter_p": 0.05, "persona": "instruction",
    }  # fmt: skip
    for name, value in values.items():
        change = {"data": {"generate": {name: value}}}
        yield Effect(f"Generation.{name}", "written", change, file="generate/dialogues.jsonl")
    for name, value in {"temperature": 0, "top_p": 0.05, "max_new_tokens": 3, "seed": 3}.items():
        change = {"data": {"generate": {"decoding": {name: value}}}}
        yield Effect(f"Decoding.{name}", "written", change, file="generate/dialogues.jsonl")
    trained = {"model": "./model", "data": "./dialogues.jsonl", "train": TRAIN}
    expert = {
        "model": "./other", "instruction": "Be {level} in {trait}.", "data": "./asked.jsonl", "train": {"steps": 6},
        "conditions": "separate",
    }  # fmt: skip
    for name, value in expert.items():
        also = {} if name in ("model", "instruction") else {"data": {"generate": {"expert": trained}}}
        change = {"data": {"generate": {"expert": {name: value}}}}
        yield Effect(f"Expert.{name}", "written", change, also, file="generate/dialogues.jsonl")


def _benchmark(field: str, one: Values, change: Values, base: str = "plain", also: Values | None = None) -> Effect:
    benchmarks = {"benchmarks": [{**one, **change}]}
    return Effect(field, base, benchmarks, {**(also or {}), "benchmarks": [one]})


def _benchmarks(judge: str) -> Iterator[Effect]:
    yield _benchmark("ReplyContrast.data", CONTRAST, {"data": "./asked.jsonl"})
    yield _benchmark("ReplyContrast.traits", CONTRAST, {"traits": ["neuroticism"]})
    yield _benchmark("Questionnaire.items", FOUR, {"items": "./five.json"})
    for name in ("weighed", "named", "optional"):
        yield _benchmark("Questionnaire.items", FOUR, {"items": f"./{name}.json"})
    two = {"option_order": ["forward", "backward"], "wording": ["accurate", {"template": "{statement}? {options}"}]}
    forms: Values = {
        "option_order": ["forward", "swapped"], "wording": ["accurate", "agree"], "labels": ["digits", "words"],
        "language": {"other": "./other_words.json"},
    }  # fmt: skip
    for name, value in forms.items():
        yield _benchmark(f"Forms.{name}", {**FOUR, "forms": two}, {"forms": {**two, name: value}})
    yield _benchmark("Questionnaire.forms", {**FOUR, "mode": "generate"}, {"forms": two})
    for number in (1, 2):
        drawn = {"forms": {"option_order": [{"shuffled": number}]}}
        yield _benchmark("Shuffled.shuffled", {**FOUR, "forms": two}, drawn)
    for name, value in {"template": "{options}! {statement}", "name": "mine"}.items():
        wording = [{"template": "{options} {statement}", name: value}]
        yield _benchmark(f"Template.{name}", {**FOUR, "forms": two}, {"forms": {"wording": wording}})
    yield _benchmark("Questionnaire.mode", FOUR, {"mode": "generate"})
    interview = {**FOUR, "mode": "interview", "judge": LOCAL_JUDGE}
    yield _benchmark("Questionnaire.judge", interview, {"judge": {"local": "./other"}})
    yield _benchmark("Questionnaire.follow_ups", interview, {"follow_ups": ["Why?", "Since when?"]})
    yield _benchmark("LocalJudgeSpec.local", interview, {"judge": {"local": "./other"}})
    yield _benchmark("JudgeSpec.temperature", interview, {"judge": {"local": "./model", "temperature": 2}})
    opened = {"kind": "open_questions", "questions": "./asked.jsonl", "judge": LOCAL_JUDGE}
    yield _benchmark("OpenQuestions.questions", opened, {"questions": "./dialogues.jsonl"})
    yield _benchmark("OpenQuestions.judge", opened, {"judge": {"local": "./other"}})
    api = {"url": f"{judge}/one", "model": "judge-1"}
    for name, value in {"url": f"{judge}/two", "model": "judge-2"}.items():
        asked = {**FOUR, "mode": "interview", "judge": api}
        yield _benchmark(f"ApiJudgeSpec.{name}", asked, {"judge": {**api, name: value}})
    asked = {**FOUR, "mode": "interview", "judge": api}
    yield _benchmark("JudgeSpec.temperature", asked, {"judge": {**api, "temperature": 0.5}})
    yield _benchmark("ApiJudgeSpec.key_from", {**FOUR, "mode": "interview", "judge": {**api, "model": "judge-3"}}, {
        "judge": {**api, "model": "judge-4", "key_from": "A_JUDGES_KEY"}
    })  # fmt: skip
    for kind in ("linguistic", "story"):
        words = {"kind": kind, "lexicon": "./words.json", "prompts": ["Who are you?"]}
        yield _benchmark("Linguistic.lexicon", words, {"lexicon": "./letters.json"})
        yield _benchmark("Linguistic.prompts", words, {"prompts": ["How are you?"]})
    for option, given in {"task": "choice", "folder": "./more", "shots": 1, "chat_template": False, "limit": 1,
                          "filters": ["first"]}.items():  # fmt: skip
        yield _benchmark(f"LmEval.{option}", TASK, {option: given})
    sampled: dict[str, Values] = {
        "temperature": {"temperature": 2.0}, "repeats": {"repeats": 3}, "seed": {"seed": 5},
        "max_new_tokens": {"max_new_tokens": 3},
    }  # fmt: skip
    for name, change in sampled.items():
        for one in (FOUR, {**FOUR, "mode": "generate"}, opened, words):
            if name != "max_new_tokens" or "mode" in one or "items" not in one:
                yield Effect(f"Sampling.{name}", "plain", {"sampling": change}, {"benchmarks": [one]})


def _analyses() -> Iterator[Effect]:
    both = {"levels": ["high", "low"]}
    similar = {"kind": "vector_similarity"}
    yield Effect(
        "VectorSimilarity.scope",
        "scaled",
        {"analyses": [{**similar, "scope": "layer"}]},
        {**both, "analyses": [similar]},
    )
    layers = {"kind": "layer_similarity", "data": "./dialogues.jsonl"}
    for name, value in {"data": "./asked.jsonl", "rows": 1}.items():
        yield Effect(
            f"LayerSimilarity.{name}", "tuned", {"analyses": [{**layers, name: value}]}, {"analyses": [layers]}
        )
    five = {
        "traits": "all",
        "levels": ["high", "low"],
        "benchmarks": [{"kind": "questionnaire", "items": "./big.json"}],
    }
    human = {"kind": "trait_correlation", "reference": "./human.json", "shuffles": 5}
    for name, value in {"reference": "./nobody.json", "shuffles": 7}.items():
        also = {**five, "analyses": [human]}
        yield Effect(f"TraitCorrelation.{name}", "told", {"analyses": [{**human, name: value}]}, also)


def _contexts() -> Iterator[Effect]:
    for base in ("plain", "told", "tuned", "scaled", "composed", "steered", "fired"):
        yield Effect("Arm.contexts", base, {"contexts": {"village": {"system": "You live in a village."}}})
    for name in ("system", "user"):
        both = {"contexts": {"a": {"system": "You are ill.", "user": "Be quick."}}}
        yield Effect(f"ContextText.{name}", "told", {"contexts": {"a": {name: "You are well."}}}, both)
    people = {"contexts": {"path": "./people.jsonl"}}
    yield Effect("ContextFile.path", "plain", {"contexts": {"path": "./others.jsonl"}}, people)
    yield Effect("ContextFile.fields", "plain", {"contexts": {"fields": {"system": "biography"}}}, people)


def _arms() -> Iterator[Effect]:
    yield Effect("Arm.model", "plain", {"model": "./other"})
    yield Effect("Arm.method", "plain", {"method": "prompt"})
    yield Effect("Arm.traits", "told", {"traits": ["neuroticism"]}, {"benchmarks": [CONTRAST]})
    yield Effect("Arm.levels", "told", {"levels": ["low"]})
    own = {"vocabulary": WORDS}
    for pole in ("high", "low"):
        words = {"vocabulary": {"traits": {"extraversion": {pole: {"adjectives": ["grey", "blue"]}}}}}
        yield Effect("Pole.adjectives", "marked", words, {**own, "levels": [pole], "method": {"count": 2}})
        yield Effect(f"TraitWords.{pole}", "marked", words, {**own, "levels": [pole], "method": {"count": 2}})
    yield Effect("Vocabulary.traits", "marked", words, {**own, "levels": [pole], "method": {"count": 2}})
    yield Effect("Arm.vocabulary", "marked", {"vocabulary": "big-five"}, {**own, "method": {"count": 2}})
    said = {"vocabulary": {"traits": {"extraversion": {"high": {"description": "You stay at home."}}}}}
    yield Effect("Pole.description", "worded", said, own)
    meant = {"vocabulary": {"traits": {"extraversion": {"description": "To stay at home."}}}}
    yield Effect("TraitWords.description", "degrees", meant, own)
    called = {"vocabulary": {"traits": {"extraversion": {"high": {"name": "homely"}}}}}
    yield Effect("Pole.name", "degrees", called, own)
    yield Effect("Arm.data", "tuned", {"data": "./asked.jsonl"}, {"benchmarks": [CONTRAST]})
    yield Effect("Arm.train", "tuned", {"train": {"steps": 5}})
    yield Effect("Arm.merge", "composed", {"merge": "linear"}, FULL)
    yield Effect("Arm.alpha", "scaled", {"alpha": 0.5})
    yield Effect("Arm.gamma", "fired", {"gamma": 5})
    yield Effect("Arm.onto", "scaled", {"onto": {"model": "./other", "alpha": 1}})
    yield Effect("Onto.model", "carried", {"onto": {"model": "./third"}})
    yield Effect("Onto.alpha", "carried", {"onto": {"alpha": 1}})
    parts = ("layers.0.", "layers.1.", "embed_tokens.", "norm.")
    inside = {"onto": {"model": "./inside", "names": {f"model.{part}": f"lang.{part}" for part in parts}}}
    swapped = {"onto": {"names": {"model.layers.0.": "lang.layers.1.", "model.layers.1.": "lang.layers.0."}}}
    yield Effect("Onto.names", "carried", swapped, inside)
    yield Effect("Arm.prompt", "tuned", {"prompt": "instruction"})
    yield Effect("Arm.prompt", "steered", {"prompt": "instruction"})
    yield Effect("Arm.seeds", "tuned", {"seeds": [1]})
    yield Effect("Arm.benchmarks", "plain", {"benchmarks": [FOUR]})
    yield Effect("Arm.analyses", "tuned", {"analyses": [{"kind": "layer_similarity", "data": "./dialogues.jsonl"}]})
    yield Effect("Arm.sampling", "plain", {"sampling": {"seed": 9}}, {"benchmarks": [FOUR]})
    yield Effect("Arm.keep", "scaled", {"keep": "weights"}, file="merge/model.safetensors")


def effects(judge: str) -> list[Effect]:
    """Every change; `judge` is the address of a judge that can be asked."""
    return [
        *_trainings(), *_prompts(), *_methods(), *_merges(), *_models(), *_data(), *_benchmarks(judge), *_analyses(),
        *_arms(), *_contexts(),
    ]  # fmt: skip


def write_study(folder: Path, changes: list[Effect]) -> Path:
    """The study of all arms, with everything that it reads."""
    for seed, name in enumerate(("model", "other", "third")):
        save_tiny_model(folder / name, seed=seed)
    rename_tensors(folder / "other", folder / "inside")
    write_rows(folder)
    write_questionnaire(folder / "four.json")
    items = [{"id": n, "text": f"Am number {n}", "domain": "OCEAN"[n % 5], "keyed": 1} for n in range(5)]
    write_questionnaire(folder / "five.json", name="five", items=items[2:4])
    write_questionnaire(folder / "big.json", name="big", items=items)
    weighed = [{**items[2], "weight": 0, "facet": "some"}, items[2] | {"id": 9}]
    write_questionnaire(folder / "weighed.json", name="weighed", items=weighed)
    named = {"often": {"min": 0, "max": 1, "anchors": ["never", "always"]}}
    named_items = [{**item, "domain": "X", "response_scale": "often"} for item in items]
    write_questionnaire(folder / "named.json", scales=named, domains={"X": "extraversion"}, items=named_items)
    options = [{"text": level, "trait": "E", "level": level} for level in ("high", "low")]
    write_questionnaire(folder / "optional.json", items=[{"id": 1, "text": "Which?", "options": options}])
    reworded = [{**item, "text": f"Happen to be number {item['id']}"} for item in FOUR_ITEMS]
    write_questionnaire(folder / "other_words.json", stem="They say that I ...", items=reworded)
    (folder / "words.json").write_text(json.dumps({"vowels": ["a*", "i*", "e*"]}))
    (folder / "letters.json").write_text(json.dumps({"consonants": ["t*", "n*", "o*", "s*", "r*"]}))
    for name, off in (("human", 0.3), ("nobody", 0.0)):
        matrix = [[1.0 if row == column else off for column in range(5)] for row in range(5)]
        (folder / f"{name}.json").write_text(json.dumps(matrix))
    for name, shots in (("tasks", 0), ("more", 1)):
        write_tasks(folder / name, shots)
    arms = {name_of(arm): arm for each in changes for arm in each.arms}
    study = {
        "study": "effects", "model": "./model", "traits": ["extraversion"], "levels": ["high"],
        "data": "./dialogues.jsonl", "train": TRAIN, "benchmarks": [{"kind": "reply_contrast"}],
        "sampling": {"temperature": 0.8, "repeats": 2, "max_new_tokens": 8}, "arms": arms,
    }  # fmt: skip
    (folder / "study.yaml").write_text(json.dumps(study))
    return folder / "study.yaml"


def rename_tensors(model: Path, copy: Path) -> None:
    """The same weights under the names that they have inside a larger model."""
    shutil.copytree(model, copy)
    tensors = load_file(model / "model.safetensors")
    renamed = {name.replace("model.", "lang.", 1): tensor for name, tensor in tensors.items()}
    save_file(renamed, copy / "model.safetensors", metadata={"format": "pt"})


def write_rows(folder: Path) -> None:
    """Dialogues, others whose prompts differ by level, a file with names of its own, one with two forms."""
    rows = [
        {
            "trait": trait, "level": level, "split": split, "pair": f"{trait}-{split}-{number}",
            "prompt": f"{split} {number}: what now?", "reply": f"{reply} {number}" + " Yes!" * number,
        }
        for (trait, level), reply in REPLIES.items()
        for split in ("train", "heldout")
        for number in range(4)
    ]  # fmt: skip
    asked = [
        {**row, "pair": f"{row['pair']}-{row['level']}", "prompt": f"{row['level']}! {row['prompt']}"} for row in rows
    ]
    asked += [{**row, "pair": f"{row['pair']}-x", "prompt": f"{row['prompt']} Tell me."} for row in rows]
    renamed = [{**row, "asked": row["prompt"], "said": row["reply"], "other": row["reply"][::-1]} for row in rows]
    two = [{**row, "instruction": row["prompt"], "output": row["reply"][::-1]} for row in rows]
    people = [{"name": "ann", "system": "You are ill.", "biography": "You were born here."}]
    others = [{"name": "ann", "system": "You are well."}]
    for name, each in (("people", people), ("others", others)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in each))
    for name, each in (("dialogues", rows), ("asked", asked), ("renamed", renamed), ("two_forms", two)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in each))


def write_tasks(folder: Path, shots: int) -> None:
    """A task with two filters and one with two choices."""
    folder.mkdir()
    questions = [{"question": f"{number} + 1?", "answer": str(number + 1)} for number in range(4)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    data = "dataset_path: json\ndataset_kwargs: {data_files: {test: questions.jsonl}}\ntest_split: test\n"
    data += "fewshot_split: test\ndoc_to_text: '{{question}}'\n" + (f"num_fewshot: {shots}\n" if shots else "")
    (folder / "number.yaml").write_text(
        f"task: number\n{data}output_type: generate_until\ndoc_to_target: '{{{{answer}}}}'\n"
        "generation_kwargs: {until: ['\\n'], do_sample: false, max_gen_toks: 4}\n"
        "filter_list:\n- {name: first, filter: [{function: take_first}]}\n"
        "- {name: digits, filter: [{function: regex, regex_pattern: '([0-9]+)'}, {function: take_first}]}\n"
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    (folder / "choice.yaml").write_text(
        f"task: choice\n{data}output_type: multiple_choice\ndoc_to_choice: ['1', '2', '3', '4']\ndoc_to_target: 0\n"
        "metric_list: [{metric: acc}]\n"
    )
