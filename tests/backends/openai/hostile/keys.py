"""Servers that send the key back, and servers that count what they like."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

from tests.backends.openai.hostile.replies import (
    ANSWER,
    KEY,
    Case,
    delta,
    event,
    head,
    http,
    said,
    sent,
    streamed,
    whole,
)

BEARER = f"Bearer {KEY}"
SPELLED = {
    "as-it-is": KEY,
    "in-capitals": KEY.upper(),
    "in-small-letters": KEY.lower(),
    "as-a-header": f"{{'authorization': '{BEARER}'}}",
    "as-json-within-json": json.dumps(json.dumps({"key": KEY})),
    "with-slashes-escaped": KEY.replace("/", "\\/"),
    "as-json-in-numbers": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "as-bytes-in-numbers": "".join(f"\\x{ord(letter):02x}" for letter in KEY),
    "as-a-url": quote(KEY, safe=""),
    "as-a-url-twice": quote(quote(KEY, safe=""), safe=""),
    "as-a-url-of-every-letter": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "as-html": html.escape(KEY).replace("/", "&#x2F;"),
    "as-html-in-numbers": "".join(f"&#{ord(letter)};" for letter in KEY),
    "in-base64": base64.b64encode(KEY.encode()).decode(),
    "in-base64-with-more": base64.b64encode(BEARER.encode()).decode(),
    "in-base64-of-json": base64.b64encode(json.dumps({"a": KEY}).encode()).decode(),
    "in-base64-for-urls": base64.urlsafe_b64encode(f"user:{KEY}".encode()).decode(),
    "in-hexadecimal": KEY.encode().hex(),
    "twice": KEY + KEY,
    "cut-short": KEY[:-3] + "...",
}
REFUSED = tuple(
    Case(f"the-key-{name}", said({"error": {"message": f"no: {text}!"}}, status="401 No"),
         error="answered 401: no: ")
    for name, text in SPELLED.items()
)  # fmt: skip
RAW = KEY.encode()
SHOWN = (
    Case("the-key-as-a-reason", sent(http(b"", status=f"403 {KEY}")), error="answered 403: ***"),
    Case("the-key-in-a-page", sent(http(b"<h1>%b</h1>" % RAW)), error="invalid JSON: <h1>***"),
    Case("the-key-where-it-is-sent-on", sent(http(
        b"", status="307 Go", headers=[f"Location: http://x/?key={quote(KEY)}"])),
        error="redirects to http://x/?key=***"),
    Case("the-key-as-a-coding", sent(http(b"", headers=[f"Content-Encoding: {KEY}"])),
         error="compresses its replies (***)"),
    Case("the-key-as-a-status", sent(b"HTTP/1.1 %b\r\n\r\n" % RAW), error="the connection to"),
    Case("the-key-as-a-line", sent(b"HTTP/1.1 200 OK\r\n %b\r\n\r\n" % RAW), error="the conn"),
    Case("the-key-as-a-length", sent(http(b"", length=KEY)), error="the connection to"),
    Case("the-key-as-a-protocol", sent(RAW + b"\r\n\r\n"), error="the connection to"),
    Case("the-key-as-a-content", said(whole({KEY: [KEY]})), error="'***'"),
    Case("the-key-as-a-choice", said({"choices": [KEY]}), error="'***'"),
    Case("the-key-as-a-count", said(whole(usage={"prompt_tokens": KEY})), error="'***'"),
    Case("the-key-as-a-chance", said(whole(logprobs={"content": [{"logprob": KEY}]})), error="***"),
    Case("the-key-as-choices", said({"choices": KEY}), error="'***'"),
    Case("the-key-in-the-midst", streamed(delta("Paris"), {"error": KEY}), error="answer: ***"),
    Case("the-key-as-an-event", sent(head(), event(RAW)), error="invalid JSON: ***"),
    Case("the-key-as-a-refusal", streamed(delta(refusal=KEY[:7]), delta(
        refusal=KEY[7:], finish="stop")), error="before its first token: ***"),
    Case("the-key-deep-in-an-error", said({"detail": [{KEY: {"input": KEY}}]}, status="422 No"),
         error="answered 422"),
    Case("the-key-as-a-model", said({**whole(), "model": f"m {KEY}", "system_fingerprint": KEY})),
    Case("the-key-as-an-answer", said(whole(f"It is {KEY.upper()}.")), answer="It is ***."),
    Case("the-key-in-two-parts", streamed(delta(f"It is {KEY[:6]}"), delta(KEY[6:], "stop")),
         answer="It is ***"),
    Case("the-key-as-an-end", said(whole(finish=KEY))),
    Case("the-key-as-a-stop", said(whole(stop_reason=KEY, matched_stop=KEY))),
    Case("the-key-as-a-thought", streamed(delta(reasoning_content=KEY), delta(ANSWER, "stop"))),
    Case("the-key-as-a-cookie", said(whole(), headers=[f"Set-Cookie: key={KEY}; Path=/"])),
)  # fmt: skip


def costly(prompt: int, written: int = 4, **how: object) -> object:
    return said(whole(usage={"prompt_tokens": prompt, "completion_tokens": written}, **how))


NOTE = "counts more tokens than there can be"
COUNTED = (
    Case("ten-times-the-prompt", costly(10_000), usage=(10_000, 4), note=NOTE, requests=1),
    Case("a-hundred-thousand-times", costly(10**8), usage=(10**8, 4), note=NOTE, requests=1),
    Case("more-written-than-asked", costly(12, 5000), usage=(12, 5000), note="wasted"),
    Case("a-million-written", costly(12, 10**6), usage=(12, 10**6), note="wasted", requests=1),
    Case("each-reply-is-lost", sent(head(), event(delta("Paris ")) * 5), error="unfinished",
         requests=2),
)  # fmt: skip
CASES = (*REFUSED, *SHOWN, *COUNTED)
