"""A judge behind a real HTTP interface on this machine, whose replies and faults a test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[str], "str | int | bytes | tuple[int, bytes] | Iterator[bytes] | tuple[int, Iterator[bytes]]"]
"""Prompt -> text of the judge, a status code to fail with (and a body), a raw body, or one that comes in pieces.

The pieces of status 0 are all that is sent: head and body.
"""


class JudgeServer:
    """What was asked, and how the next requests are answered."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.paths: list[str] = []
        self.url = ""

    @property
    def prompts(self) -> list[str]:
        """The prompts in the order of their arrival."""
        return [body["messages"][0]["content"] for body in self.bodies]


@contextmanager
def judge_server(reply: Reply) -> Iterator[JudgeServer]:
    """A server for the block; `url` is its base address."""
    state = JudgeServer(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.bodies.append(body)
            state.authorizations.append(self.headers.get("Authorization"))
            state.paths.append(self.path)
            said = state.reply(body["messages"][0]["content"])
            status, said = said if isinstance(said, tuple) else (said, said) if isinstance(said, int) else (200, said)
            if isinstance(said, str):
                said = json.dumps({"choices": [{"message": {"role": "assistant", "content": said}}]}).encode()
            if isinstance(said, Iterator):
                if status:
                    self.send_response(status)
                    self.end_headers()
                with suppress(OSError):  # the client has had enough
                    for piece in said:
                        self.wfile.write(piece)
                        self.wfile.flush()
                return
            content = said if isinstance(said, bytes) else f"fault for {self.headers.get('Authorization')}".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("Location", f"{state.url}/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
