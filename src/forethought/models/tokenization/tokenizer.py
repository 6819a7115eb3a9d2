"""Text to tokens and back, with the characters that each token stands for.

Text is only text: what looks like a control token in it stays ordinary characters, unless
the caller says that it comes from the chat template.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

from tokenizers import Tokenizer as Inner

from forethought.contracts.errors import MAKE_ANEW, UnsupportedModelError
from forethought.models.checkpoint.claims import shortened
from forethought.models.checkpoint.json_file import parse_object, read_text
from forethought.models.tokenization.check import MOST_BYTES, check_tokenizer
from forethought.models.tokenization.library import library_errors

Span = tuple[int, int]
"""Characters from the first up to, not including, the second."""
Pieces = tuple[list[int], list[Span]]
"""Tokens, and the characters each stands for."""

_OTHER_MODEL = "use another model"
_INCOMPLETE = "\ufffd"
_SIGHT = 8
"""Tokens within which a letter ends, but for bytes that are no text."""
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")  # what undecodable input leaves behind


class Tokenizer:
    """The tokenizer of one model."""

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
        """The token that starts a text, if the model knows one."""
        listed = list(ends)
        self.ends = frozenset(listed)
        """Tokens that end an answer."""
        self.end = listed[0] if listed else None
        """The one of them that the model states first."""
        self.add_bos = add_bos
        """Whether a text without a chat template starts with `bos`."""
        self._inner = inner
        self._inner.no_padding()
        self._inner.no_truncation()
        self._fingerprint = fingerprint
        self._rows = rows
        """Of the model's embedding; no bound where they are not known."""
        self._lock = Lock()  # whether control tokens count is a setting of the tokenizer

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are."""
        return int(self._inner.get_vocab_size(with_added_tokens=True))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of vocabulary and merges: equal where tokens mean the same text."""
        return self._fingerprint or fingerprint_of(self._inner)

    @cached_property
    def control_tokens(self) -> frozenset[int]:
        """Tokens that no text can stand for."""
        added = self._inner.get_added_tokens_decoder()
        return frozenset(token for token, entry in added.items() if entry.special)

    def text_of(self, token: int | None) -> str:
        """What the vocabulary calls a token; nothing for none."""
        found = None if token is None else self._inner.id_to_token(token)
        return found or ""

    def encode(self, text: str) -> list[int]:
        """The tokens of plain text, without a beginning-of-text token."""
        return self._encode(text, control=False)[0]

    def encode_with_spans(self, text: str, trusted: Sequence[Span] = ()) -> Pieces:
        """The tokens of `text` and the characters of each.

        Control tokens are recognised where they lie wholly inside one of the `trusted`
        ranges; anywhere else they are read as ordinary characters.
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
                f"{self._rows:,} rows of the embedding",
                "use the tokenizer and the template that this model was published with",
            )
        return tokens, spans

    def _encode(self, text: str, *, control: bool) -> Pieces:
        readable = _LONE_SURROGATES.sub(_INCOMPLETE, text)
        with self._lock, library_errors("the tokenizer cannot read this text", _OTHER_MODEL):
            self._inner.encode_special_tokens = not control
            found = self._inner.encode(readable, add_special_tokens=False)
        return found.ids, found.offsets

    def _encode_around(self, text: str, trusted: Sequence[Span]) -> Pieces:
        """Control tokens of trusted ranges as they are; what lies between them as text."""
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
        """The text of tokens; control tokens have none."""
        with library_errors("the tokenizer cannot write these tokens as text", _OTHER_MODEL):
            return str(self._inner.decode(list(tokens), skip_special_tokens=True))

    def decoding(self, after: Sequence[int] = ()) -> Decoding:
        """Decodes a text token by token, from its start or behind the tokens `after`."""
        return Decoding(self, after)

    def ends_in_part(self, tokens: Sequence[int], text: str) -> bool:
        """Whether the tokens, decoded as `text`, leave the last letter incomplete."""
        if not text.endswith(_INCOMPLETE):
            return False
        # The model may have written the replacement character itself, as any other.
        written, whole = (map(self.text_of, one) for one in (tokens, self.encode(_INCOMPLETE)))
        return not "".join(written).endswith("".join(whole))

    def save(self, path: Path) -> None:
        """Write the tokenizer to `path` as JSON."""
        self._inner.encode_special_tokens = False
        self._inner.save(str(path), pretty=False)


class Decoding:
    """Decodes a growing text; never shows half a character."""

    def __init__(self, tokenizer: Tokenizer, after: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        for sight in (_SIGHT, len(after)):
            # Decoders treat the start of a text differently: what was shown last stays in view.
            self._shown: list[int] = []
            self._waiting: list[int] = []
            for token in after[-sight:]:
                self.push(token)
            if len(self._waiting) < sight:
                break  # a letter was complete among these: what lies before decides nothing

    def push(self, token: int) -> str:
        """The text that is complete with this token; often all of it, sometimes none."""
        self._waiting.append(token)
        fresh = self._fresh()
        if self._tokenizer.ends_in_part(self._waiting, fresh):
            return ""
        self._shown, self._waiting = self._waiting, []
        return fresh

    def finish(self) -> str:
        """What was held back and is complete; half a character is left out."""
        whole = self._fresh().rstrip(_INCOMPLETE) if self._waiting else ""
        self._shown, self._waiting = [], []
        return whole

    def _fresh(self) -> str:
        before = self._tokenizer.decode(self._shown)
        return self._tokenizer.decode([*self._shown, *self._waiting])[len(before) :]


def _trimmed(text: str, span: Span) -> Span:
    """Without the white space that some control tokens take in around them."""
    part = text[span[0] : span[1]]
    start = span[0] + len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def _inside(span: Span, ranges: Sequence[Span]) -> bool:
    """Whether one of these ascending ranges holds the span."""
    place = bisect_right(ranges, span[0], key=lambda one: one[0]) - 1
    return place >= 0 and span[1] <= ranges[place][1]


def read_inner(path: Path) -> Inner:
    """The tokenizer that a model's converted folder holds at `path`, as JSON."""
    again = f"fetch the model again, or {MAKE_ANEW}"
    with library_errors(f"{path} is no tokenizer that can be read", again):
        return Inner.from_file(str(path))


def read_published(path: Path) -> Inner:
    """The tokenizer in a file of somebody else's: checked before it is read, and tried after.

    Lengths that it pads or cuts texts to are dropped. Raises DamagedFileError, or
    UnsupportedModelError for one that no text may be given to.
    """
    text = read_text(path, MOST_BYTES)
    check_tokenizer(parse_object(text, str(path)), str(path))
    with library_errors(f"{path} is no tokenizer that can be read", _OTHER_MODEL):
        inner = Inner.from_str(text)
    return tried(inner, str(path))


def tried(inner: Inner, where: str) -> Inner:
    """The tokenizer, once it has read and written a short text of all kinds of characters.

    Raises DamagedFileError where its library gives up: it would do so on a user's text too.
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
    """Raise UnsupportedModelError where texts can hold a token without a row in the embedding.

    Control tokens without one are left: models of text share the tokenizers of models that see,
    and no text of a user becomes such a token.
    """
    added = inner.get_added_tokens_decoder()
    control = {token for token, entry in added.items() if entry.special}
    vocabulary = inner.get_vocab(with_added_tokens=True)
    beyond = [t for t, token in vocabulary.items() if token >= rows and token not in control]
    if bos is not None and bos >= rows:
        beyond.append(f"the beginning of texts, {bos:,}")
    if beyond:
        raise UnsupportedModelError(
            f"{where}: {len(beyond):,} tokens, such as {shortened(beyond[0])}, are beyond the "
            f"{rows:,} rows of the embedding",
            "use the tokenizer that this model was published with",
        )


def fingerprint_of(inner: Inner) -> str:
    """Hash of the vocabulary and the merges of a tokenizer."""
    merges = json.loads(inner.to_str())["model"].get("merges", [])
    vocabulary = sorted(inner.get_vocab(with_added_tokens=True).items())
    return hashlib.sha256(json.dumps([vocabulary, merges]).encode()).hexdigest()
