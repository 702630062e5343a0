"""A judge behind an HTTP interface of chat completions.

The key of an interface is read from its environment variable when it is needed, and stands in no file and no message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.resumable_generation import KeptTexts
from traitgraph.specs.jobs.refs import ResolvedJudge
from traitgraph.specs.source.diagnostics import printable
from traitgraph.specs.study.judges import LIMITS, JudgeLimits

from .judges import JudgeError

if TYPE_CHECKING:
    import aiohttp


REQUESTS_AT_ONCE = 8
ATTEMPTS = 6
ATTEMPTS_BEYOND_LIMITS = 2
"""After so many replies that took too long or were too long, a server is given up: a silent one must cost little."""
LISTEN_SECONDS = 0.5
"""Between two looks whether we are asked to stop."""
GRACE_SECONDS = 3.0
"""How long replies that are on their way are waited for after a failure or a stop."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

_HINTS = {
    401: "the key is wrong or missing: see `key_from` of the judge",
    403: "the key has no right to this model",
    404: "there is no such model, or `url` is not the base address, which often ends in /v1",
}


def open_judge(context: JobContext, judge: ResolvedJudge) -> HttpJudge:
    """The judge with its key and limits, which the locations of the job table tell.

    Raises JudgeError while the variable is not set in which the key should be.
    """
    limits, key = context.locations.get(judge.limits_name), None
    known = JudgeLimits.model_validate_json(limits.removeprefix(LIMITS)) if limits else JudgeLimits()
    if location := context.locations.get(judge.key_name):
        name = location.removeprefix("environment:")
        if not (key := os.environ.get(name, "").strip()):
            raise JudgeError(f"the judge's key is read from the variable {name}, which is not set: export {name}=...")
    return HttpJudge(judge, key, known)


class HttpJudge:
    """A model behind `URL/chat/completions`; several answers are judged at once.

    Too many requests (429), faults of the server (5xx) and broken connections are tried again, with longer pauses.
    The server decides neither how long nor how much is read: `JudgeLimits` hold for each reply as a whole.
    """

    def __init__(self, judge: ResolvedJudge, key: str | None, limits: JudgeLimits) -> None:
        self._judge = judge
        self._key = key
        self._limits = limits
        self._url = judge.url.rstrip("/") + "/chat/completions"
        address = urlsplit(self._url)
        self._proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)

    def reply(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        """Ask for the replies that are missing; raises JudgeError, and Stopped when the time is nearly up."""
        asyncio.run(self._reply_all(context, prompts, kept))

    async def _reply_all(self, context: JobContext, prompts: Mapping[str, str], kept: KeptTexts) -> None:
        import aiohttp

        missing = iter([name for name in prompts if name not in kept.texts])
        over = asyncio.Event()

        async def work() -> None:
            for name in missing:
                if over.is_set() or context.stop_wanted():
                    return
                kept.add({name: await self._asked(session, prompts[name], over)})
                context.progress(len(kept.texts.keys() & prompts.keys()), len(prompts), "ratings")

        context.progress(len(kept.texts.keys() & prompts.keys()), len(prompts), "ratings")
        timeout = aiohttp.ClientTimeout(total=self._limits.timeout)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            workers = [asyncio.create_task(work()) for _ in range(REQUESTS_AT_ONCE)]
            try:
                waiting = set(workers)
                while waiting and not context.stop_wanted():
                    done, waiting = await asyncio.wait(waiting, timeout=LISTEN_SECONDS, return_when="FIRST_COMPLETED")
                    for each in done:
                        each.result()
            finally:
                over.set()
                await asyncio.wait(workers, timeout=GRACE_SECONDS)  # what is on its way is paid for: it is kept
                for each in workers:
                    each.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        if prompts.keys() - kept.texts.keys():
            raise Stopped("saved")

    async def _asked(self, session: aiohttp.ClientSession, prompt: str, over: asyncio.Event) -> str:
        """The reply to one prompt, after a few attempts; what takes too long, or is too long, is borne twice."""
        import aiohttp

        pause, attempt, beyond = FIRST_PAUSE_SECONDS, 0, 0
        while True:
            attempt, wait, final = attempt + 1, pause, False
            try:
                status, headers, body = await self._post(session, prompt)
                if len(body) > self._limits.max_bytes:
                    beyond += 1
                    fault = f"a reply of more than {self._limits.max_bytes:,} bytes (`max_bytes`)"
                elif status == 200:
                    return self._without_key(_content(body))
                else:
                    hint = f"; {_HINTS[status]}" if status in _HINTS else ""
                    said = self._without_key(body.decode("utf-8", "replace"))[:500]  # cut after, or half of it stays
                    said = " ".join(printable(said).split())
                    fault = f"HTTP {status} for model '{self._judge.model}'{hint}: {said}".rstrip(": ")
                    wait, final = _asked_pause(headers.get("Retry-After"), pause), status != 429 and status < 500
            except TimeoutError:
                beyond += 1
                fault = f"no whole reply in {self._limits.timeout:g} s (`timeout`)"
            except (aiohttp.ClientResponseError, aiohttp.ClientPayloadError):  # whose texts may hold half of a key
                fault = "no answer in proper HTTP, or one that was cut off"
            except (OSError, aiohttp.ClientError) as error:
                fault = f"not reachable: {printable(str(error))}"
            except (ValueError, LookupError, TypeError, RecursionError):
                fault = "what came back is not a chat completion; is `url` the base address?"
            fault = f"{self._url}: {self._without_key(fault)}"
            if final:
                raise JudgeError(fault)
            if attempt == ATTEMPTS or beyond == ATTEMPTS_BEYOND_LIMITS or await _is_over(over, wait):
                raise JudgeError(f"{fault} (gave up after {attempt} attempts; judged answers are kept, run again)")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _post(self, session: aiohttp.ClientSession, prompt: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; of a body that is too long one byte more than is allowed."""
        judge = self._judge
        body = {
            "model": judge.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": judge.temperature,
        }
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        request = session.post(self._url, json=body, headers=headers, proxy=self._proxy, allow_redirects=False)
        async with request as response:  # a redirect would carry the key to another machine
            try:
                answer = await response.content.readexactly(self._limits.max_bytes + 1)
                response.close()
            except asyncio.IncompleteReadError as whole:
                answer = whole.partial
            return response.status, response.headers, answer

    def _without_key(self, text: str) -> str:
        """A server may repeat the key that it was sent."""
        return text.replace(self._key, "[key]") if self._key else text


async def _is_over(over: asyncio.Event, pause: float) -> bool:
    """Wait for a while, or until it is over."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), pause)
    return over.is_set()


def _content(body: bytes) -> str:
    """The text of a chat completion. Raises ValueError, LookupError or TypeError for anything else."""
    content = json.loads(body)["choices"][0]["message"]["content"]
    if content is not None and not isinstance(content, str):
        raise TypeError("the content is not a text")
    # Half of a surrogate pair is no character: it could be neither shown nor written.
    return (content or "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip()


def _asked_pause(header: str | None, pause: float) -> float:
    """The pause that the server asks for, within reason, if it is longer than ours. [s]"""
    try:
        return min(max(float(header or 0), pause), LONGEST_PAUSE_SECONDS)
    except ValueError:  # a date
        return pause
