"""Chat prompts: renders question and document with the chat template, and tokenizes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import Prompt
from forethought.models.chat.template import render_chat
from forethought.models.tokenization.tokenizer import Span, Tokenizer

_JOINT = "\n\n"
_USER, _SYSTEM = "\ue000\ue010\ue001", "\ue000\ue011\ue001"  # placeholders of contents


def chat_prompt(
    tokenizer: Tokenizer,
    template: str,
    question: str,
    document: str = "",
    system: str | None = None,
) -> Prompt:
    """The prompt that asks `question` about `document`.

    Protected tokens are all but those wholly inside the document, or, without a document, inside
    the question. Control tokens are recognised only in text that the template wrote. Without a
    template the prompt is plain text, after a BOS token if the model expects one. Raises
    UnsupportedModelError for an unusable template.
    """
    content = f"{document}{_JOINT}{question}" if document else question
    layout = _render_layout(tokenizer, template, content, system)
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
    """Tokens of `text` as a question after a document, up to the start of the answer."""
    layout = _render_layout(tokenizer, template, _JOINT + text, None)
    start = layout.content[0]
    shift = [(max(0, a - start), b - start) for a, b in layout.trusted if b > start]
    return tokenizer.encode_with_spans(layout.text[start:], shift)[0]


def next_turn(tokenizer: Tokenizer, template: str, text: str) -> ChatTurn:
    """Tokens after an answer: its end, the next user message, the start of the next answer.

    Raises UnsupportedModelError if the template changes answers.
    """
    if not template:
        plain = f"{_JOINT}{text}{_JOINT}"
        tokens, spans = tokenizer.encode_with_spans(plain)
        return ChatTurn(plain, tuple(tokens), tuple(spans), (0, 0))
    names = {"bos": tokenizer.text_of(tokenizer.bos), "eos": tokenizer.text_of(tokenizer.end)}
    messages = [("user", "?"), ("assistant", _SYSTEM), ("user", _USER)]
    _, found, rest = render_chat(template, messages, names).partition(_SYSTEM)
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
    """A further user message of a conversation, as tokens that follow the last answer."""

    text: str
    tokens: tuple[int, ...]
    spans: tuple[Span, ...]
    """Character range of each token in `text`."""
    content: Span
    """Character range of the user's message."""


@dataclass(frozen=True)
class _Layout:
    """A rendered prompt and the character range of the user's message."""

    text: str
    trusted: tuple[Span, ...]
    """Ranges that the template wrote."""
    content: Span
    skipped: int = 0
    """Leading characters of the message that the template stripped."""

    def range_of(self, first: int, last: int) -> Span:
        """The place in the prompt of characters `first` to `last` of the message."""
        start, stop = self.content
        shift = start - self.skipped
        low, high = max(start, first + shift), min(stop, last + shift)
        return low, max(low, high)


def _render_layout(
    tokenizer: Tokenizer, template: str, content: str, system: str | None
) -> _Layout:
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
    # Many templates strip contents; a placeholder without spaces does not show it.
    trimmed = _filled(skeleton, content.strip(), (system or "").strip())
    if plain.text != wanted == trimmed.text:
        skipped = len(content) - len(content.lstrip())
        return _Layout(trimmed.text, trimmed.trusted, trimmed.content, skipped)
    return plain


def _filled(skeleton: str, content: str, system: str) -> _Layout:
    """The skeleton with its placeholders replaced by the contents."""
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
    return render_chat(template, messages, names)
