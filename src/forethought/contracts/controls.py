"""Controls of decoding that a request may set beside its recipe.

The fields are those of OpenAI's API and of vLLM's sampling parameters, with the same limits.
Nothing here imports torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

from forethought.contracts.errors import BadParameterError

GrammarKind = Literal["json", "regex", "choice", "lark"]
_KINDS = get_args(GrammarKind)
_MOST_TOKENS = 1 << 31
MOST_GRAMMAR = 256 * 1024
"""Characters of a grammar at most."""


@dataclass(frozen=True)
class ThinkingMarks:
    """The tokens that open and close a model's reasoning."""

    opening: int
    closing: int
    close: tuple[int, ...]
    """The tokens that end the reasoning where a budget cuts it; `closing` is one of them."""


@dataclass(frozen=True)
class GenerationControls:
    """Controls of decoding; the defaults change no token of an answer."""

    logit_bias: Mapping[int, float] | tuple[tuple[int, float], ...] = ()
    """Added to the logits of these tokens, -100 to 100; kept as sorted pairs."""
    frequency_penalty: float = 0.0
    """Subtracted from a token's logit for each time that the answer holds the token; -2 to 2."""
    presence_penalty: float = 0.0
    """Subtracted from the logits of tokens that the answer holds; -2 to 2."""
    repetition_penalty: float = 1.0
    """Divides positive logits, and multiplies negative ones, of tokens of prompt and answer."""
    min_tokens: int = 0
    """Tokens before which neither an end token nor a stop string ends the answer."""
    ignore_end: bool = False
    """Whether the model's end tokens are tokens like any other."""
    stop_token_ids: tuple[int, ...] = ()
    """Further end tokens."""
    allowed_tokens: tuple[int, ...] = ()
    """The only tokens that may be chosen, end tokens included; empty for all."""
    grammar: str = ""
    """The grammar of the answer, in the form of `grammar_kind`; empty for none."""
    grammar_kind: GrammarKind = "json"
    """json: a JSON schema as JSON text; regex; choice: a JSON list of strings; lark."""
    thinking_budget: int | None = None
    """Tokens of reasoning at most, for models that think; None for no limit."""
    score_only: bool = False
    """Whether no token is decoded: the prompt is prefilled, and its tokens may be scored."""

    def __post_init__(self) -> None:
        for name, kept in (
            ("logit_bias", _biases(self.logit_bias)),
            ("stop_token_ids", _tokens("stop_token_ids", self.stop_token_ids)),
            ("allowed_tokens", _tokens("allowed_tokens", self.allowed_tokens)),
        ):
            object.__setattr__(self, name, kept)
        for name in ("frequency_penalty", "presence_penalty"):
            _check_number(name, getattr(self, name), -2, 2)
        _check_number("repetition_penalty", self.repetition_penalty, 0, math.inf)
        if self.repetition_penalty == 0:
            raise _refused("repetition_penalty", 0, "a number above 0")
        _check_count("min_tokens", self.min_tokens)
        if self.thinking_budget is not None:
            _check_count("thinking_budget", self.thinking_budget)
        for name in ("ignore_end", "score_only"):
            if not isinstance(getattr(self, name), bool):
                raise _refused(name, getattr(self, name), "true or false")
        _check_grammar(self.grammar, self.grammar_kind)

    @property
    def default(self) -> bool:
        """Whether all controls have their defaults, so that no token changes."""
        return self == _DEFAULT

    @property
    def penalises(self) -> bool:
        """Whether logits depend on the tokens before."""
        penalties = self.frequency_penalty, self.presence_penalty, self.repetition_penalty
        return penalties != (0, 0, 1)

    def check_vocabulary(self, size: int) -> None:
        """Raise BadParameterError for a token id that a vocabulary of `size` does not hold."""
        ids = (*dict(self.logit_bias), *self.stop_token_ids, *self.allowed_tokens)
        for token in ids:
            if token >= size:
                raise BadParameterError(
                    f"token {token:,} is not in the vocabulary of {size:,} tokens",
                    f"use token ids from 0 to {size - 1:,} of this model",
                )

    def describe(self) -> dict[str, object]:
        """The controls that differ from their defaults, as JSON values."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.logit_bias:
            values["logit_bias"] = {
                str(token): bias for token, bias in dict(self.logit_bias).items()
            }
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if getattr(self, name) != getattr(_DEFAULT, name)
        }


def _biases(given: object) -> tuple[tuple[int, float], ...]:
    """The biases by token; the last one counts if a token has two."""
    if not isinstance(given, Mapping | tuple):
        raise _refused("logit_bias", given, "a mapping of token ids to numbers")
    biases = dict(given)
    for token, bias in biases.items():
        _check_token("logit_bias", token)
        _check_number("logit_bias", bias, -100, 100)
    return tuple(sorted((token, float(bias)) for token, bias in biases.items()))


def _tokens(name: str, given: object) -> tuple[int, ...]:
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise _refused(name, given, "a list of token ids")
    tokens = tuple(given)
    for token in tokens:
        _check_token(name, token)
    return tuple(sorted(set(tokens)))


def _check_token(name: str, token: object) -> None:
    if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < _MOST_TOKENS:
        raise _refused(name, token, "token ids of 0 or more")


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_TOKENS:
        raise _refused(name, value, "a whole number of 0 or more")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(float(str(value))) or not low <= float(str(value)) <= high:
        allowed = f"a number from {low} to {high}" if math.isfinite(high) else "a number above 0"
        raise _refused(name, value, allowed)


def _check_grammar(grammar: object, kind: object) -> None:
    if kind not in _KINDS:
        raise _refused("grammar_kind", kind, " or ".join(_KINDS))
    if not isinstance(grammar, str):
        raise _refused("grammar", grammar, "text")
    if len(grammar) > MOST_GRAMMAR:
        raise BadParameterError(
            f"the grammar has {len(grammar):,} characters",
            f"use a grammar of {MOST_GRAMMAR:,} characters at most",
        )
    if grammar and kind == "choice" and not _is_choice(grammar):
        raise _refused("grammar", grammar, "a JSON list of non-empty strings for a choice")


def _is_choice(grammar: str) -> bool:
    """Whether the text is a JSON list of one or more non-empty strings."""
    try:
        found = json.loads(grammar)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(one, str) and one for one in found)
    )


def _refused(name: str, value: object, allowed: str) -> BadParameterError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
    return BadParameterError(f"{name} is {shown}", f"use {allowed}")


_DEFAULT = GenerationControls()
