"""Benchmarks as jobs carry them: names of files are replaced by digests of their content, judges by what they are."""

from __future__ import annotations

from dataclasses import dataclass

from traitgraph.compiler.ir.builder import Builder, prepare
from traitgraph.compiler.ir.ir import Input, row_ids
from traitgraph.specs.jobs.refs import PLUGIN, ResolvedBenchmark, ResolvedJudge
from traitgraph.specs.source.hashing import takes_back
from traitgraph.specs.study.analyses import LayerSimilarity
from traitgraph.specs.study.benchmarks import LmEval, Measured, OpenQuestions, Questionnaire
from traitgraph.specs.study.data import DataSpec
from traitgraph.specs.study.forms import Forms
from traitgraph.specs.study.judges import JudgeSpec
from traitgraph.specs.study.models import ModelSpec
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.training import Sampling

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
    """Every benchmark of each subject of an arm, then the analyses that look at one subject."""
    found = [resolve(benchmark, benchmark.name, arm, builder) for benchmark in arm.benchmarks]
    layers = (analysis for analysis in arm.analyses if isinstance(analysis, LayerSimilarity))
    return found + [resolve(analysis, analysis.kind, arm, builder) for analysis in layers]


def resolve(written: Measured, name: str, arm: Arm, builder: Builder) -> Resolved:
    """One benchmark of an arm: its fields, less where things lie. A field that names no file is taken as it is."""
    resolver, rows, judge, prepared = builder.resolver, None, None, None
    fields, files = dict[str, object](), dict[str, str]()
    for field, value in written:
        match value:
            case str() if field in written.files:
                digest = resolver.questionnaire if isinstance(written, Questionnaire) else resolver.digest
                files[field] = digest(value)
            case Forms(language=paths) if paths:
                languages = {name: resolver.questionnaire(path) for name, path in paths.items()}
                fields[field] = value.model_copy(update={"language": languages})
            case DataSpec() if field == "data":
                rows = dialogue_rows(value, arm, builder)
                fields[field] = rows.data
            case DataSpec() if written.in_jobs:
                fields[field] = resolver.data(value)  # questions have no level
            case tuple() if field == "traits" and written.in_jobs:  # in which order a spec has them changes nothing
                fields[field] = arm.vocabulary.in_order(value)
            case JudgeSpec():
                judge, prepared = _judge(value, builder)
                fields[field] = judge
            case _ if field not in ("kind", "name"):
                fields[field] = value
    fields |= written.facts(resolver.context.harness)
    if isinstance(written, Questionnaire):
        fields |= resolver.item_words(written.items, arm.vocabulary)
    if isinstance(written, OpenQuestions):
        fields["meanings"] = arm.vocabulary.meanings
    if written.in_jobs:
        if isinstance(written, LmEval):
            fields["definition"] = files.pop("folder", None)
        params = ResolvedBenchmark(kind=written.kind, **{each: (fields | files).get(each) for each in written.in_jobs})
    else:
        params = _of_package(written, fields, files, judge)
    return Resolved(name, params, drawn(written, arm.sampling), rows=rows, judge=prepared)


def _of_package(
    written: Measured, fields: dict[str, object], files: dict[str, str], judge: ResolvedJudge | None
) -> ResolvedBenchmark:
    """The form of all benchmarks of other packages: a null that is a field's default is left out."""
    options = written.model_dump(mode="json", exclude={"kind", "name", *files, *({"data", "judge"} & fields.keys())})
    return ResolvedBenchmark(
        kind=PLUGIN,
        benchmark=written.kind,
        options={name: value for name, value in options.items() if value is not None or takes_back(written, name)},
        files=files,
        data=fields.get("data"),
        **({"judge": judge} if judge else {}),
    )


def drawn(written: Measured, sampling: Sampling) -> Sampling | None:
    """How answers are drawn, as far as it changes any: a length that ends none is the default. None: none are drawn."""
    if not written.draws:
        return None
    longest = written.longest_answer
    if longest is None or sampling.max_new_tokens < longest:
        return sampling
    return sampling.model_copy(update={"max_new_tokens": Sampling.model_fields["max_new_tokens"].default})


def _judge(spec: JudgeSpec, builder: Builder) -> tuple[ResolvedJudge, int | None]:
    """The judge, and the row that makes it loadable. Where its key lies changes no result: it goes to `locations`."""
    prepared, fields = None, dict[str, object]()
    for name, value in spec:
        if isinstance(value, ModelSpec):
            value = builder.resolver.model(value)
            prepared = prepare(builder, value)
        if name not in (*spec.unkeyed, "temperature") and value is not None:
            fields[spec.in_jobs.get(name, name)] = value
    builder.resolver.locations.update(spec.locations())
    return ResolvedJudge(kind=spec.kind, **fields, temperature=spec.temperature), prepared
