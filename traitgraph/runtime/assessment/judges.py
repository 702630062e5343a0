"""Who rates free answers: a model behind an HTTP interface of chat completions, or a local one.

A judge reads prompts and gives back raw texts, each kept the moment it is there; it knows nothing of scales or traits.
The key of an interface is read from its environment variable when it is needed, and stands in no file and no message.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import Protocol

from traitgraph.specs.benchmarks import ApiJudge, ResolvedJudge

from ..chat import prompt_ids
from ..context import JobContext, Stopped
from ..kept_texts import KeptTexts, write_missing
from ..models import LoadedModel, open_model
from ..subjects import leave_subject

REQUESTS_AT_ONCE = 8
TIMEOUT_SECONDS = 120.0
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
REPLY_TOKENS = 64
"""Longest reply of a local judge, which is asked for a rating alone. [tokens]"""

_ENVIRONMENT = "environment:"
_HINTS = {
    401: "the key is wrong or missing: see `key_from` of the judge",
    403: "the key has no right to this model",
    404: "there is no such model, or `url` is not the base address, which often ends in /v1",
}


class JudgeError(RuntimeError):
    """A judge that cannot be asked; the message says where, why and how to repair it. It never holds the key."""


class Judge(Protocol):
    """Replies to prompts."""

    def reply(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        """Put a reply to every prompt that has none into `kept`, under the prompt's name."""
        ...


def open_judge(context: JobContext, judge: ResolvedJudge) -> Judge:
    """The judge, ready to be asked. A local one may share the subject's base, which is brought back for it.

    Raises JudgeError when its key is not set.
    """
    if isinstance(judge, ApiJudge):
        return HttpJudge(judge, judge_key(context.locations.get(judge.key_name)))
    loaded = open_model(context, judge.model, "judge_model")
    leave_subject(context, loaded)  # a judge is never under the influence of what it judges
    return ModelJudge(loaded, judge.temperature)


def judge_key(location: str | None) -> str | None:
    """The key that `environment:NAME` tells of; None without a location. Raises JudgeError while NAME is not set."""
    if location is None:
        return None
    name = location.removeprefix(_ENVIRONMENT)
    if not (key := os.environ.get(name, "").strip()):
        raise JudgeError(f"the judge's key is read from the variable {name}, which is not set: export {name}=...")
    return key


class ModelJudge:
    """A judging model that runs here; equal prompts get equal replies, whatever was asked before."""

    def __init__(self, loaded: LoadedModel, temperature: float) -> None:
        self._loaded = loaded
        self._temperature = temperature

    def reply(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        """Write the replies that are missing, batch by batch."""
        ids = {name: prompt_ids(self._loaded.tokenizer, prompt) for name, prompt in prompts.items()}
        write_missing(
            context, self._loaded, ids, kept, "ratings",
            temperature=self._temperature, max_new_tokens=REPLY_TOKENS, stream="judge",
        )  # fmt: skip


class HttpJudge:
    """A model behind `URL/chat/completions`; several answers are judged at once.

    Too many requests (429), faults of the server (5xx) and broken connections are tried again, with longer pauses.
    """

    def __init__(self, judge: ApiJudge, key: str | None) -> None:
        self._judge = judge
        self._key = key
        self._url = judge.url.rstrip("/") + "/chat/completions"
        self._given_up = Event()
        # A redirect would carry the key to another machine.
        self._opener = urllib.request.build_opener(_NoRedirect)

    def reply(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        """Ask for the replies that are missing; raises JudgeError, and Stopped when the time is nearly up."""
        missing = [name for name in prompts if name not in kept.texts]
        context.progress(len(prompts) - len(missing), len(prompts), "ratings")
        pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="traitgraph-judge")
        try:
            asked = [pool.submit(self._reply_one, name, prompts[name], kept) for name in missing]
            for number, future in enumerate(as_completed(asked), start=len(prompts) - len(missing) + 1):
                future.result()
                context.progress(number, len(prompts), "ratings")
                if context.stop_wanted() and number < len(prompts):
                    raise Stopped("saved")
        except BaseException:
            self._given_up.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # what is on its way is paid for: it is kept

    def _reply_one(self, name: str, prompt: str, kept: KeptTexts) -> None:
        if not self._given_up.is_set():
            kept.add({name: self._asked(prompt)})

    def _asked(self, prompt: str) -> str:
        """The reply to one prompt, after as many attempts as it takes."""
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._without_key(_content(self._post(prompt)))
            except urllib.error.HTTPError as error:
                fault = self._fault(error)
                if error.code != 429 and error.code < 500:
                    raise fault from None
                wait = _asked_pause(error.headers.get("Retry-After"), pause)
            except (OSError, http.client.HTTPException) as error:
                fault = JudgeError(f"{self._url}: not reachable: {self._without_key(str(error))}")
                wait = pause
            except (ValueError, LookupError, TypeError):
                fault = JudgeError(f"{self._url}: what came back is no chat completion; is `url` the base address?")
                wait = pause
            if attempt == ATTEMPTS or self._given_up.wait(wait):
                break
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        raise JudgeError(f"{fault} (gave up after {attempt} attempts; judged answers are kept, run again)")

    def _post(self, prompt: str) -> bytes:
        judge = self._judge
        body = {
            "model": judge.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": judge.temperature,
        }
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            answer: bytes = response.read()
        return answer

    def _fault(self, error: urllib.error.HTTPError) -> JudgeError:
        try:
            said = error.read(500).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            said = ""
        hint = f"; {_HINTS[error.code]}" if error.code in _HINTS else ""
        about = f"{self._url}: HTTP {error.code} for model '{self._judge.model}'{hint}"
        return JudgeError(self._without_key(f"{about}: {' '.join(said.split())}".rstrip(": ")))

    def _without_key(self, text: str) -> str:
        """A server may repeat the key that it was sent."""
        return text.replace(self._key, "[key]") if self._key else text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Nothing: the redirect becomes an error."""


def _content(body: bytes) -> str:
    """The text of a chat completion. Raises ValueError, LookupError or TypeError for anything else."""
    content = json.loads(body)["choices"][0]["message"]["content"]
    if content is not None and not isinstance(content, str):
        raise TypeError("the content is no text")
    return (content or "").strip()


def _asked_pause(header: str | None, pause: float) -> float:
    """The pause that the server asks for, within reason, if it is longer than ours. [s]"""
    try:
        return min(max(float(header or 0), pause), LONGEST_PAUSE_SECONDS)
    except ValueError:  # a date
        return pause
