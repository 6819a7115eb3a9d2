"""The tokens around a model's reasoning, found in its vocabulary."""

from __future__ import annotations

from forethought.contracts.controls import ThinkingMarks
from forethought.models.tokenization.tokenizer import Tokenizer

_MARKS = (
    ("<think>", "</think>", "\n</think>\n\n"),
    ("<seed:think>", "</seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]", "[/THINK]"),
)
"""The opening and closing tokens of published models, and the text that ends a cut reasoning."""


def thinking_marks(tokenizer: Tokenizer) -> ThinkingMarks | None:
    """The marks of a tokenizer; None for a model that does not think.

    A vocabulary that spells the marks with several tokens has none: their split depends on the
    text around them.
    """
    for opening, closing, close in _MARKS:
        first, last = tokenizer.token_of(opening), tokenizer.token_of(closing)
        if first is not None and last is not None:
            tokens, _ = tokenizer.encode_with_spans(close, [(0, len(close))])
            return ThinkingMarks(first, last, tuple(tokens))
    return None
