"""Odd lists of models."""

from __future__ import annotations

from tests.backends.openai.hostile.floods import TOO_MUCH, endless
from tests.backends.openai.hostile.replies import (
    DONE,
    KEY,
    Case,
    dumped,
    event,
    head,
    http,
    said,
    sent,
)

NONE, NO_JSON = "lists no model", "sent invalid JSON"


def listed(*names: object) -> object:
    return said({"data": [{"id": name} for name in names]})


CASES = (
    Case("models-in-a-list", said(["a"]), error=NONE),
    Case("models-in-a-text", said({"data": "a"}), error=NONE),
    Case("models-in-a-number", said({"data": 7}), error=NONE),
    Case("models-in-an-object", said({"data": {"id": "a"}}), error=NONE),
    Case("models-that-are-texts", said({"data": ["a"]}), error=NONE),
    Case("models-that-are-null", said({"data": None}), error=NONE),
    Case("no-models", listed(), error=NONE),
    Case("no-document", said(None), error=NONE),
    Case("a-name-that-is-a-number", listed(7), error=NONE),
    Case("a-name-that-is-empty", listed(""), error=NONE),
    Case("a-name-of-control-characters", listed("a\x1b[2J"), error=NONE),
    Case("a-name-of-lines", listed("a\nb"), error=NONE),
    Case("a-name-of-a-megabyte", listed("a" * 10**6), error=NONE),
    Case("half-a-letter-as-a-name", listed("a\ud800"), answer="a\ufffd"),
    Case("names-of-another-kind-behind", listed("a", 7), answer="a"),
    Case("the-key-as-a-name", listed(KEY), answer="***"),
    Case("models-100000-deep", sent(http(b"[" * 10**5)), error=NO_JSON),
    Case("models-200-deep", sent(http(b"[" * 200 + b"]" * 200)), error="sent a malformed answer"),
    Case("models-on-a-page", sent(http(b"<html>", kind="text/html")), error=NO_JSON),
    Case("models-in-no-text", sent(http(b"\xff\xfe\x00")), error=NO_JSON),
    Case("models-without-end", endless(b"[1],", b"[", kind="application/json"), error=TOO_MUCH),
    Case("models-in-a-stream", sent(head(), event(dumped({"data": [{"id": "a"}]})), DONE),
         answer="a"),
    Case("models-elsewhere", sent(http(b"", status="302 Go", headers=["Location: http://x/"])),
         error="redirects to http://x/"),
)  # fmt: skip
