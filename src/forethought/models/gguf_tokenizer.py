"""Builds a tokenizer from the vocabulary inside a GGUF file.

Two kinds are known: byte-level pairs with written merges ("gpt2", with one of several
splitting patterns), and sentence pieces with scores ("llama"), whose merges are recovered
from the scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError

_SPACE = "▁"
_SPACE_TOKEN_TOP = float("inf")

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_ONE_DIGIT = rf"{_CONTRACTIONS}|{_LETTERS}|\p{{N}}|{_REST}"
_THREE_DIGITS = rf"{_CONTRACTIONS}|{_LETTERS}|\p{{N}}{{1,3}}|{_REST}"
_PATTERNS = {
    "dbrx": _THREE_DIGITS,
    "deepseek-r1-qwen": _ONE_DIGIT,
    "llama-bpe": _THREE_DIGITS,
    "qwen2": _ONE_DIGIT,
    "smaug-bpe": _THREE_DIGITS,
}
_SINGLE_DIGITS = ("refact", "smollm", "starcoder")
_COMPOSED = ("deepseek-r1-qwen", "qwen2")
_WHOLE_WORDS_FIRST = ("llama-bpe",)
_PLAIN = ("gpt-2",)


class TokenKind(IntEnum):
    """What a vocabulary entry is for, as GGUF numbers it."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class _Vocabulary:
    texts: list[str]
    kinds: list[int]
    scores: list[float]

    @classmethod
    def read(cls, metadata: dict[str, Any]) -> _Vocabulary:
        texts = _required(metadata, "tokens")
        kinds = metadata.get("tokenizer.ggml.token_type")
        scores = metadata.get("tokenizer.ggml.scores")
        kinds = [int(TokenKind.NORMAL)] * len(texts) if kinds is None else kinds.tolist()
        scores = [0.0] * len(texts) if scores is None else scores.tolist()
        if not len(texts) == len(kinds) == len(scores):
            raise DamagedFileError(
                "the vocabulary, its kinds and its scores differ in length", "fetch the file again"
            )
        return cls(texts, kinds, scores)

    def of(self, *wanted: TokenKind) -> Iterator[tuple[int, str]]:
        return (
            (i, text)
            for i, (text, kind) in enumerate(zip(self.texts, self.kinds, strict=True))
            if kind in wanted
        )

    def added(self) -> list[AddedToken]:
        """The entries that are matched in a text before anything else."""
        control = [text for _, text in self.of(TokenKind.CONTROL, TokenKind.UNKNOWN)]
        defined = [text for _, text in self.of(TokenKind.USER_DEFINED)]
        return [
            *(AddedToken(text, special=True, normalized=False) for text in control),
            *(AddedToken(text, special=False, normalized=False) for text in defined),
        ]


def _required(metadata: dict[str, Any], name: str) -> Any:
    key = f"tokenizer.ggml.{name}"
    if key not in metadata:
        raise DamagedFileError(
            f"the file holds no {key}", "use a GGUF file that includes its tokenizer"
        )
    return metadata[key]


def build_tokenizer(metadata: dict[str, Any]) -> Tokenizer:
    """The tokenizer that a GGUF file's metadata describes.

    Raises UnsupportedModelError for a kind or a splitting pattern that is not known here,
    DamagedFileError where parts are missing.
    """
    kind = str(_required(metadata, "model"))
    if kind == "gpt2":
        return _byte_level(metadata)
    if kind == "llama":
        return _sentence_pieces(metadata)
    raise UnsupportedModelError(
        f"tokenizers of kind {kind!r} are not supported", "supported: gpt2, llama"
    )


def _byte_level(metadata: dict[str, Any]) -> Tokenizer:
    split = str(metadata.get("tokenizer.ggml.pre", "gpt-2"))
    vocabulary = _Vocabulary.read(metadata)
    # Entries without a use only fill the embedding matrix up to a round number.
    unused = {i for i, _ in vocabulary.of(TokenKind.UNUSED)}
    entries = {text: i for i, text in enumerate(vocabulary.texts) if i not in unused}
    merges = [merge.partition(" ")[::2] for merge in _required(metadata, "merges")]
    whole = split in _WHOLE_WORDS_FIRST
    tokenizer = Tokenizer(_pairs(entries, merges, ignore_merges=whole))
    if split in _COMPOSED:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _splitter(split)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(vocabulary.added())
    return tokenizer


def _pairs(entries: dict[str, int], merges: list[tuple[str, str]], **settings: Any) -> models.BPE:
    for merge in merges:
        if "".join(merge) not in entries or any(part not in entries for part in merge):
            raise DamagedFileError(
                f"the tokenizer merges {' and '.join(merge)!r}, which its vocabulary lacks",
                "fetch the file again",
            )
    return models.BPE(vocab=entries, merges=merges, **settings)


def _splitter(split: str) -> pre_tokenizers.PreTokenizer:
    if split in _SINGLE_DIGITS:
        first: pre_tokenizers.PreTokenizer = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([first, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    if split in _PLAIN:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if split not in _PATTERNS:
        known = sorted([*_PATTERNS, *_SINGLE_DIGITS, *_PLAIN])
        raise UnsupportedModelError(
            f"the tokenizer's splitting pattern {split!r} is not supported",
            f"supported: {', '.join(known)}",
        )
    first = pre_tokenizers.Split(Regex(_PATTERNS[split]), behavior="isolated")
    rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([first, rest])


def _sentence_pieces(metadata: dict[str, Any]) -> Tokenizer:
    vocabulary = _Vocabulary.read(metadata)
    entries = {_stored(text): i for i, text in enumerate(vocabulary.texts)}
    unknown = next((text for _, text in vocabulary.of(TokenKind.UNKNOWN)), None)
    tokenizer = Tokenizer(
        _pairs(
            entries,
            _merges(vocabulary),
            unk_token=unknown or _text_at(vocabulary, metadata, "unknown"),
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    spaces = normalizers.Replace(" ", _SPACE)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), spaces]) if prefix else spaces
    )
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] * prefix)])
    tokenizer.add_tokens(_restored(vocabulary.added()))
    return tokenizer


def _stored(text: str) -> str:
    """Runs of spaces are stored as such; in the vocabulary they are runs of the mark."""
    return text.replace(" ", _SPACE)


def _restored(added: list[AddedToken]) -> list[AddedToken]:
    return [
        token
        if " " not in token.content
        else AddedToken(_stored(token.content), special=token.special, normalized=False)
        for token in added
    ]


def _text_at(vocabulary: _Vocabulary, metadata: dict[str, Any], name: str) -> str | None:
    place = metadata.get(f"tokenizer.ggml.{name}_token_id")
    return None if place is None else vocabulary.texts[int(place)]


def _merges(vocabulary: _Vocabulary) -> list[tuple[str, str]]:
    """Every way to make a piece of two others, the best-scored piece first.

    Runs of spaces come before all: a run is always taken whole, the longest first.
    """
    ranked: list[tuple[float, int, str]] = [
        (-vocabulary.scores[i], i, text) for i, text in vocabulary.of(TokenKind.NORMAL)
    ]
    for _, text in vocabulary.of(TokenKind.USER_DEFINED):
        if set(text) <= {" ", _SPACE}:
            ranked.append((-_SPACE_TOKEN_TOP, -len(text), _stored(text)))
    usable = {text for _, _, text in ranked}
    return [
        (text[:cut], text[cut:])
        for _, _, text in sorted(ranked)
        for cut in range(1, len(text))
        if text[:cut] in usable and text[cut:] in usable
    ]
