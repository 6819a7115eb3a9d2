"""Chat templates: from a question and a document to the tokens a model expects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import Prompt
from forethought.models.chat.template import written
from forethought.models.tokenization.tokenizer import Span, Tokenizer

_JOINT = "\n\n"
_USER, _SYSTEM = "\ue000\ue010\ue001", "\ue000\ue011\ue001"  # stand for contents


def chat_prompt(
    tokenizer: Tokenizer,
    template: str,
    question: str,
    document: str = "",
    system: str | None = None,
) -> Prompt:
    """The prompt that asks `question` about `document`.

    Protected are all tokens but those that lie wholly inside the document; without a
    document, all but those inside the question. Control tokens count only where the
    template wrote them. Without a template the prompt is plain text, which starts with the
    beginning-of-text token where the model expects one.
    Raises UnsupportedModelError where the template cannot be used.
    """
    content = f"{document}{_JOINT}{question}" if document else question
    layout = _laid_out(tokenizer, template, content, system)
    tokens, spans = tokenizer.encode_with_spans(layout.text, layout.trusted)
    if not template and tokenizer.add_bos and tokenizer.bos is not None:
        tokens, spans = [tokenizer.bos, *tokens], [(0, 0), *spans]
    return Prompt(
        tokens=tuple(tokens),
        spans=tuple(spans),
        text=layout.text,
        protected=_outside(spans, layout.range_of(0, len(document or content))),
        content=layout.range_of(0, len(content)),
    )


def question_tokens(tokenizer: Tokenizer, template: str, text: str) -> list[int]:
    """The tokens that ask `text` behind a document, up to where an answer begins."""
    layout = _laid_out(tokenizer, template, _JOINT + text, None)
    start = layout.content[0]
    shift = [(max(0, a - start), b - start) for a, b in layout.trusted if b > start]
    return tokenizer.encode_with_spans(layout.text[start:], shift)[0]


def next_turn(tokenizer: Tokenizer, template: str, text: str) -> ChatTurn:
    """What follows an answer: its end, the user's next message, and the start of an answer.

    Raises UnsupportedModelError where the template does not show an answer as it was given.
    """
    if not template:
        plain = f"{_JOINT}{text}{_JOINT}"
        tokens, spans = tokenizer.encode_with_spans(plain)
        return ChatTurn(plain, tuple(tokens), tuple(spans), (0, 0))
    names = {"bos": tokenizer.text_of(tokenizer.bos), "eos": tokenizer.text_of(tokenizer.end)}
    messages = [("user", "?"), ("assistant", _SYSTEM), ("user", _USER)]
    _, found, rest = written(template, messages, names).partition(_SYSTEM)
    if not found or rest.count(_USER) != 1:
        raise UnsupportedModelError(
            "the model's chat template does not show an answer and the next message once each",
            "ask one question at a time",
        )
    layout = _filled(rest, text, "")
    tokens, spans = tokenizer.encode_with_spans(layout.text, layout.trusted)
    return ChatTurn(layout.text, tuple(tokens), tuple(spans), layout.content)


def _outside(spans: Sequence[Span], free: Span) -> frozenset[int]:
    first, last = free
    return frozenset(
        i for i, (start, stop) in enumerate(spans) if start == stop or start < first or stop > last
    )


@dataclass(frozen=True)
class ChatTurn:
    """A further message of a conversation, as tokens behind the answer before it."""

    text: str
    tokens: tuple[int, ...]
    spans: tuple[Span, ...]
    """Character range of each token in `text`."""
    content: Span
    """Where the user's message is."""


@dataclass(frozen=True)
class _Layout:
    """A rendered prompt, and where in it the user's message is."""

    text: str
    trusted: tuple[Span, ...]
    """What the template wrote."""
    content: Span
    skipped: int = 0
    """Leading characters of the message that the template dropped."""

    def range_of(self, first: int, last: int) -> Span:
        """Where characters `first` to `last` of the message are now."""
        start, stop = self.content
        shift = start - self.skipped
        low, high = max(start, first + shift), min(stop, last + shift)
        return low, max(low, high)


def _laid_out(tokenizer: Tokenizer, template: str, content: str, system: str | None) -> _Layout:
    if not template:
        text = f"{system}{_JOINT}{content}" if system else content
        return _Layout(text, (), (len(text) - len(content), len(text)))
    names = {"bos": tokenizer.text_of(tokenizer.bos), "eos": tokenizer.text_of(tokenizer.end)}
    wanted = _render(template, content, system, names)
    skeleton = _render(template, _USER, None if system is None else _SYSTEM, names)
    if skeleton.count(_USER) != 1:
        raise UnsupportedModelError(
            "the model's chat template does not show the user's message exactly once",
            "use another model, or one with another template",
        )
    plain = _filled(skeleton, content, system or "")
    # Many templates trim what they are given, which a stand-in without spaces hides.
    trimmed = _filled(skeleton, content.strip(), (system or "").strip())
    if plain.text != wanted == trimmed.text:
        skipped = len(content) - len(content.lstrip())
        return _Layout(trimmed.text, trimmed.trusted, trimmed.content, skipped)
    return plain


def _filled(skeleton: str, content: str, system: str) -> _Layout:
    """The skeleton with the contents in their places."""
    text, trusted, place = "", [], (0, 0)
    for piece in re.split(f"({_USER}|{_SYSTEM})", skeleton):
        start = len(text)
        if piece == _USER:
            text += content
            place = (start, len(text))
        elif piece == _SYSTEM:
            text += system
        else:
            text += piece
            trusted.append((start, len(text)))
    return _Layout(text, tuple(trusted), place)


def _render(template: str, content: str, system: str | None, names: dict[str, str]) -> str:
    messages = [("user", content)]
    if system is not None:
        messages.insert(0, ("system", system))
    return written(template, messages, names)
