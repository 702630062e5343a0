"""Benchmarks as jobs carry them: names of files are replaced by digests of their content, judges by what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from traitgraph.compiler.ir.builder import Builder, prepare
from traitgraph.compiler.ir.ir import Input, row_ids
from traitgraph.specs.jobs.benchmarks import (
    LIMITS,
    ApiJudge,
    LocalJudge,
    ResolvedBenchmark,
    ResolvedJudge,
    ResolvedLayerSimilarity,
    ResolvedLinguistic,
    ResolvedLmEval,
    ResolvedOpenQuestions,
    ResolvedPlugin,
    ResolvedQuestionnaire,
    ResolvedReplyContrast,
    ResolvedStory,
)
from traitgraph.specs.source.hashing import takes_back
from traitgraph.specs.study.analyses import LayerSimilarity
from traitgraph.specs.study.benchmarks import (
    INSTRUMENTS,
    ApiJudgeSpec,
    Instrument,
    JudgeLimits,
    JudgeSpec,
    Linguistic,
    LmEval,
    LocalJudgeSpec,
    OpenQuestions,
    Questionnaire,
    ReplyContrast,
    Story,
)
from traitgraph.specs.study.data import DataSpec
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.training import Sampling
from traitgraph.specs.study.traits import TRAITS

from .dialogues import Rows, dialogue_rows, repeated


@dataclass(frozen=True)
class Resolved:
    """One benchmark of an arm, ready to be assessed."""

    name: str
    params: ResolvedBenchmark
    sampling: Sampling | None = None
    """Only for a benchmark that draws answers: changing the temperature re-keys those alone."""
    rows: Rows | None = None
    judge: int | None = None
    """Row of the job that makes the judge loadable, if it needs one."""

    def inputs(self, jobs: int) -> tuple[Input, ...]:
        """What every assessment of the benchmark takes beside the subject."""
        data = repeated(self.rows, jobs) if self.rows else ()
        judge = () if self.judge is None else (Input("judge_model", row_ids((self.judge,)) * jobs),)
        return (*data, *judge)


def resolve_all(arm: Arm, builder: Builder) -> list[Resolved]:
    """Every measure that is taken of each subject of an arm: its benchmarks, then analyses of single subjects."""
    benchmarks = [resolve(instrument, arm, builder) for instrument in arm.benchmarks]
    layers = [_layers(analysis, arm, builder) for analysis in arm.analyses if isinstance(analysis, LayerSimilarity)]
    return [*benchmarks, *layers]


def resolve(instrument: Instrument, arm: Arm, builder: Builder) -> Resolved:
    """One benchmark of an arm."""
    if instrument.kind not in INSTRUMENTS.builtin:
        return _plugin(instrument, arm, builder)
    digest = builder.resolver.digest
    sampling = drawn(instrument, arm.sampling)
    match instrument:
        case ReplyContrast():
            assert instrument.data is not None, "validation fills in the arm's data"
            traits = tuple(trait for trait in TRAITS if trait in instrument.traits)
            rows = dialogue_rows(instrument.data, arm, builder)
            return Resolved(instrument.name, ResolvedReplyContrast(data=rows.data, traits=traits), rows=rows)
        case Questionnaire():
            judge, prepared = _judge(instrument.judge, builder) if instrument.judge else (None, None)
            items = builder.resolver.questionnaire(instrument.items)
            numbers: Literal[2] | None = None if instrument.mode == "choice" else 2
            params = ResolvedQuestionnaire(items=items, mode=instrument.mode, judge=judge, numbers=numbers)
            return Resolved(instrument.name, params, sampling, judge=prepared)
        case OpenQuestions():
            judge, prepared = _judge(instrument.judge, builder)
            questions = ResolvedOpenQuestions(questions=builder.resolver.data(instrument.questions), judge=judge)
            return Resolved(instrument.name, questions, sampling, judge=prepared)
        case Story():
            story = ResolvedStory(lexicon=digest(instrument.lexicon), prompts=instrument.prompts)
            return Resolved(instrument.name, story, sampling)
        case Linguistic():
            texts = ResolvedLinguistic(lexicon=digest(instrument.lexicon), prompts=instrument.prompts)
            return Resolved(instrument.name, texts, sampling)
        case LmEval():
            return Resolved(instrument.name, _task(instrument, builder))
    raise AssertionError(f"no job form for the benchmark {type(instrument).__name__}")


def drawn(instrument: Instrument, sampling: Sampling) -> Sampling | None:
    """How answers are drawn, as far as it changes any: a length that ends none is the default. None: none are drawn."""
    if not instrument.draws:
        return None
    longest = instrument.longest_answer
    if longest is None or sampling.max_new_tokens < longest:
        return sampling
    return sampling.model_copy(update={"max_new_tokens": Sampling.model_fields["max_new_tokens"].default})


def _plugin(instrument: Instrument, arm: Arm, builder: Builder) -> Resolved:
    """A benchmark of another package: what its fields say, less where things lie."""
    data = getattr(instrument, "data", None)
    rows = dialogue_rows(data, arm, builder) if isinstance(data, DataSpec) else None
    files = {key: builder.resolver.digest(path) for key in instrument.files if (path := getattr(instrument, key))}
    elsewhere = {"kind", "name", *files, *(("data",) if rows else ())}
    options = instrument.model_dump(mode="json", exclude=elsewhere)
    params = ResolvedPlugin(
        benchmark=instrument.kind,
        options={name: value for name, value in options.items() if value is not None or takes_back(instrument, name)},
        files=files,
        data=rows.data if rows else None,
    )
    return Resolved(instrument.name, params, drawn(instrument, arm.sampling), rows=rows)


def _task(instrument: LmEval, builder: Builder) -> ResolvedLmEval:
    return ResolvedLmEval(
        task=instrument.task,
        definition=None if instrument.folder is None else builder.resolver.digest(instrument.folder),
        harness=builder.resolver.context.harness(None if instrument.folder else instrument.task),
        shots=instrument.shots,
        chat_template=instrument.chat_template,
        limit=instrument.limit,
        filters=instrument.filters,
    )


def _layers(analysis: LayerSimilarity, arm: Arm, builder: Builder) -> Resolved:
    assert isinstance(analysis.data, DataSpec), "validation fills in the arm's data"
    rows = dialogue_rows(analysis.data, arm, builder)
    return Resolved(analysis.kind, ResolvedLayerSimilarity(data=rows.data, rows=analysis.rows), rows=rows)


def _judge(spec: JudgeSpec, builder: Builder) -> tuple[ResolvedJudge, int | None]:
    """The judge, and the row that makes it loadable. Where its key lies changes no result: it goes to `locations`."""
    match spec:
        case ApiJudgeSpec():
            judge = ApiJudge(url=spec.url, model=spec.model, temperature=spec.temperature)
            if spec.key_from:
                builder.resolver.locations[judge.key_name] = f"environment:{spec.key_from}"
            if (limits := JudgeLimits(timeout=spec.timeout, max_bytes=spec.max_bytes)) != JudgeLimits():
                builder.resolver.locations[judge.limits_name] = f"{LIMITS}{limits.model_dump_json()}"
            return judge, None
        case LocalJudgeSpec():
            model = builder.resolver.model(spec.local)
            return LocalJudge(model=model, temperature=spec.temperature), prepare(builder, model)
    raise AssertionError(f"no job form for {type(spec).__name__}")
