"""Tokenizes and detokenizes text, with the character range of each token.

Control tokens in a text are treated as plain characters, unless the caller marks the range as
written by the chat template.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from threading import Lock

from tokenizers import Tokenizer as Inner

from forethought.contracts.errors import MAKE_ANEW, UnsupportedModelError
from forethought.models.checkpoint.claims import shortened
from forethought.models.checkpoint.json_file import parse_object, read_text
from forethought.models.tokenization.check import MOST_BYTES, check_tokenizer
from forethought.models.tokenization.library import library_errors
from forethought.models.tokenization.token_bytes import reader_of

Span = tuple[int, int]
"""A character range: start, and end (exclusive)."""
Pieces = tuple[list[int], list[Span]]
"""Tokens and their character ranges."""

_OTHER_MODEL = "use another model"
_INCOMPLETE = "\ufffd"
_SIGHT = 8
"""Tokens within which a valid UTF-8 character ends."""
_LONG = 50_000
"""Characters of a text whose tokenization takes more than some hundredths of a second."""
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")  # left by undecodable input


class Tokenizer:
    """The tokenizer of a model."""

    def __init__(
        self,
        inner: Inner,
        *,
        bos: int | None = None,
        ends: Iterable[int] = (),
        add_bos: bool = False,
        fingerprint: str = "",
        rows: int | None = None,
    ) -> None:
        self.bos = bos
        """The beginning-of-sequence token, if the model has one."""
        listed = list(ends)
        self.ends = frozenset(listed)
        """Tokens that end an answer."""
        self.end = listed[0] if listed else None
        """The first of them in the model's settings."""
        self.add_bos = add_bos
        """Whether a text without a chat template starts with `bos`."""
        self._inner = inner
        self._inner.no_padding()
        self._inner.no_truncation()
        self._fingerprint = fingerprint
        self._rows = rows
        """Rows of the model's embedding; None if unknown."""
        self._lock = Lock()  # `encode_special_tokens` is state of the shared tokenizer
        self._long_lock = Lock()

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens."""
        return int(self._inner.get_vocab_size(with_added_tokens=True))

    @cached_property
    def longest(self) -> int:
        """No token stands for more characters: the longest entry of the vocabulary."""
        return max(map(len, self._inner.get_vocab(with_added_tokens=True)))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of vocabulary and merges: equal if tokens mean the same text."""
        return self._fingerprint or fingerprint_of(self._inner)

    @cached_property
    def control_tokens(self) -> frozenset[int]:
        """Tokens that plain text never becomes."""
        added = self._inner.get_added_tokens_decoder()
        return frozenset(token for token, entry in added.items() if entry.special)

    def text_of(self, token: int | None) -> str:
        """The vocabulary's text for a token; empty for None."""
        found = None if token is None else self._inner.id_to_token(token)
        return found or ""

    def token_of(self, text: str) -> int | None:
        """The token that the vocabulary stores as this text; None if there is none."""
        found = self._inner.token_to_id(text)
        return None if found is None else int(found)

    @property
    def serialised(self) -> str:
        """The tokenizer as the text of a tokenizer.json."""
        with self._lock:
            return str(self._inner.to_str())

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token adds to a text; empty for control tokens and unknown ones.

        A token may hold a part of a character. Only a token at the start of a text may add fewer
        bytes, since some tokenizers drop the space there.
        """
        text = self._inner.id_to_token(token)
        if text is None or token in self.control_tokens:
            return b""
        if token in self._added:
            return text.encode()
        return self._token_bytes(text)

    @cached_property
    def _added(self) -> frozenset[int]:
        """Added tokens, whose text is stored as it is."""
        return frozenset(self._inner.get_added_tokens_decoder())

    @cached_property
    def _token_bytes(self) -> Callable[[str], bytes]:
        """The reading of a stored token, by the kind of the decoder."""
        return reader_of(json.loads(self.serialised).get("decoder"))

    def encode(self, text: str) -> list[int]:
        """Tokenize plain text, without a BOS token."""
        return self._encode(text, control=False)[0]

    def encode_with_spans(self, text: str, trusted: Sequence[Span] = ()) -> Pieces:
        """Tokenize `text`, with the character range of each token.

        Control tokens are recognised only if they lie wholly inside one of the `trusted` ranges.
        """
        if not trusted:
            return self._encode(text, control=False)
        tokens, spans = self._encode(text, control=True)
        marks = [
            span for token, span in zip(tokens, spans, strict=True) if token in self.control_tokens
        ]
        if not all(_inside(_trimmed(text, mark), trusted) for mark in marks):
            tokens, spans = self._encode_around(text, trusted)
        if self._rows is not None and max(tokens, default=0) >= self._rows:
            raise UnsupportedModelError(
                f"the chat template writes {self.text_of(max(tokens))!r}, a token beyond the "
                f"embedding's {self._rows:,} rows",
                "use the tokenizer and the template that this model was published with",
            )
        return tokens, spans

    def _encode(self, text: str, *, control: bool) -> Pieces:
        readable = _LONE_SURROGATES.sub(_INCOMPLETE, text)
        with library_errors("the tokenizer cannot read this text", _OTHER_MODEL):
            if len(readable) > _LONG:
                return self._encode_long(readable, control=control)
            with self._lock:
                self._inner.encode_special_tokens = not control
                found = self._inner.encode(readable, add_special_tokens=False)
        return found.ids, found.offsets

    def _encode_long(self, text: str, *, control: bool) -> Pieces:
        """Encode without the interpreter's lock, and without the lock that short texts wait for."""
        with self._long_lock:
            self._for_long.encode_special_tokens = not control
            # Only batches release the interpreter's lock.
            (found,) = self._for_long.encode_batch([text], add_special_tokens=False)
        return found.ids, found.offsets

    @cached_property
    def _for_long(self) -> Inner:
        """A tokenizer for long texts alone."""
        with self._lock:
            return deepcopy(self._inner)

    def _encode_around(self, text: str, trusted: Sequence[Span]) -> Pieces:
        """Encode control tokens in trusted ranges as such, and everything between as text."""
        tokens: list[int] = []
        spans: list[Span] = []
        place = 0
        for token, (start, stop) in [*self._control(text, trusted), (-1, (len(text),) * 2)]:
            between, theirs = self._encode(text[place:start], control=False)
            tokens += between
            spans += [(place + a, place + b) for a, b in theirs]
            if token >= 0:
                tokens.append(token)
                spans.append((start, stop))
            place = stop
        return tokens, spans

    def _control(self, text: str, trusted: Sequence[Span]) -> Iterator[tuple[int, Span]]:
        for first, last in trusted:
            tokens, spans = self._encode(text[first:last], control=True)
            for token, (start, stop) in zip(tokens, spans, strict=True):
                if token in self.control_tokens:
                    yield token, (first + start, first + stop)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; control tokens are skipped."""
        with library_errors("the tokenizer cannot decode these tokens", _OTHER_MODEL):
            return str(self._inner.decode(list(tokens), skip_special_tokens=True))

    def decoding(
        self, after: Sequence[int] = (), visible: frozenset[int] = frozenset()
    ) -> Decoding:
        """Start incremental decoding, at a text's start or after the tokens `after`.

        Control tokens are skipped, except for those in `visible`.
        """
        return Decoding(self, after, visible)

    def ends_in_part(self, tokens: Sequence[int], text: str) -> bool:
        """Whether the tokens, decoded as `text`, end inside a character."""
        if not text.endswith(_INCOMPLETE):
            return False
        # The model may have generated the replacement character itself.
        written, whole = (map(self.text_of, one) for one in (tokens, self.encode(_INCOMPLETE)))
        return not "".join(written).endswith("".join(whole))

    def save(self, path: Path) -> None:
        """Write the tokenizer to `path` as JSON."""
        self._inner.encode_special_tokens = False
        self._inner.save(str(path), pretty=False)


class Decoding:
    """Incremental detokenization; holds incomplete characters back."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        after: Sequence[int] = (),
        visible: frozenset[int] = frozenset(),
    ) -> None:
        self._tokenizer = tokenizer
        self._visible = visible
        for sight in (_SIGHT, len(after)):
            # Decoders treat the start of a text specially, so the last tokens stay as context.
            self._shown: list[int] = []
            self._waiting: list[int] = []
            for token in after[-sight:]:
                self.push(token)
            if len(self._waiting) < sight:
                break  # a character ended among these, so earlier tokens do not matter

    def push(self, token: int) -> str:
        """The text that this token completes; may be empty."""
        if token in self._visible:
            return self.finish() + self._tokenizer.text_of(token)
        self._waiting.append(token)
        fresh = self._fresh()
        if self._tokenizer.ends_in_part(self._waiting, fresh):
            return ""
        self._shown, self._waiting = self._waiting, []
        return fresh

    def finish(self) -> str:
        """The remaining text, without an incomplete character."""
        whole = self._fresh().rstrip(_INCOMPLETE) if self._waiting else ""
        self._shown, self._waiting = [], []
        return whole

    def _fresh(self) -> str:
        before = self._tokenizer.decode(self._shown)
        return self._tokenizer.decode([*self._shown, *self._waiting])[len(before) :]


def _trimmed(text: str, span: Span) -> Span:
    """The span without the white space that some control tokens absorb."""
    part = text[span[0] : span[1]]
    start = span[0] + len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def _inside(span: Span, ranges: Sequence[Span]) -> bool:
    """Whether one of these ascending ranges contains the span."""
    place = bisect_right(ranges, span[0], key=lambda one: one[0]) - 1
    return place >= 0 and span[1] <= ranges[place][1]


def read_inner(path: Path) -> Inner:
    """The tokenizer of a converted folder."""
    again = f"fetch the model again, or {MAKE_ANEW}"
    with library_errors(f"{path} is not a readable tokenizer", again):
        return Inner.from_file(str(path))


def read_published(path: Path) -> Inner:
    """A published tokenizer.json: checked before parsing, tested after.

    Padding and truncation settings are dropped. Raises DamagedFileError, or UnsupportedModelError
    for unsafe settings.
    """
    text = read_text(path, MOST_BYTES)
    check_tokenizer(parse_object(text, str(path)), str(path))
    with library_errors(f"{path} is not a readable tokenizer", _OTHER_MODEL):
        inner = Inner.from_str(text)
    return tested_tokenizer(inner, str(path))


def tested_tokenizer(inner: Inner, where: str) -> Inner:
    """The tokenizer, tested on short texts with all kinds of characters.

    Raises DamagedFileError if the library fails on them, since user texts would fail too.
    """
    inner.no_padding()
    inner.no_truncation()
    with library_errors(f"{where}: its tokenizer fails on plain text", _OTHER_MODEL):
        for text in _ALL_KINDS:
            inner.decode(inner.encode(text, add_special_tokens=True).ids)
        inner.to_str()
    return inner


_ALL_KINDS = (
    "",
    " a",
    "Hello, World's 3.14\n\n\tend  of\r\nline",
    f"{'a' * 40}b {' ' * 40}x{'1' * 40}{'=' * 40}",
    "e\u0301 \u00e9 \u4e16\u754c \u0645\u0631 \U0001f600\u200d\ufb01 \x00\x7f\ufffd",
)


def check_embedding(inner: Inner, bos: int | None, rows: int, where: str) -> None:
    """Raise UnsupportedModelError if plain text can yield a token without an embedding row.

    Control tokens may lack a row: text models share tokenizers with vision models, and plain text
    never becomes a control token.
    """
    added = inner.get_added_tokens_decoder()
    control = {token for token, entry in added.items() if entry.special}
    vocabulary = inner.get_vocab(with_added_tokens=True)
    beyond = [t for t, token in vocabulary.items() if token >= rows and token not in control]
    if bos is not None and bos >= rows:
        beyond.append(f"the BOS token {bos:,}")
    if beyond:
        raise UnsupportedModelError(
            f"{where}: {len(beyond):,} tokens, such as {shortened(beyond[0])}, are beyond the "
            f"embedding's {rows:,} rows",
            "use the tokenizer that this model was published with",
        )


def fingerprint_of(inner: Inner) -> str:
    """Hash of a tokenizer's vocabulary and merges."""
    merges = json.loads(inner.to_str())["model"].get("merges", [])
    vocabulary = sorted(inner.get_vocab(with_added_tokens=True).items())
    return hashlib.sha256(json.dumps([vocabulary, merges]).encode()).hexdigest()
