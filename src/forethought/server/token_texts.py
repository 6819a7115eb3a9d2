"""Tokens as OpenAI's API shows them: text, bytes and log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forethought.models.tokenization.tokenizer import Tokenizer

_PARTIAL = "\ufffd"
_WORD_START = "▁"


@dataclass
class TokenTexts:
    """The texts of a model's tokens."""

    tokenizer: Tokenizer
    _known: dict[int, tuple[str, list[int] | None]] = field(default_factory=dict)

    def text(self, token: int) -> str:
        """The text of a token; `bytes:\\xe2\\x80` for a part of a character."""
        return self.shown(token)[0]

    def shown(self, token: int) -> tuple[str, list[int] | None]:
        """The text and the bytes of a token; no bytes if they are unknown."""
        if token not in self._known:
            self._known[token] = self._read(token)
        return self._known[token]

    def _read(self, token: int) -> tuple[str, list[int] | None]:
        raw, text = self.tokenizer.text_of(token), self.tokenizer.decode([token])
        if token in self.tokenizer.control_tokens or not text:
            return raw, list(raw.encode("utf-8", "replace"))
        if _PARTIAL in text:
            found = self.tokenizer.bytes_of(token)
            if not found:
                return text, None
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in found), list(found)
        if raw.startswith(_WORD_START) and not text.startswith(" "):
            text = f" {text}"  # a decoder drops the space at the start of a text
        return text, list(text.encode("utf-8", "replace"))

    def entry(self, token: Mapping[str, Any], top: int) -> dict[str, Any]:
        """The entry of a token event in the log-probabilities of a chat answer."""
        own = self._entry(token["token"], token["log_probability"])
        listed = [
            self._entry(one["token"], one["log_probability"]) for one in token.get("top", ())[:top]
        ]
        return {**own, "top_logprobs": listed}

    def _entry(self, token: int, log_probability: float) -> dict[str, Any]:
        text, found = self.shown(token)
        return {"token": text, "logprob": finite(log_probability), "bytes": found}

    def top(self, token: Mapping[str, Any], top: int) -> dict[str, float]:
        """The most probable texts at a token of a completion, and its own if they lack it.

        Of tokens with one text the most probable counts.
        """
        listed = [(one["token"], one["log_probability"]) for one in token.get("top", ())[:top]]
        found: dict[str, float] = {}
        for number, chance in [*listed, (token["token"], token["log_probability"])]:
            text = self.text(number)
            found[text] = max(found.get(text, finite(chance)), finite(chance))
        return found


def finite(log_probability: float) -> float:
    """A log-probability that JSON can hold."""
    return max(log_probability, -9999.0)


def token_ids(tokenizer: Tokenizer, text: str, *, special: bool) -> list[int]:
    """The tokens of a client's whole prompt, control tokens included.

    `special` puts the BOS token first if the model expects one.
    """
    return encoded(tokenizer, text, special=special)[0]


def encoded(
    tokenizer: Tokenizer, text: str, *, special: bool
) -> tuple[list[int], list[tuple[int, int]]]:
    """The tokens of a client's whole prompt and their character ranges."""
    tokens, spans = tokenizer.encode_with_spans(text, [(0, len(text))])
    if (
        special
        and tokenizer.add_bos
        and tokenizer.bos is not None
        and tokens[:1] != [tokenizer.bos]
    ):
        return [tokenizer.bos, *tokens], [(0, 0), *spans]
    return tokens, spans


def decoded(tokenizer: Tokenizer, tokens: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text of tokens and the character range of each."""
    decoding, pieces, spans, end = tokenizer.decoding(), [], [], 0
    for token in tokens:
        control = token in tokenizer.control_tokens
        fresh = tokenizer.text_of(token) if control else decoding.push(token)
        pieces.append(fresh)
        spans.append((end, end + len(fresh)))
        end += len(fresh)
    rest = decoding.finish()
    if rest and spans:
        spans[-1] = (spans[-1][0], end + len(rest))
    return "".join([*pieces, rest]), spans
