"""The tokens around a model's reasoning, for those models whose markers are single tokens."""

from __future__ import annotations

from forethought.contracts.controls import ThinkingMarks
from forethought.models.chat.reasoning import reasoning_markers
from forethought.models.model import Model

_CUT = {"</think>": "\n</think>\n\n"}
"""The text that ends a cut reasoning, by its closing marker; the marker alone for others."""


def thinking_marks(model: Model) -> ThinkingMarks | None:
    """The marks of a model; None for a model that does not think.

    A marker of several tokens is none: its split depends on the text around it.
    """
    markers = reasoning_markers(model.template, model.tokenizer)
    if markers is None:
        return None
    opening, closing = (model.tokenizer.token_of(one) for one in (markers.start, markers.end))
    if opening is None or closing is None:
        return None
    text = _CUT.get(markers.end, markers.end)
    close, _ = model.tokenizer.encode_with_spans(text, [(0, len(text))])
    return ThinkingMarks(opening, closing, tuple(close))
