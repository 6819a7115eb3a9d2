"""Grammars that answers must follow: JSON schemas, regular expressions, choices and Lark grammars.

llguidance computes the permitted tokens of each step from the bytes of all tokens, so any split of
an answer into tokens is possible. It is an optional package, and imported only for a grammar.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from forethought.contracts.controls import GrammarKind
from forethought.contracts.errors import BadParameterError, ForethoughtError, UsageError
from forethought.models.tokenization import grammar_probe
from forethought.models.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_LIMITS = {
    "initial_lexer_fuel": 200_000,
    "step_lexer_fuel": 100_000,
    "max_lexer_states": 20_000,
    "max_grammar_size": 200_000,
    "verbose_errors": False,
}
_WHITE_SPACE = r" |\n[ \t]{0,40}"
"""White space between the parts of JSON. It is bounded, or a model may write nothing else."""
_PLAIN_LENGTH = 20_000
"""Characters of a schema that is compiled without a trial, if it holds none of the next words."""
_COSTLY = ("pattern", "multipleOf", "allOf", "not", "format", "%", "x-guidance")
_TOKEN = re.compile(r"<\[[0-9]{1,9}\]>")
"""A token by its id, in a Lark grammar."""
_LONGEST = 300
"""Characters of an error message of llguidance."""
_LETTERS_STAY = ("Prepend", "Replace")
"""Normalizers that mark spaces and change no letter."""
_KEPT = 64
"""Compiled grammars that are kept for each tokenizer."""
_HINT = "simplify the grammar, or send none"
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"')
"""A literal of a Lark grammar."""
_MARKER = re.compile(r'(<[^<>\s"]+>|\[[^\[\]\s"]+\])')
"""A text that may be a control token."""
_known: WeakKeyDictionary[Tokenizer, Grammars] = WeakKeyDictionary()
_lock = Lock()


def grammar_constraint(tokenizer: Tokenizer, grammar: str, kind: GrammarKind) -> GrammarConstraint:
    """A new constraint at the start of the answer.

    The grammar is compiled once for each tokenizer, by any thread. Raises BadParameterError for a
    grammar that is malformed, unsupported or too complex, and UsageError without llguidance.
    """
    with _lock:
        known = _known.setdefault(tokenizer, Grammars())
    return GrammarConstraint(known.matcher(tokenizer, grammar, kind))


class GrammarConstraint:
    """The position of one answer in its grammar."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    @property
    def complete(self) -> bool:
        """Whether nothing but an end token may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self, vocabulary: int) -> Tensor:
        """The tokens that may come next, as booleans [vocabulary] on the CPU."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        flags = np.unpackbits(bits, count=min(vocabulary, 8 * len(bits)), bitorder="little")
        found = np.zeros(vocabulary, np.bool_)
        found[: len(flags)] = flags
        return torch.from_numpy(found)

    def accept(self, token: int) -> None:
        """Follow a token; raises UsageError if it is not allowed."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise UsageError(f"the grammar fails: {_first(self._matcher.get_error())}", _HINT)


class Grammars:
    """The compiled grammars of one tokenizer; several threads may compile at once."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[tuple[str, str], LLMatcher] = OrderedDict()
        self._tokens: LLTokenizer | None = None
        self._lock = Lock()

    def matcher(self, tokenizer: Tokenizer, grammar: str, kind: GrammarKind) -> LLMatcher:
        """A matcher at the start of a text."""
        name = kind, grammar
        with self._lock:
            found = self._compiled.get(name)
        if found is None:
            found = self._compile(tokenizer, grammar, kind)
        with self._lock:
            self._compiled[name] = found
            self._compiled.move_to_end(name)
            if len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return found.deep_copy()

    def _compile(self, tokenizer: Tokenizer, grammar: str, kind: GrammarKind) -> LLMatcher:
        library = _library()
        source = _source(library, grammar, kind)
        if not _plain(grammar, kind) and (error := _probed(source, library.__file__)):
            raise _refused(kind, error)
        with self._lock:
            if self._tokens is None:
                self._tokens = _token_bytes(library, tokenizer)
            tokens = self._tokens
        if kind == "lark":
            source = _source(library, _by_control_tokens(grammar, tokenizer, tokens), kind)
        limits = library.LLParserLimits(**_LIMITS)
        matcher: LLMatcher = library.LLMatcher(tokens, source, log_level=0, limits=limits)
        matcher.compute_bitmask()
        if matcher.is_error():
            raise _refused(kind, matcher.get_error())
        return matcher


def _library() -> Any:
    """The module llguidance; raises UsageError where it is not installed."""
    try:
        import llguidance
    except ImportError as error:
        raise UsageError(
            "grammars and JSON schemas need the package llguidance, which is not installed",
            'install it: pip install ".[serve]" in a checkout',
        ) from error
    return llguidance


def _token_bytes(library: Any, tokenizer: Tokenizer) -> LLTokenizer:
    """The tokens as llguidance reads them; raises UsageError for a decoder that it lacks."""
    ends = sorted(tokenizer.ends) or None
    try:
        found: LLTokenizer = library.LLTokenizer(_verbatim(tokenizer.serialised), eos_token=ends)
    except ValueError as error:
        raise UsageError(
            f"grammars cannot be used with this model's tokenizer: {_first(str(error))}",
            "send no grammar, or use another model",
        ) from error
    return found


def _verbatim(serialised: str) -> str:
    """A tokenizer.json whose tokenizer keeps every letter.

    llguidance tokenizes the bytes that a grammar forces. Normalised to other letters, the tokens
    would not follow the grammar.
    """
    described = json.loads(serialised)
    normalizer = described.get("normalizer") or {}
    parts = normalizer.get("normalizers", [normalizer])
    kept = [one for one in parts if one.get("type") in _LETTERS_STAY]
    if kept == parts or not normalizer:
        return serialised
    return json.dumps({**described, "normalizer": {"type": "Sequence", "normalizers": kept}})


def _source(library: Any, grammar: str, kind: GrammarKind) -> str:
    """The grammar in the form that llguidance compiles."""
    try:
        grammar.encode()
        if kind == "json":
            options = {"whitespace_pattern": _WHITE_SPACE}
            return str(library.LLMatcher.grammar_from_json_schema(grammar, defaults=options))
        if kind == "regex":
            return str(library.LLMatcher.grammar_from_regex(grammar))
        lark = _choice(grammar) if kind == "choice" else grammar
        lark.encode()
    except ValueError as error:
        raise _refused(kind, str(error)) from error
    return str(library.LLMatcher.grammar_from_lark(lark))


def _choice(grammar: str) -> str:
    """A Lark grammar of one of the strings of a JSON list."""
    quoted = (json.dumps(one, ensure_ascii=False) for one in json.loads(grammar))
    return f"start: {' | '.join(quoted)}".replace("\x7f", "\\u007f")


def _by_control_tokens(lark: str, tokenizer: Tokenizer, tokens: LLTokenizer) -> str:
    """The grammar with control tokens in place of their texts, where a literal holds one.

    llguidance forces a literal's tokens as the tokenizer splits it, and refuses a control token
    among them. Models with tools are trained to write that token.
    """

    def token(text: str) -> int | None:
        found = tokenizer.token_of(text) if _MARKER.fullmatch(text) else None
        return found if found is not None and tokens.is_special_token(found) else None

    def literal(found: re.Match[str]) -> str:
        parts = [(part, token(part)) for part in _MARKER.split(found[0][1:-1]) if part]
        if all(number is None for _, number in parts):
            return found[0]
        named = (f'"{part}"' if number is None else f"<[{number}]>" for part, number in parts)
        return f"({' '.join(named)})"

    lines = (line.partition("%json") for line in lark.split("\n"))
    return "\n".join(_LITERAL.sub(literal, rule) + sign + rest for rule, sign, rest in lines)


def _plain(grammar: str, kind: GrammarKind) -> bool:
    """Whether the time to compile a grammar is known to be short."""
    if kind == "choice":
        return True
    short = kind == "json" and len(grammar) <= _PLAIN_LENGTH
    return short and not any(word in grammar for word in _COSTLY)


def _probed(source: str, library: str) -> str:
    """The error of a grammar, found by a process that limits on time and memory can end.

    llguidance limits most of its work, but some intersections of regular expressions take time that
    grows exponentially.
    """
    folder = str(Path(library).parents[1])
    command = [sys.executable, "-I", grammar_probe.__file__, folder]
    # The trial has a vocabulary of bytes, so any token stands for those that the grammar names.
    trial = _TOKEN.sub("<[0]>", source)
    given = json.dumps({"grammar": trial, "limits": _LIMITS})
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=4 * grammar_probe.SECONDS
        )
    except subprocess.TimeoutExpired:
        return "it is too complex to compile"
    return done.stdout.strip() if done.returncode == 0 else "it is too complex to compile"


def _refused(kind: GrammarKind, error: str) -> ForethoughtError:
    named = {"json": "JSON schema", "regex": "regular expression", "choice": "choice"}
    # llguidance names its own flag where a rule leads to nothing but itself.
    reason = "it refers to itself without an end" if "NoExtensionBias" in error else _first(error)
    return BadParameterError(
        f"the {named.get(kind, 'Lark grammar')} cannot be used: {reason}", _HINT
    )


def _first(error: str) -> str:
    """The error on one line, and not too long."""
    line = " ".join(error.replace("<non-verbose/>", "").split()).removesuffix(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
