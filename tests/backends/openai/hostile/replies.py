"""What hostile servers are made of: replies byte by byte, and what must come of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

KEY = "sk-Secret/12+345"
"""With characters that URLs, JSON, HTML and base64 write otherwise."""
ANSWER = "Paris, I think"
USAGE = {"prompt_tokens": 12, "completion_tokens": 4}
RESET = object()
"""Among the parts of a reply: the connection is reset."""
Part = bytes | float | object


@dataclass(frozen=True)
class Case:
    """A misbehaviour, and what is right."""

    name: str
    reply: Callable[[], Iterable[Part]]
    """Bytes to send, seconds to wait, or RESET."""
    error: str = ""
    """What the error says; empty where there is an answer."""
    answer: str = ANSWER
    finish: str = "stop"
    note: str = ""
    usage: tuple[int, int] = (12, 20)
    """Tokens read and written that one reply claims, at most."""
    requests: int = 4
    """Times that the server is asked, at most, for two answers."""


def http(
    body: bytes,
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    headers: Iterable[str] = (),
    length: int | str | None = None,
    closes: bool = True,
) -> bytes:
    """A whole response."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {size}"]
    lines += ["Connection: close"] * closes + [*headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def head(kind: str = "text/event-stream", *headers: str) -> bytes:
    """The beginning of a response that ends with its connection."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n", extension: bytes = b"") -> list[bytes]:
    """A response in chunks, each sent apart."""
    sent = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    return [head("text/event-stream", "Transfer-Encoding: chunked"), *sent, end]


def dumped(document: object) -> bytes:
    return json.dumps(document).encode()


def whole(content: object = ANSWER, finish: object = "stop", *, usage: object = USAGE, **more):
    """A reply that is not streamed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    return {"choices": [{**choice, "finish_reason": finish, **more}], "usage": usage}


def delta(content: object = None, finish: object = None, *, index: int = 0, **more):
    """A part of a streamed reply."""
    said = {} if content is None else {"content": content}
    return {"choices": [{"index": index, "delta": {**said, **more}, "finish_reason": finish}]}


PARTS = (
    delta("", role="assistant"),
    delta("Paris,"),
    delta(" I think"),
    delta(finish="stop"),
    {"choices": [], "usage": USAGE},
)
"""A good reply, streamed."""


def event(document: object, before: bytes = b"data: ", end: bytes = b"\n\n") -> bytes:
    return before + (document if isinstance(document, bytes) else dumped(document)) + end


DONE = event(b"[DONE]")


def events(documents: Iterable[object] = PARTS, *, done: bytes = DONE, **how: bytes) -> bytes:
    """A stream of them."""
    return b"".join(event(one, **how) for one in documents) + done


def streamed(*documents: object, kind: str = "text/event-stream", done: bytes = DONE):
    """A function that gives such a reply."""
    return lambda: [head(kind), events(documents or PARTS, done=done)]


def sent(*parts: Part) -> Callable[[], Iterable[Part]]:
    """A function that gives these bytes."""
    return lambda: parts


def said(document: object, **how):
    """A function that gives a document as a whole reply."""
    return lambda: [http(dumped(document), **how)]
