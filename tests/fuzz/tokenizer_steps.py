"""Steps of a tokenizer, made at random: sound ones, and those that a library may choke on."""

from __future__ import annotations

from random import Random
from typing import Any

_PATTERNS = (
    *(r"(a+)+$|(x+x+)+y", r"(?:(?:\s|\S)*)*!", r"(.*)*x", r"(\s|  )*\n", "", "[", "(" * 3000),
    *(r"(?<=a)b", r"\p{L}+|\p{N}", r"\s+(?!\S)", ".", "^", "$", r"\b", "(?:a{1,9999}){1,9999}"),
    *("(?i:'s|'t)", r"\X", r"(?:)", "a|b|c" * 900, "\0", "é+", r"(a?){30}a{30}", r"(a|aa)+$"),
)
_TEXTS = ("", "a", " ", "▁", "aa", "  ", "é", "\0", "b" * 65, "b" * 9000, "``", "\ufffd")
_BEHAVIOURS = ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_MAPS = ("", "////fw==", "AAAAAA==", "BAAAAAAAAABhAA==", "CAAAAAAA", "x", "gAAAAA" * 400)
_SIZES = (0, 1, 2, 9, 1 << 20, 1 << 40, (1 << 64) - 1)


def step(random: Random, part: str, depth: int = 0) -> dict[str, Any]:
    """A step of a part: normalizer, pre_tokenizer, decoder or post_processor."""
    inner = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders",
             "post_processor": "processors"}[part]  # fmt: skip
    if depth < 3 and random.random() < 0.3:
        steps = [step(random, part, depth + 1) for _ in range(random.randrange(4))]
        return {"type": "Sequence", inner: steps * random.choice((1, 1, 1, 2, 40))}
    return random.choice(_MAKERS[part])(random)


def _replace(random: Random) -> dict[str, Any]:
    return {"type": "Replace", "pattern": _pattern(random), "content": random.choice(_TEXTS)}


def _pattern(random: Random) -> dict[str, str]:
    if random.random() < 0.5:
        return {"String": random.choice(_TEXTS)}
    return {"Regex": random.choice(_PATTERNS)}


def _flag(random: Random) -> bool:
    return random.random() < 0.5


def _split(random: Random) -> dict[str, Any]:
    behaviour = random.choice(_BEHAVIOURS)
    return {"type": "Split", "pattern": _pattern(random), "behavior": behaviour,
            "invert": _flag(random)}  # fmt: skip


def _byte_level(random: Random) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": _flag(random), "trim_offsets": _flag(random),
            "use_regex": _flag(random)}  # fmt: skip


def _metaspace(random: Random) -> dict[str, Any]:
    scheme = random.choice(("always", "first", "never"))
    return {"type": "Metaspace", "replacement": random.choice(("▁", " ", "a", "\0")),
            "prepend_scheme": scheme, "split": _flag(random)}  # fmt: skip


def _strip(random: Random) -> dict[str, Any]:
    return {"type": "Strip", "content": random.choice(("a", " ", "é")),
            "start": random.choice(_SIZES), "stop": random.choice(_SIZES)}  # fmt: skip


def _template(random: Random) -> dict[str, Any]:
    name, number = random.choice(("<s>", "[CLS]", "")), random.choice((0, 1, 699, 5000, 1 << 31))
    start = [{"SpecialToken": {"id": name, "type_id": 0}}] * random.choice((0, 1, 1, 300))
    text = [{"Sequence": {"id": "A", "type_id": 0}}] * random.choice((0, 1, 1, 2, 50))
    known = {name: {"id": name, "ids": [number] * random.choice((0, 1, 1, 99)), "tokens": [name]}}
    return {"type": "TemplateProcessing", "single": start + text, "pair": [],
            "special_tokens": known if random.random() < 0.9 else {}}  # fmt: skip


def _ends(random: Random) -> dict[str, Any]:
    ends = {"sep": ["</s>", random.choice((2, 5000))], "cls": ["<s>", 1]}
    kind = random.choice(("BertProcessing", "RobertaProcessing"))
    more = {"trim_offsets": True, "add_prefix_space": False} if kind[0] == "R" else {}
    return {"type": kind, **ends, **more}


def _of(*kinds: str) -> Any:
    return lambda random: {"type": random.choice(kinds)}


_MAKERS: dict[str, tuple[Any, ...]] = {
    "normalizer": (
        _replace,
        _replace,
        _byte_level,
        _of("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"),
        lambda random: {"type": "Prepend", "prepend": random.choice(_TEXTS)},
        lambda random: {"type": "Strip", "strip_left": _flag(random), "strip_right": _flag(random)},
        lambda random: {"type": "Precompiled", "precompiled_charsmap": random.choice(_MAPS)},
        lambda random: {"type": "BertNormalizer", "clean_text": _flag(random), "lowercase": True,
                        "handle_chinese_chars": _flag(random), "strip_accents": None},
    ),
    "pre_tokenizer": (
        _split,
        _split,
        _byte_level,
        _metaspace,
        _of("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"),
        lambda random: {"type": "Digits", "individual_digits": _flag(random)},
        lambda random: {"type": "Punctuation", "behavior": random.choice(_BEHAVIOURS)},
        lambda random: {"type": "CharDelimiterSplit", "delimiter": random.choice(("a", " ", "é"))},
        lambda random: {"type": "FixedLength", "length": random.choice(_SIZES)},
    ),
    "decoder": (
        _replace,
        _strip,
        _byte_level,
        _metaspace,
        _of("Fuse", "ByteFallback"),
        lambda random: {"type": "WordPiece", "prefix": random.choice(_TEXTS), "cleanup": True},
        lambda random: {"type": "BPEDecoder", "suffix": random.choice(_TEXTS)},
        lambda random: {"type": "CTC", "pad_token": random.choice(_TEXTS), "cleanup": True,
                        "word_delimiter_token": random.choice(_TEXTS)},
    ),
    "post_processor": (_template, _template, _ends, _byte_level),
}  # fmt: skip

MODEL_SETTINGS: tuple[tuple[str, Any], ...] = (
    *(("unk_token", value) for value in (None, "nowhere", "a", "")),
    *(("unk_id", value) for value in (None, 0, 9999, 1 << 40)),
    *(("dropout", value) for value in (None, 0.0, 0.5, 2.0)),
    *((key, True) for key in ("byte_fallback", "fuse_unk", "ignore_merges")),
    *(("max_input_chars_per_word", value) for value in _SIZES),
    *(("continuing_subword_prefix", value) for value in ("##", "", "a" * 500)),
    *(("end_of_word_suffix", value) for value in ("</w>", "", "a" * 500)),
    *(("merges", value) for value in ([], [["a", "b"]], ["a b"], [["a"]], [["", ""]])),
    *(("type", value) for value in ("BPE", "WordPiece", "WordLevel", "Unigram")),
)
LENGTHS: tuple[tuple[str, Any], ...] = (
    *(
        ("padding", {"strategy": strategy, "direction": "Right", "pad_to_multiple_of": multiple,
                     "pad_id": 0, "pad_type_id": 0, "pad_token": "x"})
        for strategy in ("BatchLongest", {"Fixed": (1 << 32) - 1}, {"Fixed": 9})
        for multiple in (None, 0, 8, 1 << 32)
    ),
    *(
        ("truncation", {"direction": "Right", "max_length": length, "strategy": "LongestFirst",
                        "stride": stride})
        for length in (0, 2, 1 << 40)
        for stride in (0, 2, 5)
    ),
    ("version", "9.9"),
)  # fmt: skip
WORDS: tuple[tuple[str, Any], ...] = (
    *MODEL_SETTINGS,
    *LENGTHS,
    ("id", 1 << 31),
    ("special", False),
)
