"""How much work a job is: tokens read, learnt from and written, by kind and benchmark, and calls of judges, as ranges.

Figures without a source are ours: they hold for questionnaires, chat turns and multiple-choice items of usual length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from traitgraph.compiler.ir.ir import Draft, Stage
from traitgraph.specs.jobs.refs import FolderModel, GgufModel, HubModel, ResolvedBenchmark, ResolvedJudge
from traitgraph.specs.study.benchmarks import MODES
from traitgraph.specs.study.forms import forms_asked
from traitgraph.specs.study.training import DpoTraining, Sampling, Training

from .data_rows import counts_of, levels_of, questions_of, replies_of, rows_of, training_rows
from .hardware import NOTHING, Range, total


@dataclass(frozen=True)
class Work:
    """Tokens that one job moves through the model."""

    read: Range = NOTHING
    """Through a forward pass. [tokens]"""
    learnt: Range = NOTHING
    """Through a forward and a backward pass. [tokens]"""
    written: Range = NOTHING
    """Decoded one after the other. [tokens]"""


TURN = Range(40, 250)
"""A chat turn with its prompt. [tokens]"""
REPLIES_OF_A_TRAIT = Range(20, 200)
NUMBER = Range(2, 20)
"""A written answer on a scale. [tokens]"""
PORTRAIT, STORY = Range(150, 600), Range(400, 1500)
"""300 words about oneself (Personality Vector), a story of 800 words (PersonaLLM). [tokens]"""
OPEN_QUESTIONS = Range(90, 450)
"""Questions about one trait, or about all five (NPTI)."""
ITEMS = Range(20, 120)
ITEM = Range(60, 150)
"""A questionnaire item with its instruction and options. [tokens]"""
ITEM_ALONE = Range(20, 80)
"""The same after the instruction, which is read once for all items. [tokens]"""

LM_EVAL: dict[str, tuple[int, int, Range, Range]] = {
    # task: (documents, options scored for each, tokens of one request, tokens written for each document)
    # Documents: sizes of the evaluated splits of the published data sets.
    "arc_easy": (2376, 4, Range(30, 60), NOTHING),
    "commonsense_qa": (1221, 5, Range(40, 90), NOTHING),
    "gpqa_main_n_shot": (448, 4, Range(300, 1500), NOTHING),
    "gpqa_main_zeroshot": (448, 4, Range(150, 350), NOTHING),
    "gsm8k": (1319, 1, Range(600, 1100), Range(80, 256)),
    "hellaswag": (10042, 4, Range(80, 140), NOTHING),
    "mathqa": (2985, 5, Range(60, 120), NOTHING),
    "mmlu": (14042, 4, Range(90, 250), NOTHING),
    "piqa": (1838, 2, Range(30, 80), NOTHING),
    "social_iqa": (1954, 3, Range(40, 80), NOTHING),
    "truthfulqa_mc1": (817, 5, Range(200, 320), NOTHING),
    "truthfulqa_mc2": (817, 7, Range(200, 320), NOTHING),
    "winogrande": (1267, 2, Range(25, 50), NOTHING),
}
UNKNOWN_TASK = (1500, 4, Range(40, 400), Range(0, 64))
OPTION = Range(0.05, 0.5)
"""What a further option costs: its document is read once. [share of a request]"""
LOCAL_TASK = (200, 4, Range(30, 120), Range(0, 8))
"""A task folder of one's own is small, most often multiple choice."""


def work_of(stage: Stage, draft: Draft) -> Work:
    """What one job of a stage moves through its model."""
    training = stage.template.get("training")
    if isinstance(training, Training):
        return _training_work(training, stage, draft)
    match stage.kind:
        case "assess":
            return _assess_work(stage, draft)
        case "activations":
            return Work(read=training_rows(stage, draft).times(TURN))
        case "generate":
            return _writing_work(stage, replies_of(stage, draft))
        case "neurons":
            return _writing_work(stage, questions_of(stage, draft).times(2))
    return Work()


def _writing_work(stage: Stage, replies: Range) -> Work:
    longest = stage.template.get("max_new_tokens")
    reply = TURN.at_most(longest if isinstance(longest, int) else TURN.high)
    return Work(read=replies.times(TURN), written=replies.times(reply))


def _training_work(training: Training, stage: Stage, draft: Draft) -> Work:
    if training.steps is not None:
        rows = Range.exactly(training.steps * training.batch_size * training.accumulation)
    else:
        rows = training_rows(stage, draft).times(training.epochs or 1)
    tokens = rows.times(Range(TURN.low, min(TURN.high, training.max_length)))
    if isinstance(training, DpoTraining):  # chosen and rejected; the reference model only reads them
        return Work(read=tokens.times(2.0), learnt=tokens.times(2.0))
    return Work(learnt=tokens)


def _replies(stage: Stage, benchmark: ResolvedBenchmark, draft: Draft) -> Range:
    """Held-out replies to all traits at both ends."""
    known = [
        rows_of(stage, benchmark.data, (trait, level), draft, "heldout")
        for trait in benchmark.traits
        for level in levels_of(stage).ends
    ]
    return total([each or REPLIES_OF_A_TRAIT.times(0.5) for each in known])


def _assess_work(stage: Stage, draft: Draft) -> Work:
    benchmark, sampling = stage.template.get("benchmark"), stage.template.get("sampling")
    repeats, longest = _repeats(stage), sampling.max_new_tokens if isinstance(sampling, Sampling) else STORY.high
    assert isinstance(benchmark, ResolvedBenchmark), "every assessment has a benchmark"
    match benchmark.kind:
        case "reply_contrast":
            return Work(read=_replies(stage, benchmark, draft).times(TURN))
        case "lm_eval":
            return _lm_eval_work(benchmark)
        case "layer_similarity":
            return Work(read=TURN.times(2 * benchmark.rows))  # base and subject
        case "questionnaire":
            items, answer = questions_asked(stage, draft), MODES.get(benchmark.mode).longest_answer
            if answer == 0:
                # Both orders of options or every form, a pass for all repeats.
                return Work(read=items.times(forms_asked(benchmark.forms)).times(ITEM_ALONE))
            items = items.times(benchmark.forms.count if benchmark.forms else 1 + len(benchmark.follow_ups or ()))
            written = (TURN if answer is None else NUMBER).at_most(longest)
            return Work(read=items.times(repeats).times(ITEM), written=items.times(repeats).times(written))
        case "linguistic" | "story":
            texts, usual = Range.exactly(len(benchmark.prompts)), STORY if benchmark.kind == "story" else PORTRAIT
        case _:
            texts, usual = questions_asked(stage, draft), TURN
    return Work(read=texts.times(repeats).times(TURN), written=texts.times(repeats).times(usual.at_most(longest)))


def _repeats(stage: Stage) -> int:
    sampling = stage.template.get("sampling")
    return sampling.repeats if isinstance(sampling, Sampling) else 1


def _lm_eval_work(benchmark: ResolvedBenchmark) -> Work:
    known = LM_EVAL if benchmark.definition is None else {}
    otherwise = LOCAL_TASK if benchmark.definition else UNKNOWN_TASK
    documents, options, tokens, written = known.get(benchmark.task, otherwise)
    count = Range.exactly(documents) if benchmark.task in known else Range(20, documents)
    count = count if benchmark.limit is None else count.at_most(benchmark.limit)
    shots = 1 + (benchmark.shots or 0)
    requests = count.times(Range.exactly(1).plus(OPTION.times(options - 1)))
    return Work(read=requests.times(tokens).times(shots), written=count.times(written))


def questions_asked(stage: Stage, draft: Draft) -> Range:
    """Items or open questions that an assessment puts once a repeat: as its file has them, else what is usual."""
    benchmark = stage.template["benchmark"]
    assert isinstance(benchmark, ResolvedBenchmark), "every assessment has a benchmark"
    if benchmark.kind == "open_questions":
        counts = counts_of(benchmark.questions, draft)
        return Range.exactly(sum(counts.values())) if counts else OPEN_QUESTIONS
    items = draft.items.get(benchmark.items) if benchmark.kind == "questionnaire" else None
    return Range.exactly(items) if items else ITEMS


def model_passes(stage: Stage) -> list[object]:
    """The models through which a job sends every token, as often as it does: an expert writes along with its writer."""
    found = [stage.template[name] for name in ("model", "expert") if name in stage.template]
    subtracts = "opposite" in stage.table and any(stage.table["opposite"].values)
    return found + found[1:] * subtracts


def distinct_models(stage: Stage) -> list[object]:
    """The models that a job loads, each once."""
    passes = model_passes(stage)
    return [model for number, model in enumerate(passes) if model not in passes[:number]]


UNKNOWN_SIZE = Range(1e8, 1.5e10)
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([mMbB])(?![A-Za-z0-9])")


def size_from_name(model: object) -> Range:
    """Weights of a model as its name tells them ('Llama-3.1-8B-Instruct'), else a wide guess."""
    found = _SIZE.search(model.id) if isinstance(model, HubModel) else None
    if not found:
        return UNKNOWN_SIZE
    return Range.exactly(float(found[1]) * (1e9 if found[2] in "bB" else 1e6))


def bytes_per_weight(model: object) -> float:
    """Bytes of one loaded weight."""
    assert isinstance(model, HubModel | FolderModel | GgufModel)
    return 4.0 if model.dtype == "float32" else 2.0


class JudgeCalls(NamedTuple):
    """Calls of one judge."""

    model: str
    url: str
    calls: Range
    """Ratings; attempts that fail and are tried again come on top."""


def judge_calls(draft: Draft) -> list[JudgeCalls]:
    """For each judge behind an interface the calls of the missing jobs: answers of all subjects in all repeats."""
    found: dict[tuple[str, str], list[Range]] = {}
    for stage, missing in draft.missing_by_stage:
        judge = getattr(stage.template.get("benchmark"), "judge", None)
        if isinstance(judge, ResolvedJudge) and judge.kind == "api":
            ratings = questions_asked(stage, draft).times(_repeats(stage))
            found.setdefault((judge.model, judge.url), []).append(ratings.times(missing))
    return [JudgeCalls(model, url, total(calls)) for (model, url), calls in found.items()]
