"""Which held-out reply does a model find likelier, that of a person high or low in a trait?

For each held-out pair: (log p per token of the reply at the highest level) - (the same at the lowest), both after one
prompt, teacher-forced, the end of the turn included. Per token, so that a longer reply does not lose by its length.
"""

from __future__ import annotations

from traitgraph.runtime.data.dialogues import held_out_overlaps, load_dialogues, reply_pairs, same_replies
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import prompt_message_of, turn
from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.vocabulary import Vocabulary

from .measurement import Measurement, Metric

SHARED_PROMPTS = "prompts_in_training"
"""Share of the held-out rows whose prompt stands in the training split as well; absent where none does."""

LOGLIK = "_loglik"
"""End of the names under which the likelihood of each level's replies stands."""

SAME_REPLIES = "same_replies"
"""Share of the held-out pairs with one reply at both levels, which are left out; absent where there is none."""


def measure(
    context: JobContext, loaded: LoadedModel, params: AssessParams, benchmark: ResolvedBenchmark
) -> Measurement:
    """The contrast of each trait with its standard error over pairs. [nats/token]

    Pairs with one reply at both levels say nothing: they are left out and counted (in a file, `check` refuses them).
    Raises DialogueError when the data hold no other held-out pair of a trait, or, for a subject that was made of data,
    held-out rows that stand in training.
    """
    dialogues = load_dialogues(context, benchmark.data)
    has_examples = params.prompt is not None and params.prompt.examples is not None
    learnt = has_examples or not context.inputs.keys() <= {"model", "data"}
    ends = Vocabulary.of_levels(benchmark.data.levels).ends
    shared = held_out_overlaps(dialogues, benchmark.traits, learnt=learnt)
    found = [(trait, pair) for trait in benchmark.traits for pair in reply_pairs(dialogues, trait, "heldout", ends)]
    pairs = [(trait, pair) for trait, pair in found if not same_replies(pair)]
    if without := [trait for trait in benchmark.traits if trait not in {known for known, _ in pairs}]:
        raise DialogueError(f"every held-out pair of {', '.join(without)} has the same reply at both levels")
    prompt_message = prompt_message_of(context, params.prompt)
    requests = [
        Request(*turn(loaded.tokenizer, pair.prompt, reply, prompt_message))
        for _, pair in pairs
        for reply in pair.replies.values()
    ]
    scores = continuation_likelihoods(
        loaded, requests, lambda done, total: context.progress(done, total, "prompts scored")
    )
    per_token: dict[tuple[str, str], list[float]] = {}
    answers: list[dict[str, object]] = []
    for (trait, pair), *both in zip(pairs, scores[::2], scores[1::2], strict=True):
        for level, reply, score in zip(pair.replies, pair.replies.values(), both, strict=True):
            per_token.setdefault((trait, level), []).append(score.per_token)
            heard = {"reply": reply, "tokens": len(score.logprobs), "loglik": score.total}
            answers.append({"trait": trait, "pair": pair.pair, "level": level, "prompt": str(pair.prompt), **heard})
    metrics = []
    for trait in benchmark.traits:
        upper, lower = (per_token[trait, level] for level in ends)
        metrics += [
            Metric.over(trait, [a - b for a, b in zip(upper, lower, strict=True)]),
            *(Metric.over(f"{trait}.{level}{LOGLIK}", per_token[trait, level], role="validity") for level in ends),
        ]
    if shared:
        rows = sum(row.split == "heldout" and row.trait in benchmark.traits for row in dialogues)
        metrics.append(Metric(SHARED_PROMPTS, len(shared) / rows, rows, role="validity"))
    if same := len(found) - len(pairs):
        metrics.append(Metric(SAME_REPLIES, same / len(found), len(found), role="validity"))
    return Measurement(answers, metrics)
