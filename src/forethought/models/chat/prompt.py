"""Chat prompts of a question and a document, and the turns that continue them."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import Prompt
from forethought.models.chat.conversation_forms import JOINT, Turn
from forethought.models.chat.layout import Placeholders
from forethought.models.chat.messages import Message, conversation_layout, messages_prompt
from forethought.models.chat.template import render_chat
from forethought.models.tokenization.tokenizer import Span, Tokenizer


def chat_prompt(
    tokenizer: Tokenizer,
    template: str,
    question: str,
    document: str = "",
    system: str | None = None,
) -> Prompt:
    """The prompt that asks `question` about `document`; see `messages_prompt`."""
    messages = [Message("user", question)]
    if system is not None:
        messages.insert(0, Message("system", system))
    return messages_prompt(tokenizer, template, messages, document=document)


def question_tokens(tokenizer: Tokenizer, template: str, text: str) -> list[int]:
    """Tokens of `text` as a question after a document, up to the start of the answer."""
    turn = Turn(Message("user", JOINT + text))
    found = conversation_layout(tokenizer, template, (turn,))
    rest = found.layout.since(found.range_of(0)[0])
    return tokenizer.encode_with_spans(rest.text, rest.trusted)[0]


def next_turn(
    tokenizer: Tokenizer, template: str, text: str, *, thinking: bool | None = None
) -> ChatTurn:
    """Tokens after an answer: its end, the next user message, the start of the next answer.

    Raises UnsupportedModelError if the template changes answers.
    """
    if not template:
        plain = f"{JOINT}{text}{JOINT}"
        tokens, spans = tokenizer.encode_with_spans(plain)
        return ChatTurn(plain, tuple(tokens), tuple(spans), (0, 0))
    names = {"bos": tokenizer.text_of(tokenizer.bos), "eos": tokenizer.text_of(tokenizer.end)}
    texts = Placeholders()
    answer, asked = texts.add(""), texts.add(text)
    messages = [("user", "?"), ("assistant", answer), ("user", asked)]
    shown = render_chat(template, messages, names, thinking=thinking)
    _, found, rest = shown.partition(answer)
    if not found or texts.count(rest, 1) != 1:
        raise UnsupportedModelError(
            "the model's chat template does not show an answer and the next message once each",
            "ask one question at a time",
        )
    layout = texts.unchanged(rest)
    tokens, spans = tokenizer.encode_with_spans(layout.text, layout.trusted)
    return ChatTurn(layout.text, tuple(tokens), tuple(spans), layout.places[1].span)


@dataclass(frozen=True)
class ChatTurn:
    """A further user message of a conversation, as tokens that follow the last answer."""

    text: str
    tokens: tuple[int, ...]
    spans: tuple[Span, ...]
    """Character range of each token in `text`."""
    content: Span
    """Character range of the user's message."""
