"""Builds a tokenizer from the vocabulary of a GGUF file.

Two kinds are supported: byte-level BPE with explicit merges and a named splitting pattern ("gpt2"),
and SentencePiece BPE ("llama"), whose merges are derived from the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from forethought.models.checkpoint.claims import Claims, shortened
from forethought.models.tokenization.library import library_errors
from forethought.models.tokenization.tokenizer import tested_tokenizer

ENDS = ("eos", "eot", "eom")
"""Roles of the tokens that a file names as the end of an answer."""
ENDING_TEXTS = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>"),
    *("<end_of_turn>", "<|eom_id|>", "</s>", "<eos>"),
)
"""Control tokens that end answers, even where the file does not name them."""
_PREFIX = "tokenizer."
_LONGEST = 1 << 13  # characters of a token
_LONGEST_PIECE = 1 << 9  # characters of a SentencePiece token: each split of it may be a merge
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
    """The kind of a vocabulary entry, in GGUF's numbering."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a GGUF file with their texts and kinds."""

    claims: Claims
    """The metadata below "tokenizer."."""
    texts: list[str]
    kinds: list[int]

    @classmethod
    def read(cls, metadata: Mapping[str, Any], where: str = "the file") -> Vocabulary:
        """Parse the vocabulary in a file's metadata; DamagedFileError if its parts do not fit."""
        own = {
            key.removeprefix(_PREFIX): value
            for key, value in metadata.items()
            if key.startswith(_PREFIX)
        }
        claims = Claims(own, where, "use a GGUF file that includes its tokenizer")
        texts = claims.texts("ggml.tokens", longest=_LONGEST)
        if not claims.has("ggml.token_type"):
            return cls(claims, texts, list(_guessed_kinds(claims, texts)))
        kinds = claims.counts("ggml.token_type")
        if len(texts) != len(kinds):
            raise claims.wrong("ggml.token_type", kinds, f"{len(texts):,}, one for each token")
        return cls(claims, texts, kinds)

    @property
    def kind(self) -> str:
        """The kind of tokenizer: gpt2 or llama."""
        return self.claims.text("ggml.model")

    def token(self, name: str) -> int | None:
        """The token that the file names for a role; None if missing or out of range."""
        stated = self.claims.maybe_count(f"ggml.{name}_token_id", least=-1)
        return stated if stated is not None and 0 <= stated < len(self.texts) else None

    def of(self, *wanted: TokenKind) -> Iterator[tuple[int, str]]:
        """Numbers and texts of the tokens of some kinds."""
        return (
            (i, text)
            for i, (text, kind) in enumerate(zip(self.texts, self.kinds, strict=True))
            if kind in wanted
        )

    def added(self) -> list[AddedToken]:
        """Tokens that are matched before the text is split."""
        control = [text for _, text in self.of(TokenKind.CONTROL, TokenKind.UNKNOWN)]
        defined = [text for _, text in self.of(TokenKind.USER_DEFINED)]
        return [
            *(AddedToken(text, special=True, normalized=False) for text in control),
            *(AddedToken(text, special=False, normalized=False) for text in defined),
        ]

    def guesses(self) -> tuple[str, ...]:
        """Notes on settings that the file lacks, with the assumption made for each."""
        missing = {
            "ggml.token_type": "no token types: control tokens are those it names and the usual "
            "end-of-answer tokens",
            "ggml.pre": f"no splitting pattern: texts are split as in {_PLAIN[0]}, which may "
            "differ from the model's training",
        }
        if self.kind != "gpt2":
            del missing["ggml.pre"]
        return tuple(
            f"the GGUF file states {what}"
            for key, what in missing.items()
            if not self.claims.has(key)
        )


def _guessed_kinds(claims: Claims, texts: Sequence[str]) -> Iterator[int]:
    """CONTROL for tokens that the file names or that usually end answers, else NORMAL."""
    keys = [f"ggml.{name}_token_id" for name in ("bos", *ENDS, "unknown", "padding")]
    named = {claims.count(key, least=-1) for key in keys if claims.has(key)}
    for token, text in enumerate(texts):
        control = token in named or text in ENDING_TEXTS
        yield TokenKind.CONTROL if control else TokenKind.NORMAL


def build_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that a GGUF file's metadata describes.

    Raises UnsupportedModelError for an unknown kind or splitting pattern, and DamagedFileError for
    missing parts.
    """
    return tokenizer_from(Vocabulary.read(metadata))


def tokenizer_from(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer of a vocabulary; see `build_tokenizer`."""
    build = _BUILDERS.get(vocabulary.kind)
    if build is None:
        raise UnsupportedModelError(
            f"tokenizers of kind {shortened(vocabulary.kind)} are not supported",
            f"supported: {', '.join(_BUILDERS)}",
        )
    where = vocabulary.claims.where
    with library_errors(f"{where}: its tokenizer cannot be built", "fetch the file again"):
        return tested_tokenizer(build(vocabulary), where)


def _byte_level(vocabulary: Vocabulary) -> Tokenizer:
    claims = vocabulary.claims
    split = claims.text("ggml.pre", _PLAIN[0])
    # Unused entries only pad the embedding matrix to a round size.
    unused = {i for i, _ in vocabulary.of(TokenKind.UNUSED)}
    entries = {text: i for i, text in enumerate(vocabulary.texts) if i not in unused}
    stated = claims.texts("ggml.merges", longest=2 * _LONGEST + 1)
    merges = [merge.partition(" ")[::2] for merge in stated]
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
            pair = shortened(" and ".join(merge))
            raise DamagedFileError(
                f"the tokenizer merges {pair}, which its vocabulary lacks", "fetch the file again"
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
            f"the tokenizer's splitting pattern {shortened(split)} is not supported",
            f"supported: {', '.join(known)}",
        )
    first = pre_tokenizers.Split(Regex(_PATTERNS[split]), behavior="isolated")
    rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([first, rest])


def _sentence_pieces(vocabulary: Vocabulary) -> Tokenizer:
    claims = vocabulary.claims
    entries = {_stored(text): i for i, text in enumerate(vocabulary.texts)}
    unknown = next((text for _, text in vocabulary.of(TokenKind.UNKNOWN)), None)
    tokenizer = Tokenizer(
        _pairs(
            entries,
            _merges(vocabulary),
            unk_token=unknown or _text_at(vocabulary, "unknown"),
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = claims.flag("ggml.add_space_prefix", True)
    spaces = normalizers.Replace(" ", _SPACE)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), spaces]) if prefix else spaces
    )
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] * prefix)])
    tokenizer.add_tokens(_restored(vocabulary.added()))
    return tokenizer


def _stored(text: str) -> str:
    """The text with its spaces replaced by SentencePiece's space mark."""
    return text.replace(" ", _SPACE)


def _restored(added: list[AddedToken]) -> list[AddedToken]:
    return [
        token
        if " " not in token.content
        else AddedToken(_stored(token.content), special=token.special, normalized=False)
        for token in added
    ]


def _text_at(vocabulary: Vocabulary, name: str) -> str | None:
    token = vocabulary.token(name)
    return None if token is None else _stored(vocabulary.texts[token])


def _merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """All merges of two pieces into one, by descending score of the result.

    Runs of spaces come first, the longest before all: a run is always one token if it can be.
    """
    claims, texts = vocabulary.claims, vocabulary.texts
    scores = claims.numbers("ggml.scores")
    if len(scores) != len(texts):
        raise claims.wrong("ggml.scores", scores, f"{len(texts):,}, one for each token")
    longest = max(map(len, texts), default=0)
    if longest > _LONGEST_PIECE:
        raise claims.wrong("ggml.tokens", longest, f"pieces of at most {_LONGEST_PIECE}")
    ranked: list[tuple[float, int, str]] = [
        (-scores[i], i, text) for i, text in vocabulary.of(TokenKind.NORMAL)
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


_BUILDERS: dict[str, Callable[[Vocabulary], Tokenizer]] = {
    "gpt2": _byte_level,
    "llama": _sentence_pieces,
}
