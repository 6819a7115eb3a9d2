"""Streams that are unusual and right, and streams that end otherwise than they should."""

from __future__ import annotations

from tests.backends.openai.hostile.replies import (
    ANSWER,
    DONE,
    PARTS,
    USAGE,
    Case,
    chunked,
    delta,
    event,
    events,
    head,
    sent,
    streamed,
)

LINES = "a\N{LINE SEPARATOR}b\N{PARAGRAPH SEPARATOR}c\x85d\x7fe"
TWO_LINES = b'data: {"choices": [{"index": 0, "delta":\ndata: {"content": "%b"},\ndata: ' + (
    b'"finish_reason": "stop"}]}\n\n'
)
FIRST, LAST = delta("Paris,"), delta(" I think", "stop")
STREAM = events()


def raw(text: str) -> bytes:
    """A streamed part that holds a text unescaped."""
    shown = text.encode("utf-8", "surrogatepass")
    return b'{"choices": [{"index": 0, "delta": {"content": "%b"}, "finish_reason": "stop"}]}' % (
        shown
    )


def other(text: str) -> dict:
    return delta(text, index=1)


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


def logged(*entries: object, **more: object) -> dict:
    found = delta("Paris, I think", "stop")
    found["choices"][0]["logprobs"] = {"content": list(entries), **more}
    return found


ANSWERED = (
    Case("plain", streamed()),
    Case("lines-end-with-crlf", sent(head(), STREAM.replace(b"\n", b"\r\n"))),
    Case("lines-end-with-cr", sent(head(), STREAM.replace(b"\n", b"\r"))),
    Case("line-ends-are-mixed", sent(head(), events(end=b"\r\n\r"))),
    Case("unicode-line-ends-in-a-text", streamed(raw(LINES)), answer=LINES),
    Case("an-event-in-three-lines", sent(head(), TWO_LINES % ANSWER.encode(), DONE)),
    Case("a-stream-said-to-be-text", streamed(kind="text/plain")),
    Case("a-stream-said-to-be-json", streamed(kind="application/json")),
    Case("a-stream-of-no-kind", sent(b"HTTP/1.1 200 OK\r\n\r\n", STREAM)),
    Case("a-kind-in-capitals", streamed(kind="TEXT/Event-Stream; Charset=UTF-16")),
    Case("a-nonsense-charset", streamed(kind="text/event-stream; charset=rot13")),
    Case("a-byte-order-mark", sent(head(), b"\xef\xbb\xbf" + STREAM)),
    Case("a-mark-in-halves", lambda: chunked(b"\xef", b"\xbb", b"\xbf" + STREAM)),
    Case("comments", sent(head(), b": hello\n\n", events(before=b":\n: still here\ndata:"))),
    Case("ids-names-and-times", sent(head(), events(before=b"id: 1\nretry: 5\nevent: x\ndata: "))),
    Case("unknown-fields", sent(head(), b"foo: bar\nbaz\n\n", STREAM)),
    Case("crlf-in-halves", lambda: chunked(*STREAM.replace(b"\n", b"\r\n").partition(b"\r"))),
    Case("byte-by-byte", lambda: chunked(*bytewise(STREAM))),
    Case(
        "a-letter-in-halves",
        lambda: chunked(*bytewise(event(raw("Zürich, 水")))),
        answer="Zürich, 水",
    ),
    Case("no-blank-behind-the-colon", sent(head(), events(before=b"data:"))),
    Case("several-blanks-behind-the-colon", sent(head(), events(before=b"data:   "))),
    Case("blank-lines-first", sent(head(), b"\n\r\n\n", STREAM)),
    Case("one-newline-between-events", sent(head(), events(end=b"\n"))),
    Case("done-is-missing", streamed(done=b"")),
    Case("done-comes-twice", streamed(done=DONE + DONE)),
    Case("done-with-blanks", streamed(done=b"data:  [DONE]  \n\n")),
    Case("done-without-an-empty-line", streamed(done=b"data: [DONE]")),
    Case("done-in-the-last-event", sent(
        head(), events(PARTS[:-1], done=b""), event(PARTS[-1], end=b"\ndata: [DONE]\n\n"))),
    Case("text-behind-done", streamed(done=DONE + event(delta(" no")))),
    Case("garbage-behind-done", streamed(done=DONE + b"data: {oops\n\n")),
    Case("open-behind-done", sent(head(), STREAM, 3.0)),
    Case("endless-behind-done", lambda: [head(), STREAM, *[b": more\n" * 1000] * 2000]),
    Case("text-behind-the-end", streamed(*PARTS, delta(" no"))),
    Case("an-end-twice", streamed(*PARTS, delta(finish="length"))),
    Case("no-last-empty-line", sent(
        head(), events(PARTS[:-1], done=b""), event(PARTS[-1], end=b""))),
    Case("counts-in-every-part", streamed(*[{**one, "usage": USAGE} for one in PARTS])),
    Case("no-counts", streamed(*PARTS[:-1])),
    Case("no-counts-but-null", streamed(*[{"usage": None, **one} for one in PARTS[:-1]])),
    Case("no-choices-first", streamed({"choices": [], "prompt_filter_results": []}, *PARTS)),
    Case("null-choices-first", streamed({"choices": None}, *PARTS)),
    Case("null-contents", streamed(delta(role="assistant", content=None), *PARTS)),
    Case("an-empty-delta", streamed({"choices": [{"delta": None, "index": 0}]}, *PARTS)),
    Case("reasoning-apart", streamed(delta(reasoning_content="hm"), delta(reasoning="hm"), *PARTS)),
    Case("another-answer-between", streamed(FIRST, other("No"), LAST, other("!"))),
    Case("another-answer-first", streamed(FIRST, *[
        {"choices": [*other("x")["choices"], *one["choices"]]} for one in (LAST,)])),
    Case("an-answer-twice-in-one-part", streamed({"choices": FIRST["choices"] * 2}, LAST)),
    Case("no-numbers-of-answers", streamed(*[
        {"choices": [{k: v for k, v in choice.items() if k != "index"}]}
        for one in (FIRST, LAST) for choice in one["choices"]])),
    Case("names-change", streamed(*[{"id": str(n), **one} for n, one in enumerate(PARTS)])),
    Case("an-error-that-is-null", streamed(*[{"error": None, **one} for one in PARTS])),
    Case("an-error-that-is-empty", streamed(*[{"error": {}, **one} for one in PARTS])),
    Case("ends-called-null", streamed(delta("Paris,", "null"), LAST)),
    Case("ends-called-otherwise", streamed(FIRST, delta(" I think", "eos_token"))),
    Case("surrogates-escaped", streamed(delta("\ud83d\ude00", "stop")), answer="😀"),
    Case("half-a-surrogate", streamed(delta("a\ud83d", "stop")), answer="a\ufffd"),
    Case("half-a-surrogate-unescaped", streamed(raw("a\ud83d")), answer="a\ufffd\ufffd\ufffd"),
    Case("bytes-that-are-no-text", streamed(raw("a~b").replace(b"~", b"\xff")), answer="a\ufffdb"),
    Case("a-letter-too-long-in-utf-8", streamed(raw("a~").replace(b"~", b"\xc0\x80")),
         answer="a\ufffd\ufffd"),
    Case("control-characters", streamed(delta("\x1b[2J\x00\x9b", "stop")),
         answer="\x1b[2J\x00\x9b"),
    Case("the-same-name-twice", streamed(
        b'{"choices": 1, ' + raw(ANSWER)[1:])),
    Case("more-entries-than-tokens", streamed(logged(*[{"token": "a", "logprob": -1}] * 6))),
    Case("no-entries-where-asked", streamed(logged())),
    Case("chunks-with-extensions", lambda: chunked(STREAM, extension=b';a="b"')),
    Case("chunks-with-trailers", lambda: chunked(STREAM, end=b"0\r\nA: b\r\nC: d\r\n\r\n")),
    Case("chunks-without-an-end", lambda: chunked(STREAM, end=b"")),
    Case("a-chunk-size-with-zeros", sent(
        *chunked()[:1], b"00000%x\r\n%b\r\n0\r\n\r\n" % (len(STREAM), STREAM))),
)  # fmt: skip

FILTERED = [delta("Par"), delta(finish="content_filter")]
CALL = [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]
WITHHELD = (
    Case("filtered-in-the-midst", streamed(*FILTERED), answer="Par", finish="content_filter",
         note="content filter ended"),
    Case("filtered-as-others-call-it", streamed(FILTERED[0], delta(finish="SAFETY")),
         answer="Par", finish="content_filter", note="content filter ended"),
    Case("filtered-at-once", streamed(FILTERED[1]), error="content filter ended the answer before"),
    Case("refused", streamed(delta(refusal="I can"), delta(refusal="not.", finish="stop")),
         error="refused the answer before its first token: I cannot."),
    Case("refused-in-the-midst", streamed(delta("Par"), delta(refusal="No", finish="stop")),
         answer="Par", finish="refusal", note="refused"),
    Case("a-call-instead", streamed(delta(tool_calls=CALL), delta(finish="tool_calls")),
         error="called a tool"),
    Case("a-call-that-ends-as-others", streamed(delta(tool_calls=CALL), delta(finish="stop")),
         error="called a tool"),
    Case("a-call-of-old", streamed(delta(function_call={"name": "f"}), delta(finish="stop")),
         error="called a tool"),
    Case("a-call-behind-text", streamed(delta("Par"), delta(tool_calls=CALL, finish="tool_calls")),
         answer="Par", finish="tool_calls", note="tool"),
    Case("blanks-and-filtered", streamed(delta(" \n"), FILTERED[1]), error="content filter"),
    Case("out-of-resources", streamed(delta("Par", "insufficient_system_resource")),
         error="dropped an unfinished"),
    Case("aborted", streamed(delta("Par", "abort")), error="dropped an unfinished"),
    Case("an-error-in-the-midst", streamed(FIRST, {"error": {"message": "out of memory"}}),
         error="sent an error in an answer: out of memory"),
    Case("an-error-that-is-a-text", streamed({"error": "no memory"}), error="no memory"),
    Case("an-error-that-is-a-list", streamed({"error": ["no", 1]}), error="sent an error in"),
    Case("an-error-event-in-words", sent(head(), b"event: error\ndata: no memory left\n\n"),
         error="invalid JSON: no memory left"),
    Case("nothing-streamed", sent(head()), error="dropped an unfinished"),
    Case("only-done", sent(head(), DONE), error="dropped an unfinished"),
    Case("only-comments", sent(head(), b": hello\n\n"), error="dropped an unfinished"),
    Case("only-a-role", streamed(delta("", role="assistant")), error="dropped an unfinished"),
    Case("half-an-answer", sent(head(), event(FIRST)), error="dropped an unfinished"),
    Case("half-an-event", sent(head(), event(FIRST)[:30]), error="invalid JSON"),
)  # fmt: skip
CASES = (*ANSWERED, *WITHHELD)
