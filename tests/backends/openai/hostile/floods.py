"""Replies without end or measure, and connections that break."""

from __future__ import annotations

from itertools import chain, repeat

from tests.backends.openai.hostile.replies import (
    ANSWER,
    RESET,
    Case,
    chunked,
    delta,
    dumped,
    event,
    events,
    head,
    http,
    sent,
    streamed,
    whole,
)

MIB = 1 << 20
TOO_MUCH, FAILED, SLOW = "sent more than the", "the connection to", "exceeded the time limit"
GOOD = dumped(whole())
TOKEN = event(delta("word "))
LOGGED = {"token": "w", "logprob": -1.0}


def endless(part: bytes, *first: bytes, kind: str = "text/event-stream"):
    """So much of it that no limit is reached by chance."""
    many = part * max(1, 65536 // len(part))
    return lambda: chain([head(kind), *first], repeat(many, 16384))


def dripping(part: bytes, *first: bytes):
    """A little, again and again, for much longer than a test waits."""
    return lambda: chain(first, *repeat((part, 0.05), 400))


def with_entry() -> bytes:
    found = delta("w")
    found["choices"][0]["logprobs"] = {"content": [LOGGED]}
    return event(found)


FLOODS = (
    Case("tokens-without-end", endless(TOKEN), answer="word " * 45, finish="length",
         usage=(12, 400)),
    Case("tokens-with-chances-without-end", endless(with_entry()), answer="w" * 21,
         finish="length", usage=(12, 400)),
    Case("letters-without-end", endless(event(delta("x"))), answer="x" * 225, finish="length",
         usage=(12, 400)),
    Case("thoughts-without-end", endless(event(delta(reasoning_content="hm "))), answer="",
         finish="length", usage=(12, 400)),
    Case("comments-without-end", endless(b": still here\n\n"), error=TOO_MUCH),
    Case("blank-lines-without-end", endless(b"\n"), error=TOO_MUCH),
    Case("a-comment-without-end", endless(b"x", b": "), error=TOO_MUCH),
    Case("a-line-without-end", endless(b"x", b"data: "), error=TOO_MUCH),
    Case("an-event-without-end", endless(b"data: x\n"), error=TOO_MUCH),
    Case("empty-events-without-end", endless(event({"choices": []})), error=TOO_MUCH),
    Case("roles-without-end", endless(event(delta("", role="assistant"))), error=TOO_MUCH),
    Case("counts-without-end", endless(event({"usage": {"prompt_tokens": 12}})), error=TOO_MUCH),
    Case("returns-without-end", endless(b"\r", b"data: x"), error="invalid JSON: x"),
    Case("blanks-without-end", endless(b" ", kind="application/json"), error=TOO_MUCH),
    Case("a-document-without-end", endless(b"[1],", b'{"choices": [', kind="application/json"),
         error=TOO_MUCH),
    Case("a-text-without-end", endless(b"x", b'{"a": "', kind="application/json"), error=TOO_MUCH),
    Case("zeros-without-end", endless(b"\0", kind="application/octet-stream"), error=TOO_MUCH),
    Case("a-page-without-end", endless(b"<p>hello</p>", kind="text/html"), error=TOO_MUCH),
    Case("a-million-values", sent(http(b"[" + b"[]," * 300_000 + b"1]")), error="values"),
    Case("many-values-in-one-event", streamed(b'{"choices": [' + b"{}," * 220_000 + b"1]}"),
         error="values"),
    Case("one-long-text", streamed(delta("y" * 900_000, "stop")), answer="y" * 900_000,
         usage=(12, 2000)),
    Case("one-text-too-long", streamed(delta("y" * 2_000_000, "stop")), error=TOO_MUCH),
    Case("a-length-of-terabytes", lambda: chain(
        [http(b"{", length=10**13)], repeat(b" " * 65536, 16384)), error=TOO_MUCH),
    Case("an-error-without-end", lambda: chain(
        [b"HTTP/1.1 500 No\r\n\r\n"], repeat(b"so bad " * 9000, 16384)), error="so bad so bad"),
    Case("headers-without-end", lambda: chain(
        [b"HTTP/1.1 200 OK\r\n"], repeat(b"A: b\r\n" * 9000, 16384)), error=FAILED),
    Case("a-header-without-end", lambda: chain(
        [b"HTTP/1.1 200 OK\r\nA: "], repeat(b"b" * 65536, 16384)), error=FAILED),
    Case("a-status-without-end", lambda: chain(
        [b"HTTP/1.1 200 "], repeat(b"OK" * 30000, 16384)), error=FAILED),
    Case("hints-without-end", lambda: repeat(
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000, 16384), error=SLOW),
    Case("a-chunk-size-without-end", lambda: chain(
        chunked(end=b""), repeat(b"0" * 65536, 16384)), error=FAILED),
    Case("an-extension-without-end", lambda: chain(
        chunked(end=b"5;"), repeat(b"a" * 65536, 16384)), error=FAILED),
    Case("trailers-without-end", lambda: chain(
        chunked(TOKEN, end=b"0\r\n"), repeat(b"A: b\r\n" * 9000, 16384)), error=FAILED),
    Case("drop-by-drop", dripping(b": x\n", head()), error=SLOW),
    Case("headers-drop-by-drop", dripping(b"b", b"HTTP/1.1 200 OK\r\nA: "),
         error=SLOW),
    Case("letters-drop-by-drop", dripping(b"b", head(), b"data: "),
         error=SLOW),
    Case("silence", sent(3.0), error="sent nothing for too"),
    Case("silence-behind-the-headers", sent(head(), 3.0), error="sent nothing for too"),
    Case("silence-in-the-midst", sent(head(), TOKEN, 3.0), error="sent nothing for too"),
    Case("silence-within-an-event", sent(head(), TOKEN[:9], 3.0), error="sent nothing for too"),
)  # fmt: skip

LONG = 8 * MIB - 4096
"""Bytes of a text in the largest document there may be."""


def filled(inside: bytes) -> object:
    return sent(http(b'{"choices": [%b]}' % inside))


LARGEST = (
    Case("millions-of-values", filled(b'{"a":[]},' * 930_000 + b"1"), error="values"),
    Case("many-names", lambda: filled(
        b",".join(b'{"k%06d":"v%06d"}' % (n, n) for n in range(290_000)))(), error="no answer"),
    Case("many-texts", lambda: filled(
        b",".join(b'"v%09d"' % n for n in range(590_000)))(), error="no answer"),
    Case("a-long-event-of-wide-letters", lambda: [head(), event(
        GOOD.replace(b"Paris", "\U0001f600".encode() + b"y" * LONG))], answer="..."),
)  # fmt: skip
"""Replies within all bounds that take the most memory."""

STREAM = events()
BROKEN = (
    Case("closed-at-once", sent(), error=FAILED),
    Case("reset-at-once", sent(RESET), error=FAILED),
    Case("reset-in-the-headers", sent(b"HTTP/1.1 200", 0.01, RESET), error=FAILED),
    Case("reset-in-the-midst", sent(head(), TOKEN, 0.02, RESET), error=FAILED),
    Case("closed-in-the-status", sent(b"HTTP/1."), error=FAILED),
    Case("closed-in-the-headers", sent(b"HTTP/1.1 200 OK\r\nContent-Ty"), error=FAILED),
    Case("closed-in-a-chunk", sent(*chunked()[:1], b"ffff\r\n", TOKEN), error=FAILED),
    Case("closed-between-chunks", lambda: chunked(TOKEN, end=b""), error=FAILED),
    Case("a-length-too-large", sent(http(GOOD, length=9999)), error=FAILED),
    Case("a-stream-with-a-length-too-large", sent(http(
        TOKEN, length=9999, kind="text/event-stream")), error=FAILED),
    Case("a-length-below-0", sent(http(GOOD, length=-1)), error=FAILED),
    Case("a-length-in-words", sent(http(GOOD, length="many")), error=FAILED),
    Case("a-length-of-6000-digits", sent(http(GOOD, length="9" * 6000)), error=FAILED),
    Case("two-lengths", sent(http(GOOD, headers=["Content-Length: 5"])), error=FAILED),
    Case("a-chunk-size-in-words", sent(*chunked()[:1], b"many\r\n"), error=FAILED),
    Case("a-chunk-size-below-0", sent(*chunked()[:1], b"-5\r\nhello\r\n"), error=FAILED),
    Case("a-chunk-size-of-40-digits", sent(*chunked()[:1], b"f" * 40 + b"\r\nx"), error=FAILED),
    Case("a-chunk-longer-than-said", sent(*chunked()[:1], b"2\r\nhello\r\n"), error=FAILED),
    Case("an-unknown-transfer", sent(http(GOOD, headers=["Transfer-Encoding: x"])), error=FAILED),
    Case("no-headers-as-long-ago", sent(GOOD), error=FAILED),
    Case("garbage", sent(bytes(range(256))), error=FAILED),
    Case("an-alert-of-encryption", sent(b"\x15\x03\x01\x00\x02\x02\x46"), error=FAILED),
    Case("another-protocol", sent(b"SSH-2.0-OpenSSH_9.9\r\n"), error=FAILED),
    Case("a-later-protocol", sent(b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18), error=FAILED),
    Case("a-status-in-words", sent(b"HTTP/1.1 fine OK\r\n\r\n" + GOOD), error=FAILED),
    Case("a-status-of-two-digits", sent(b"HTTP/1.1 20 OK\r\n\r\n" + GOOD), error=FAILED),
    Case("a-header-without-a-colon", sent(b"HTTP/1.1 200 OK\r\nhello\r\n\r\n" + GOOD),
         error=FAILED),
    Case("a-header-that-is-folded", sent(b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n" + GOOD),
         error=FAILED),
    Case("a-zero-in-a-header", sent(b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n" + GOOD), error=FAILED),
    Case("a-change-of-protocol", sent(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n"),
         error=FAILED),
    Case("closed-behind-the-end", sent(*chunked(STREAM, end=b"")), answer=ANSWER),
)  # fmt: skip
CASES = (*FLOODS, *BROKEN)
