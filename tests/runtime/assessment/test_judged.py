"""Interviews and open questions: what is asked, rated, counted, kept, and never told."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import re
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judge_server import Reply, judge_server
from tests.runtime.contexts import MakeContext
from tests.runtime.decoding.test_decoding import save_adapter
from tests.runtime.questionnaires import ITEMS, write_questionnaire
from tests.tiny_model import save_tiny_model
from traitgraph.runtime.assessment.job import assess
from traitgraph.runtime.assessment.judged import http_judge as over_http
from traitgraph.runtime.assessment.judged.interviews import item_prompt, meanings_of, measure_items, trait_prompt
from traitgraph.runtime.assessment.judged.judges import Judged, JudgeError, ModelJudge, outcome_metrics
from traitgraph.runtime.assessment.measurement import Measurement, Metric
from traitgraph.runtime.assessment.questionnaires.items import Item, Questionnaire, Scale, read_questionnaire
from traitgraph.runtime.data.conversations import messages_of
from traitgraph.runtime.data.dialogues import Question
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext, Stopped
from traitgraph.runtime.models.chat import prompt_ids
from traitgraph.runtime.models.loading import LoadedModel, open_model
from traitgraph.runtime.models.resumable_generation import KeptTexts
from traitgraph.runtime.subjects.workbench import leave_subject, weights_checksum
from traitgraph.runtime.worker.task import signals_heeded
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import (
    FileData,
    FolderModel,
    ResolvedBenchmark,
    ResolvedJudge,
)
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.judges import LIMITS, JudgeLimits
from traitgraph.specs.study.training import Sampling
from traitgraph.specs.study.vocabulary import BIG_FIVE, Pole, TraitWords, Vocabulary

KEY = "a-secret-of-the-test"
TWO_REPEATS = Sampling(temperature=1.0, repeats=2, max_new_tokens=6)
RATINGS = {"life of the party": "5", "talk a lot": "2", "Worry": "x", "worry": "x", "relaxed": "3 or 4"}
QUESTIONS = [
    {"id": "a", "trait": "extraversion", "prompt": "What do you do at a party?"},
    {"id": "b", "trait": "Extraversion", "prompt": "How do you talk?"},
    {"id": "c", "trait": "neuroticism", "prompt": "What worries you?"},
]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("JUDGE_KEY", KEY)


def by_statement(prompt: str) -> str:
    """A known rating for each item."""
    statement = prompt.partition("Statement: ")[2].partition("\n")[0]
    return next(rating for words, rating in RATINGS.items() if words in statement)


Interview = Any


@pytest.fixture
def interview(
    make_context: MakeContext, model_ref: FolderModel, locations: dict[str, str], tmp_path: Path
) -> Interview:
    """`interview(judge, **changes of the questionnaire)`: a context with partial work, and its parameters."""
    partial = tmp_path / "partial"
    partial.mkdir()

    def make(judge: ResolvedJudge, **changes: Any) -> tuple[JobContext, AssessParams]:
        path = write_questionnaire(tmp_path / "four.json", **changes)
        locations[digest_path(path)] = str(path)
        if judge.kind == "api":
            locations[judge.key_name] = "environment:JUDGE_KEY"
        items = ResolvedBenchmark(kind="questionnaire", items=digest_path(path), mode="interview", judge=judge)
        params = AssessParams(model=model_ref, benchmark=items, sampling=TWO_REPEATS)
        return dataclasses.replace(make_context(params), partial=partial), params

    return make


def http_judge(url: str) -> ResolvedJudge:
    return ResolvedJudge(kind="api", url=url, model="judge-1", temperature=0.0)


def rows_of(folder: Path, name: str = "answers") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def values_of(folder: Path) -> dict[tuple[str, int | None], tuple[float | None, int]]:
    return {(row["metric"], row["repeat"]): (row["value"], row["n"]) for row in rows_of(folder, "metrics")}


def test_ratings_are_keyed_and_what_has_none_is_counted(interview: Interview) -> None:
    """5 for a + item and 2 for a - item are (5 + 4) / 2; a refusal and an unreadable reply are no rating at all."""
    with judge_server(by_statement) as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
    values = values_of(context.out)
    for repeat in (0, 1):
        assert values["extraversion", repeat] == (4.5, 2)
        assert values["neuroticism", repeat] == (None, 0)
    assert values["refusals", None] == values["parse_failures", None] == (0.25, 8)
    rows = rows_of(context.out)
    assert {tuple(row["scale"]) for row in rows} == {(1, 5)}
    assert [(row["rating"], row["outcome"], row["judge"]) for row in rows[:4]] == [
        (5, "rated", "5"), (2, "rated", "2"), (None, "refused", "x"), (None, "unreadable", "3 or 4"),
    ]  # fmt: skip
    assert all(row["text"] and row["question"] for row in rows)


def test_follow_ups_go_on_with_the_conversation_and_the_judge_reads_all_of_it(
    interview: Interview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subject reads its own earlier answers; without follow-ups the first answers are the same."""
    with judge_server(lambda prompt: "4") as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
        alone = {(row["item"], row["repeat"]): row["text"] for row in rows_of(context.out)}
        heard: list[list[str]] = []

        def noted(tokenizer: Any, user: str, prompt_message: Any = None) -> tuple[int, ...]:
            heard.append([each["content"] for each in messages_of(user)])
            return prompt_ids(tokenizer, user, prompt_message)

        monkeypatch.setattr("traitgraph.runtime.assessment.judged.judges.prompt_ids", noted)
        benchmark = params.benchmark.model_copy(update={"follow_ups": ("Why?", "Since when?")})
        params = params.model_copy(update={"benchmark": benchmark})
        follow = dataclasses.replace(context, partial=None)
        measured = measure_items(follow, open_model(follow, params.model), params, benchmark)
    assert len(heard) == 3 * 8
    for row in measured.answers:
        first, second, _ = re.split(r"\n\n\[(?:Why|Since when)\?\]\n\n", str(row["text"]))
        assert first == alone[row["item"], row["repeat"]]
        assert [row["question"], first, "Why?", second, "Since when?"] in heard
        assert any(f"<<<\n{row['text']}\n>>>" in prompt for prompt in server.prompts)
    assert len({row["text"] for row in measured.answers}) == 8


def test_the_judge_sees_item_scale_question_and_answer(interview: Interview) -> None:
    """An item's own question is asked in place of ours; the request is a chat completion with the judge's settings."""
    own = [{**ITEMS[0], "question": "Who are you at a party?"}]
    with judge_server(lambda prompt: "4") as server:
        context, params = interview(http_judge(server.url), items=own)
        assess(context, params)
    row = rows_of(context.out)[0]
    assert row["question"] == "Who are you at a party?"
    prompt = next(each for each in server.prompts if row["text"] in each)
    for part in ("I am the life of the party.", "5 = very accurate", "Who are you at a party?"):
        assert part in prompt
    assert server.paths[0] == "/v1/chat/completions"
    assert server.authorizations[0] == f"Bearer {KEY}"
    assert (server.bodies[0]["model"], server.bodies[0]["temperature"]) == ("judge-1", 0.0)


def failing_first(*faults: int | bytes) -> Reply:
    left = list(faults)
    return lambda prompt: left.pop() if left else by_statement(prompt)


def test_faults_that_pass_are_tried_again(interview: Interview) -> None:
    """Too many requests, a broken server and garbage cost attempts, not results."""
    with judge_server(failing_first(429, 500, 503, b"<html>", b'{"choices": []}')) as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
    assert values_of(context.out)["extraversion", 0] == (4.5, 2)
    assert len(server.bodies) == 8 + 5


@pytest.mark.parametrize(("status", "hint"), [(401, "key_from"), (404, "base address"), (400, "HTTP 400")])
def test_faults_that_stay_end_the_job_with_a_reason_and_without_the_key(
    interview: Interview, status: int, hint: str
) -> None:
    """The server repeats the key; the message does not."""
    with judge_server(lambda prompt: status) as server:
        context, params = interview(http_judge(server.url))
        with pytest.raises(JudgeError, match=hint) as caught:
            assess(context, params)
    assert str(status) in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(server.bodies) <= 8  # one each, never a second try


def test_a_redirect_is_not_followed(interview: Interview) -> None:
    """It would carry the key to another machine."""
    with judge_server(lambda prompt: 302) as server:
        context, params = interview(http_judge(server.url))
        with pytest.raises(JudgeError, match="HTTP 302"):
            assess(context, params)


@pytest.mark.parametrize("fault", [500, b"garbage"])
def test_a_judge_that_never_answers_is_given_up(
    interview: Interview, fault: int | bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_http, "ATTEMPTS", 2)
    with judge_server(lambda prompt: fault) as server:
        context, params = interview(http_judge(server.url))
        with pytest.raises(JudgeError, match="gave up after"):
            assess(context, params)


def test_an_unreachable_judge_is_named(interview: Interview, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "ATTEMPTS", 2)
    context, params = interview(http_judge("http://127.0.0.1:9/v1"))
    with pytest.raises(JudgeError, match=r"127\.0\.0\.1:9/v1/chat/completions: not reachable"):
        assess(context, params)


def test_a_missing_key_is_told_by_its_name(interview: Interview, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    context, params = interview(http_judge("http://127.0.0.1:9/v1"))
    with pytest.raises(JudgeError, match="export JUDGE_KEY="):
        assess(context, params)


def limited(context: JobContext, judge: ResolvedJudge, **limits: Any) -> JobContext:
    place = {judge.limits_name: LIMITS + JudgeLimits(**limits).model_dump_json()}
    return dataclasses.replace(context, locations={**context.locations, **place})


def test_a_reply_is_read_up_to_the_limit_and_no_further(interview: Interview, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends without end is cut, said to be too long, and given up."""
    monkeypatch.setattr(over_http, "ATTEMPTS", 2)
    sent: list[int] = []

    def flood(prompt: str) -> Iterator[bytes]:
        place = len(sent)
        sent.append(0)
        while True:
            sent[place] += 1
            yield b" " * (1 << 16)

    with judge_server(flood) as server:
        judge = http_judge(server.url)
        context, params = interview(judge)
        with pytest.raises(JudgeError, match=r"more than 100,000 bytes \(`max_bytes`\)"):
            assess(limited(context, judge, max_bytes=100_000), params)
    assert max(sent) < 200  # what the buffers of the machine took: a few MB


@pytest.mark.parametrize("piece", [b" ", b""])
def test_a_reply_that_drips_or_never_comes_is_cut_and_asked_for_once_more(interview: Interview, piece: bytes) -> None:
    """The limit is that of the whole reply; bytes that come one by one do not prolong it."""
    over = threading.Event()

    def drip(prompt: str) -> Iterator[bytes]:
        while not over.wait(0.05):
            yield piece

    with judge_server(drip) as server:
        judge = http_judge(server.url)
        context, params = interview(judge)
        with pytest.raises(JudgeError, match=r"no whole reply in 0\.3 s .*gave up after 2 attempts"):
            assess(limited(context, judge, timeout=0.3), params)
        over.set()
    assert len(server.bodies) <= 16


HEAD = b"HTTP/1.0 200 OK\r\n"
ODD = {
    "a long header": ([HEAD, b"X: " + b"x" * 1_000_000 + b"\r\n\r\n"], "no answer in proper HTTP"),
    "a broken head": ([b"Bearer " + KEY.encode() + b" says hello\r\n\r\n"], "no answer in proper HTTP"),
    "a gzip bomb": (
        [HEAD, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b" " * 50_000_000)],
        "not a chat completion",
    ),
    "cut off": ([HEAD, b"Content-Length: 1000\r\n\r\n", b'{"choices'], "no answer in proper HTTP"),
    "a bad chunk": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz " + KEY.encode() + b"\r\n"],
        "no answer in proper HTTP",
    ),
    "half of the key": ([b"HTTP/1.0 400 No\r\n\r\n", b"x" * 493 + b" " + KEY.encode()], "HTTP 400"),
}


@pytest.mark.parametrize("fault", ODD)
def test_odd_answers_are_faults_within_the_limits_and_tell_no_part_of_the_key(
    interview: Interview, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(over_http, "ATTEMPTS", 1)
    pieces, told = ODD[fault]
    with judge_server(lambda prompt: (0, iter(pieces))) as server:
        judge = http_judge(server.url)
        context, params = interview(judge)
        with pytest.raises(JudgeError, match=told) as caught:
            assess(limited(context, judge, max_bytes=100_000, timeout=5), params)
    assert "a-sec" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("line", [b"X: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_head_without_end_is_cut(interview: Interview, monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    """Headers, and interim answers, are read no further than a reply may be long."""
    monkeypatch.setattr(over_http, "ATTEMPTS", 1)
    sent: list[int] = []

    def head(prompt: str) -> Iterator[bytes]:
        place = len(sent)
        sent.append(0)
        yield line if line.startswith(b"HTTP") else HEAD
        while True:
            sent[place] += 1
            yield line * 4096

    with judge_server(lambda prompt: (0, head(prompt))) as server:
        judge = http_judge(server.url)
        context, params = interview(judge)
        with pytest.raises(JudgeError, match=r"no answer in proper HTTP|no whole reply"):
            assess(limited(context, judge, timeout=2), params)
    assert max(sent) < 400


def test_a_stop_is_heard_while_a_reply_is_waited_for(interview: Interview, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "LISTEN_SECONDS", 0.02)
    monkeypatch.setattr(over_http, "GRACE_SECONDS", 0.02)
    over = threading.Event()

    def silence(prompt: str) -> Iterator[bytes]:
        over.wait()
        yield b""

    with judge_server(silence) as server:
        context, params = interview(http_judge(server.url))
        with pytest.raises(Stopped):
            assess(dataclasses.replace(context, stop_wanted=lambda: bool(server.bodies)), params)
        over.set()


def test_a_signal_ends_the_wait_for_a_reply_at_once(interview: Interview) -> None:
    """SIGTERM, as launchers and schedulers send it, with a server that says nothing."""
    over, first = threading.Event(), threading.Lock()

    def silence(prompt: str) -> Iterator[bytes]:
        if first.acquire(blocking=False):  # a second signal, after the block, would end the tests themselves
            os.kill(os.getpid(), signal.SIGTERM)
        over.wait()
        yield b""

    with judge_server(silence) as server, signals_heeded():
        context, params = interview(http_judge(server.url))
        with pytest.raises(Stopped, match="SIGTERM"):
            assess(context, params)
        over.set()


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"choices": ' * 200_000], ids=["lists", "mappings"])
def test_a_reply_nested_without_end_is_an_unreadable_reply(
    interview: Interview, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_http, "ATTEMPTS", 1)
    with judge_server(lambda prompt: body) as server:
        context, params = interview(http_judge(server.url))
        with pytest.raises(JudgeError, match="not a chat completion"):
            assess(context, params)


def test_half_of_a_surrogate_pair_in_a_reply_is_no_reason_to_fail(interview: Interview) -> None:
    """It is no character: what stands in its place can be written and shown, and the rating counts."""
    with judge_server(lambda prompt: b'{"choices": [{"message": {"content": "4 \\ud800"}}]}') as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
    assert {(row["judge"], row["rating"]) for row in rows_of(context.out)} == {("4 \ufffd", 4)}


def test_what_a_judge_says_cannot_drive_the_terminal(interview: Interview) -> None:
    with judge_server(lambda prompt: (400, b"\x1b[2Jno such \x07model")) as server:
        context, params = interview(http_judge(server.url))
        with pytest.raises(JudgeError, match=r"no such .model") as caught:
            assess(context, params)
    assert str(caught.value).isprintable()


def test_kept_rows_that_changed_are_made_again(interview: Interview, capsys: pytest.CaptureFixture[str]) -> None:
    """A letter of a text, a bit of a line, a torn end: each counts as absent and spoils no other."""
    with judge_server(by_statement) as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
        before = rows_of(context.out)
        assert context.partial is not None
        for name in ("judge_replies", "free_answers"):
            kept = context.partial / f"{name}.jsonl"
            lines = kept.read_bytes().splitlines(keepends=True)
            lines[0] = bytes([lines[0][0] ^ 128]) + lines[0][1:]
            lines[1] = lines[1].replace(b'"]', b'z"]')
            kept.write_bytes(b"".join(lines) + b"0123 [1")
        server.bodies.clear()
        assess(context, params)
    assert rows_of(context.out) == before
    assert len(server.bodies) == 2
    assert "judge_replies.jsonl: 3 rows cannot be read and are made again" in capsys.readouterr().err


def test_rows_of_another_job_are_made_again(interview: Interview, capsys: pytest.CaptureFixture[str]) -> None:
    """A kept file that was copied from another job, or under another name, holds no text of this one."""
    with judge_server(by_statement) as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
        before = rows_of(context.out)
        assert context.partial is not None
        other = context.partial.parent / "other"
        other.mkdir()
        strange = KeptTexts(other, "judge_replies")
        strange.add(dict.fromkeys(KeptTexts(context.partial, "judge_replies").texts, "1"))
        (other / "judge_replies.jsonl").replace(context.partial / "judge_replies.jsonl")
        assess(context, params)
    assert rows_of(context.out) == before
    assert "judge_replies.jsonl: 8 rows cannot be read and are made again" in capsys.readouterr().err


def test_nothing_is_asked_twice_after_an_interruption(interview: Interview, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after some ratings, with a torn line as a kill leaves it: only the rest is asked."""
    monkeypatch.setattr(over_http, "REQUESTS_AT_ONCE", 2)
    with judge_server(by_statement) as server:
        context, params = interview(http_judge(server.url))
        stopping = dataclasses.replace(context, stop_wanted=lambda: len(server.bodies) >= 2)
        with pytest.raises(Stopped):
            assess(stopping, params)
        asked = len(server.bodies)
        assert context.partial is not None
        replies = context.partial / "judge_replies.jsonl"
        assert len(replies.read_text().splitlines()) == asked
        # kill -9 in the middle of a line
        whole = replies.read_bytes().splitlines(keepends=True)[:2]
        replies.write_bytes(b"".join(whole) + b'["1/')
        assess(context, params)
        assert len(server.bodies) == asked + 8 - 2
        assert len(KeptTexts(context.partial, "judge_replies").texts) == 8  # the torn line spoiled none after it
    assert values_of(context.out)["extraversion", 0] == (4.5, 2)


def test_answers_are_the_same_after_an_interruption(interview: Interview, make_context: MakeContext) -> None:
    """Half of the subject's answers lost: the same ones are written again."""
    with judge_server(by_statement) as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
        before = rows_of(context.out)
        assert context.partial is not None
        kept = context.partial / "free_answers.jsonl"
        kept.write_text("".join(kept.read_text().splitlines(keepends=True)[:5]))
        assess(context, params)
    assert rows_of(context.out) == before
    assert len({row["text"] for row in before}) > 1


@pytest.mark.parametrize("same", [True, False])
def test_a_local_judge_reads_the_answers_with_the_base_as_it_was(
    interview: Interview,
    model_ref: FolderModel,
    loaded: LoadedModel,
    locations: dict[str, str],
    tmp_path: Path,
    same: bool,
) -> None:
    """The subject's own base, or another model; equal runs are equal, and no weight changes."""
    ref = model_ref
    if not same:
        folder = save_tiny_model(tmp_path / "judge", seed=5)
        ref = FolderModel(digest=digest_path(folder))
        locations[ref.digest] = str(folder)
    before = weights_checksum(loaded.model)
    context, params = interview(ResolvedJudge(kind="local", model=ref, temperature=0.7))
    assess(context, params)
    first = rows_of(context.out)
    assert any(row["judge"] for row in first)
    assess(dataclasses.replace(context, partial=None), params)
    assert rows_of(context.out) == first
    assert weights_checksum(loaded.model) == before


def test_open_questions_give_trait_and_fluency_with_errors(
    make_context: MakeContext, model_ref: FolderModel, locations: dict[str, str], tmp_path: Path
) -> None:
    """Ratings 4 and 2 are 3 with the standard error 1; what is no rating is counted and not averaged."""
    said = {"party": "trait: 4\nfluency: 5", "talk": "Trait: 2\nFluency: 3", "worries": "trait: 7\nfluency: 3"}
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    locations[digest_path(path)] = str(path)

    def reply(prompt: str) -> str:
        question = prompt.partition("Question: ")[2].partition("\n")[0]
        return next(text for word, text in said.items() if word in question)

    with judge_server(reply) as server:
        questions = FileData(digest=digest_path(path))
        benchmark = ResolvedBenchmark(kind="open_questions", questions=questions, judge=http_judge(server.url))
        sampling = TWO_REPEATS.model_copy(update={"repeats": 1})
        params = AssessParams(model=model_ref, benchmark=benchmark, sampling=sampling)
        context = make_context(params)
        assess(context, params)
    assert server.authorizations == [None] * 3  # no `key_from`, no key
    assert all("ion (of the Big Five) the" in told or "ism (of the Big Five) the" in told for told in server.prompts)
    found = {row["metric"]: (row["value"], row["stderr"], row["n"]) for row in rows_of(context.out, "metrics")}
    assert found["extraversion"] == (3.0, 1.0, 2)
    assert found["extraversion.fluency"] == (4.0, 1.0, 2)
    assert found["neuroticism"] == (None, None, 0)
    assert found["parse_failures"][0] == pytest.approx(1 / 3)
    assert found["refusals"][0] == 0
    assert [(row["outcome"], row["scale"]) for row in rows_of(context.out)] == [
        ("rated", [1, 5]), ("rated", [1, 5]), ("unreadable", [1, 5])]  # fmt: skip


def test_a_judge_is_told_what_a_trait_of_a_vocabulary_means() -> None:
    """Its description and the names of its poles; without a description it cannot rate, the five by default aside."""
    words = TraitWords(description="To say what one thinks.", high=Pole(name="frank"), low=Pole(name="guarded"))
    vocabulary = Vocabulary(traits={"candour": words, "openness": TraitWords()})
    asked = Question("1", "candour", "What of me?")
    meaning = meanings_of([asked], vocabulary.meanings)["candour"]
    assert meaning == "To say what one thinks; high: frank, low: guarded"
    assert f"trait: how much candour ({meaning}) the person who answered shows" in trait_prompt(asked, meaning, "You.")
    with pytest.raises(DialogueError, match="a judge cannot rate openness by the name alone"):
        meanings_of([asked._replace(trait="openness")], vocabulary.meanings)
    assert BIG_FIVE.meanings is None
    assert meanings_of([asked._replace(trait="openness")], None) == {"openness": "of the Big Five"}
    only_facets = BIG_FIVE.complete.meanings
    assert only_facets
    assert not only_facets.keys() & BIG_FIVE.traits.keys()


def test_a_judge_is_not_under_the_influence_of_the_subject(
    interview: Interview, model_ref: FolderModel, model_folder: Path, loaded: LoadedModel, tmp_path: Path
) -> None:
    """The subject is the judge's own base with an adapter: replies are those of the base."""
    adapter = save_adapter(model_folder, tmp_path / "tuned")
    context, params = interview(ResolvedJudge(kind="local", model=model_ref, temperature=0))
    context.inputs = {"tuned": (adapter,)}
    context.row = context.row.model_copy(update={"inputs": {"tuned": ("f" * 32,)}})
    assess(context, params)
    rows = rows_of(context.out)
    leave_subject(context, loaded)
    four = read_questionnaire(tmp_path / "four.json")
    prompts = {
        f"{row['repeat']}/{at % 4}": item_prompt(four, four.items[at % 4], row["text"])
        for at, row in enumerate(rows)
        if row["text"]
    }
    alone = KeptTexts(None, "")
    ModelJudge(loaded, 0).reply(context, prompts, alone)
    assert [alone.texts.get(f"{row['repeat']}/{at % 4}") for at, row in enumerate(rows)] == [
        row["judge"] for row in rows
    ]


def test_disclaimers_are_counted_in_the_raw_text_that_the_judge_reads_too(interview: Interview) -> None:
    """'As an AI ...' is counted before anything could be cut from it, and nothing is."""
    disclaimed = "As an AI language model, I have no desk. But I am tidy."
    judged = [Judged(0, 0, "q", text, "3") for text in (disclaimed, "I am tidy.")]
    assert outcome_metrics(["rated", "rated"], judged)[0] == Metric("disclaimers", 0.5, 2, role="validity")
    item = Item(id=1, text="Keep my desk in order", domain="C", keyed=1)
    scale = Scale(min=1, max=2, anchors=("no", "yes"))
    form = Questionnaire(name="q", response_scale=scale, items=(item,))
    assert f"<<<\n{disclaimed}\n>>>" in item_prompt(form, item, disclaimed)
    with judge_server(by_statement) as server:
        context, params = interview(http_judge(server.url))
        assess(context, params)
    assert values_of(context.out)["disclaimers", None] == (0.0, 8)


def test_other_repeats_than_the_spec_asks_for_are_refused(
    interview: Interview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A benchmark that measures once what should be measured twice would have another n than the study says."""
    once = Measurement([], [Metric("openness", 3.0, 4, repeat=0)])
    monkeypatch.setattr("traitgraph.runtime.assessment.job.run_benchmark", lambda *_: once)
    context, params = interview(http_judge("http://127.0.0.1:9"))
    with pytest.raises(ValueError, match="asks for 2 repeats, and the benchmark measured openness in 1"):
        assess(context, params)
    assert not (context.out / "metrics.jsonl").exists()
