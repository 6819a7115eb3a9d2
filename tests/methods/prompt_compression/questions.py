"""Prompts of one token per word, with a question behind a document."""

import re

from forethought.contracts.records import Prompt

TEMPLATE, CLOSING = "<s>user: ", "</s>"


def asked(question: str, document: str) -> Prompt:
    """The prompt; a token is a word or sign with the white space before it."""
    content = f"{document}\n\n{question}"
    text = TEMPLATE + content + CLOSING
    start = len(TEMPLATE)
    pieces = re.finditer(r"\s*(?:\w+|[^\w\s])", content)
    inner = [(start + piece.start(), start + piece.end()) for piece in pieces]
    spans = ((0, start), *inner, (start + len(content), len(text)))
    free = range(start, start + len(document) + 1)
    protected = {i for i, (a, b) in enumerate(spans) if a < free.start or b >= free.stop}
    tokens = tuple(range(100, 100 + len(spans)))
    return Prompt(tokens, spans, text, frozenset(protected), content=(start, start + len(content)))


class CountingDraft:
    """Takes what a method charges; it cannot be read."""

    def __init__(self) -> None:
        self.charged: list[tuple[int, float]] = []

    def charge(self, tokens: int, flops: float) -> None:
        self.charged.append((tokens, flops))
