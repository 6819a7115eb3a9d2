"""Whole replies that are unusual and right, and bodies, statuses and shapes that are no answers."""

from __future__ import annotations

import gzip
import re
import zlib

from tests.backends.openai.hostile.replies import (
    ANSWER,
    USAGE,
    Case,
    delta,
    dumped,
    http,
    said,
    sent,
    streamed,
    whole,
)

GOOD = dumped(whole())
NO_JSON, NO_ANSWER = "sent invalid JSON", "sent a malformed answer"


def counted(**counts: object) -> dict:
    return whole(usage={**USAGE, **counts})


def entries(*found: object, **more: object) -> dict:
    return whole(logprobs={"content": list(found), **more})


def packed(data: bytes, coding: str) -> object:
    return sent(http(data, headers=[f"Content-Encoding: {coding}"]))


ANSWERED = (
    Case("whole", said(whole())),
    Case("whole-behind-a-mark", sent(http(b"\xef\xbb\xbf" + GOOD))),
    Case("whole-behind-blanks", sent(http(b" \r\n\t " + GOOD + b"\n\n"))),
    Case("whole-said-to-be-a-stream", said(whole(), kind="text/event-stream")),
    Case("whole-said-to-be-a-page", said(whole(), kind="text/html; charset=none")),
    Case("whole-of-no-length", sent(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD)),
    Case("whole-by-an-old-protocol", sent(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD)),
    Case("whole-in-parts", said(whole([{"type": "text", "text": ANSWER}, {"type": "image"}]))),
    Case("created", said(whole(), status="201 Created")),
    Case("changed-on-the-way", said(whole(), status="203 Non-Authoritative Information")),
    Case("no-reason", said(whole(), status="200 ")),
    Case("a-reason-in-latin-1", said(whole(), status="200 d'accord, \xe9t\xe9")),
    Case("continue-first", sent(b"HTTP/1.1 100 Continue\r\n\r\n", http(GOOD))),
    Case("hints-first", sent(*[b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"] * 5, http(GOOD))),
    Case("a-hundred-headers", said(whole(), headers=[f"X-{n}: {'y' * 99}" for n in range(100)])),
    Case("cookies", said(whole(), headers=["Set-Cookie: a=b; Path=/", "Set-Cookie: ;;=;\xff"])),
    Case("several-in-a-whole", said({"choices": [
        {"index": 1, "message": {"content": "No"}, "finish_reason": "stop"},
        *whole()["choices"]]})),
    Case("counts-as-floats", said(counted(prompt_tokens=12.0, completion_tokens=4.0))),
    Case("counts-of-nothing", said(counted(prompt_tokens=None, completion_tokens=None)),
         usage=(400, 20)),
    Case("fewer-tokens-than-letters-allow", said(counted(completion_tokens=0))),
    Case("a-cache-larger-than-the-prompt", said(counted(
        prompt_tokens_details={"cached_tokens": 99}))),
    Case("a-model-that-is-a-number", said({**whole(), "model": 7, "system_fingerprint": [1]})),
    Case("half-a-letter-in-a-name", said({**whole(), "model": "a\ud800"})),
    Case("a-length-too-small", sent(http(GOOD + b"HTTP/1.1 garbage", length=len(GOOD)))),
    # Behind a whole reply, what a connection holds is the next one: no HTTP client can tell.
    Case("a-second-answer-behind-the-first", sent(
        http(GOOD, closes=False), http(dumped(whole("No")), closes=False))),
    Case("a-version-that-is-not", sent(b"HTTP/9.9 200 OK\r\n\r\n" + GOOD)),
)  # fmt: skip

UNREADABLE = (
    Case("an-empty-body", sent(http(b"")), error="dropped an unfinished"),
    Case("blanks", sent(http(b"  \n ")), error="dropped an unfinished"),
    Case("null", said(None), error="invalid JSON: no object"),
    Case("a-list", said([1]), error="invalid JSON: no object"),
    Case("a-number", said(3), error="invalid JSON: no object"),
    Case("a-text", said("hello"), error="invalid JSON: no object"),
    Case("an-empty-object", said({}), error="dropped an unfinished"),
    Case("a-list-100000-deep", sent(http(b"[" * 100_000)), error=NO_JSON),
    Case("an-object-50000-deep", sent(http(b'{"a":' * 50_000)), error=NO_JSON),
    Case("an-object-400-deep", sent(http(b'{"a":' * 400 + b"1" + b"}" * 400)), error=NO_ANSWER),
    Case("choices-300-deep", sent(http(b'{"choices":' + b"[" * 300 + b"]" * 300 + b"}")),
         error=NO_ANSWER),
    Case("an-event-100000-deep", streamed(b"[" * 100_000), error=NO_JSON),
    Case("a-number-of-6000-digits", sent(http(b'{"choices": [], "usage": %b}' % (b"9" * 6000))),
         error=NO_JSON),
    Case("half-a-document", sent(http(GOOD[:-9])), error=NO_JSON),
    Case("two-documents", sent(http(GOOD + GOOD)), error=NO_JSON),
    Case("a-page", sent(http(b"<html><h1>Welcome</h1></html>", kind="text/html")),
         error="invalid JSON: <html><h1>Welcome"),
    Case("a-page-said-to-be-a-stream", sent(http(b"<html>", kind="text/event-stream")),
         error="dropped an unfinished"),
    Case("utf-16", sent(http(GOOD.decode().encode("utf-16"), kind="text/json; charset=utf-16")),
         error=NO_JSON),
    Case("utf-32", sent(http(GOOD.decode().encode("utf-32-le"))), error=NO_JSON),
    Case("random-bytes", sent(http(bytes(range(256)) * 4)), error=NO_JSON),
    Case("single-quotes", sent(http(b"{'choices': []}")), error=NO_JSON),
    Case("a-function-call-for-scripts", sent(http(b"callback(" + GOOD + b")")), error=NO_JSON),
    Case("packed-with-gzip", packed(gzip.compress(GOOD), "gzip"), error="replies (gzip)"),
    Case("packed-twice", packed(gzip.compress(gzip.compress(bytes(10**6))), "gzip, gzip"),
         error="compresses its replies"),
    Case("packed-with-deflate", packed(zlib.compress(GOOD), "deflate"), error="compresses its"),
    Case("packed-with-brotli", packed(b"\x0b\x02\x80", "br"), error="compresses its replies (br)"),
    Case("packed-with-zstd", packed(b"(\xb5/\xfd", "zstd"), error="compresses its replies (zstd)"),
    Case("packed-with-nonsense", packed(GOOD, "rot13"), error="compresses its replies (rot13)"),
    Case("packed-in-pieces", sent(http(GOOD, headers=["Transfer-Encoding: gzip, chunked"])),
         error="the connection to"),
    Case("a-stream-of-garbage", streamed(b"{oops"), error=NO_JSON),
    Case("a-stream-of-lists", streamed([1]), error="invalid JSON: no object"),
    Case("an-error-in-a-whole", said({"error": {"message": "out of memory"}}),
         error="sent an error in an answer: out of memory"),
)  # fmt: skip


def status(code: int, fragment: str, *headers: str, body: bytes = b'{"error": "so it is"}') -> Case:
    kind = {"headers": headers, "status": f"{code} For {code}"}
    told = re.sub(r"\W+", "-", "".join(headers) or body.decode()[:2] or "nothing")
    return Case(f"status-{code}-{told}"[:60], sent(http(body, **kind)), error=fragment)


STATUSES = (
    *(status(code, f"answered {code} without a reply") for code in (202, 204, 205, 206, 226)),
    *(status(code, f"answered {code}: so it is") for code in (400, 401, 402, 403, 404, 409, 413)),
    *(status(code, f"answered {code}: so it is") for code in (418, 422, 451, 501, 511, 599)),
    *(status(code, "(2 attempts)") for code in (408, 425, 500, 502, 503, 504, 520, 529)),
    *(status(code, "to http://x/", "Location: http://x/") for code in (301, 302, 303, 307, 308)),
    status(300, "redirects to nowhere"),
    status(304, "redirects to nowhere", body=b""),
    status(999, "answered 999: so it is"),
    status(403, "answered 403: For 403", body=b""),
    Case("a-page-of-an-error", sent(http(b"<h1>Bad\n\n gateway</h1>", status="502 Oh")),
         error="answered 502: <h1>Bad gateway</h1> (2 attempts)"),
    Case("a-deep-error", sent(http(b"[" * 10**5, status="400 No")), error="answered 400: [[["),
    Case("an-error-of-many-digits", sent(http(b"9" * 6000, status="400 No")),
         error="answered 400: 999"),
    Case("an-error-300-deep", sent(http(b"[" * 300 + b"]" * 300, status="400 No")),
         error="answered 400: [[["),
    Case("an-error-in-no-text", sent(http(b"\xff\xfe\x00", status="400 No")), error="answered 400"),
    status(429, "answered 429", "Retry-After: -5"),
    status(429, "answered 429: so it is (2", "Retry-After: NaN"),
    status(429, "answered 429: so it is (2", "Retry-After: soon"),
    status(429, "answered 429: so it is (2", "Retry-After: Mon, 01 Jan 1990 00:00:00 GMT"),
    status(429, "answered 429: so it is (2", "Retry-After: Mon, 99 Foo 99999 99:99:99 +9999"),
    status(429, "answered 429: so it is (2", "Retry-After: Mon, 01 Jan 0001 00:00:00 +2359"),
    status(429, "answered 429: so it is", "Retry-After: 1000000000"),
    status(503, "answered 503: so it is", "Retry-After: Infinity"),
    status(503, "answered 503: so it is", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    status(503, "answered 503: so it is", "Retry-After: " + "9" * 400),
)  # fmt: skip

SHAPES = tuple(
    Case(name, said(document), error=NO_ANSWER)
    for name, document in {
        "choices-that-are-a-number": {"choices": 7},
        "choices-that-are-an-object": {"choices": {"a": 1}},
        "a-choice-that-is-a-text": {"choices": ["x"]},
        "a-message-that-is-a-text": {"choices": [{"message": "x"}]},
        "a-message-that-is-a-list": {"choices": [{"message": [1]}]},
        "a-content-that-is-a-number": whole(7),
        "a-content-that-is-an-object": whole({"a": 1}),
        "a-content-that-is-true": whole(True),
        "parts-that-are-texts": whole(["x"]),
        "a-finish-that-is-a-number": whole(finish=7),
        "a-finish-that-is-a-list": whole(finish=["stop"]),
        "a-number-of-an-answer-in-words": {"choices": [{**whole()["choices"][0], "index": "one"}]},
        "a-number-of-an-answer-below-0": {"choices": [{**whole()["choices"][0], "index": -1}]},
        "usage-that-is-a-list": whole(usage=[1]),
        "usage-that-is-a-text": whole(usage="much"),
        "a-count-below-0": counted(prompt_tokens=-1),
        "a-count-in-words": counted(completion_tokens="four"),
        "a-count-in-halves": counted(completion_tokens=4.5),
        "a-count-that-is-true": counted(completion_tokens=True),
        "a-count-that-is-no-number": counted(prompt_tokens=float("nan")),
        "a-count-without-end": counted(prompt_tokens=float("inf")),
        "a-count-of-300-digits": counted(prompt_tokens=1e300),
        "a-count-of-4000-digits": counted(completion_tokens=int("9" * 4000)),
        "a-count-of-trillions": counted(prompt_tokens=10**12),
        "a-cache-below-0": counted(prompt_tokens_details={"cached_tokens": -5}),
        "details-that-are-a-list": counted(prompt_tokens_details=[5]),
        "chances-that-are-a-text": whole(logprobs="likely"),
        "an-entry-that-is-a-text": entries("x"),
        "a-chance-that-is-no-number": entries({"token": "a", "logprob": float("nan")}),
        "a-chance-of-nothing": entries({"token": "a", "logprob": -float("inf")}),
        "a-chance-above-certainty": entries({"token": "a", "logprob": 5}),
        "a-chance-of-400-digits": entries({"token": "a", "logprob": 10**400}),
        "a-chance-below-by-400-digits": entries({"token": "a", "logprob": -(10**400)}),
        "a-chance-in-words": entries({"token": "a", "logprob": "low"}),
        "alternatives-that-are-a-text": entries({"logprob": -1, "top_logprobs": "x"}),
        "an-alternative-of-no-chance": entries(
            {"logprob": -1, "top_logprobs": [{"token": "a", "logprob": float("nan")}]}
        ),
        "an-alternative-that-is-a-number": entries({"logprob": -1, "top_logprobs": [7]}),
        "a-token-that-is-a-number": entries(
            {"logprob": -1, "top_logprobs": [{"token": 7, "logprob": -1}]}
        ),
        "a-refusal-that-is-an-object": {"choices": [{"message": {"refusal": {"a": 1}}}]},
        "reasoning-that-is-a-number": {"choices": [{"message": {"reasoning": 7}}]},
    }.items()
)
STREAMED = Case("shapes-in-the-midst", streamed(delta("Paris"), {"choices": 7}), error=NO_ANSWER)
UNSEEN = Case("an-answer-in-the-old-form", said({"choices": [{"text": ANSWER, "index": 0,
    "finish_reason": "stop"}], "usage": USAGE}))  # fmt: skip
CASES = (*ANSWERED, *UNREADABLE, *STATUSES, *SHAPES, STREAMED, UNSEEN)
