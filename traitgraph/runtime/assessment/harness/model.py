"""lm-evaluation-harness's view of a loaded model, with our scoring of continuations in place of its own.

The harness pads every (question, option) pair and computes it from the first token; here options share their question,
and questions share instructions and worked examples. Numbers agree up to rounding; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.models.chat import TEMPLATE_VARIABLES, Message, heard
from traitgraph.runtime.models.forward_pass import writing
from traitgraph.runtime.models.likelihood import Request, continuation_likelihoods

if TYPE_CHECKING:
    import torch
    from lm_eval.models.huggingface import HFLM

    from traitgraph.runtime.models.loading import LoadedModel


GENERATION_BATCH = 8

EncodedRequest = tuple[tuple[str, str], list[int], list[int]]


def harness_model(loaded: LoadedModel) -> HFLM:
    """The loaded model as the harness wants it. It sees every later change of the weights; wrap once a session."""
    from lm_eval.models.huggingface import HFLM

    class SharedPrefixModel(HFLM):  # type: ignore[misc]  # the library is untyped
        """A causal model that computes shared tokens once."""

        on_batch: Callable[[int, int], None] | None = None

        def _loglikelihood_tokens(
            self, requests: list[EncodedRequest], disable_tqdm: bool = False, override_bs: int | None = None
        ) -> list[tuple[float, bool]]:
            fitting = [fitting_request(context, rest, self.max_length) for _, context, rest in requests]
            scores = continuation_likelihoods(loaded, fitting, self.on_batch)
            return [(score.total, score.greedy) for score in scores]

        def _model_generate(self, context: torch.Tensor, **options: Any) -> torch.Tensor:
            with writing(context.shape[1]):
                made: torch.Tensor = super()._model_generate(context=context, **options)
            return made

        def apply_chat_template(self, chat_history: list[Message], add_generation_prompt: bool = True) -> str:
            render: Any = self.tokenizer.apply_chat_template
            options = {"tokenize": False, "add_generation_prompt": add_generation_prompt, **TEMPLATE_VARIABLES}
            options["continue_final_message"] = not add_generation_prompt
            # The harness would leave out a system message that the template does not know, and the personality with it.
            return heard(chat_history, lambda each: str(render(each, **options)))[1]

    return SharedPrefixModel(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=GENERATION_BATCH)


def fitting_request(context: list[int], continuation: list[int], max_length: int) -> Request:
    """The request cut from the left to what the model can see, as the harness cuts it."""
    tokens = tuple(context + continuation)[-(max_length + 1) :]
    return Request(tokens[: -len(continuation)], tokens[-len(continuation) :])
