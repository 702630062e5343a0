"""Administer one benchmark to the model as it stands: the one place that knows which benchmark runs where."""

from __future__ import annotations

from traitgraph.specs.benchmarks import ResolvedLmEval, ResolvedQuestionnaire, ResolvedReplyContrast
from traitgraph.specs.jobs import AssessParams

from ..context import JobContext
from ..models import LoadedModel
from ..quiet import quiet_libraries
from .measurement import Measurement


def administer(context: JobContext, loaded: LoadedModel, params: AssessParams) -> Measurement:
    """What the benchmark of the parameters finds about the model as it stands now."""
    _refuse_unknown_subject(params)
    with quiet_libraries():
        match params.benchmark:
            case ResolvedReplyContrast() as benchmark:
                from .reply_contrast import measure_reply_contrast

                return measure_reply_contrast(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="generate") as benchmark:
                from .questionnaire_written import measure_written_questionnaire

                return measure_written_questionnaire(context, loaded, params, benchmark)
            case ResolvedQuestionnaire(mode="choice") as benchmark:
                from .questionnaire import measure_questionnaire

                return measure_questionnaire(context, loaded, params, benchmark)
            case ResolvedLmEval() as benchmark:
                from .lm_eval_task import measure_lm_eval

                return measure_lm_eval(context, loaded, params, benchmark)
            case other:
                mode = f" in mode '{other.mode}'" if isinstance(other, ResolvedQuestionnaire) else ""
                raise NotImplementedError(f"benchmark kind '{other.kind}'{mode} cannot be run by this version")


def _refuse_unknown_subject(params: AssessParams) -> None:
    """A subject that this version cannot make must fail, not be measured as something else."""
    prompt = params.prompt
    if params.steering or params.neurons:
        raise NotImplementedError("steered subjects cannot be run by this version")
    if prompt and (prompt.place or prompt.examples):
        raise NotImplementedError("prompts before user messages, and demonstrations, cannot be run by this version")
