"""Mutants of tokenizer.json and of the settings beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer as Inner
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from forethought.models.checkpoint.json_file import read_json
from forethought.models.sources.folder_text import ends_of, template_of, tokenizer_of
from forethought.models.tokenization.tokenizer import (
    Tokenizer,
    check_embedding,
    fingerprint_of,
    read_inner,
)
from tests.fuzz.mutation import changed_bytes, changed_json, written_json
from tests.fuzz.tokenizer_steps import LENGTHS, MODEL_SETTINGS, WORDS, step
from tests.models.tiny_encoders import tokenizer as word_pieces
from tests.models.tiny_rewards import bytes_tokenizer
from tests.models.tiny_tokenizers import build_tokenizer, byte_level, piece_metadata

ROWS = 700
_TEXTS = ("", "Hello wörld 12  \n\t<s>", "<|start|>a<|end|> 世界 \0", "a" * 200, " " * 90)
_SETTINGS = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "{{ x }}"}


def tokenizer_mutant(random: Random, folder: Path) -> Callable[[], object]:
    """A tokenizer with other steps, tokens or settings; or with any node or byte changed."""
    values = json.loads(random.choice(_originals()))
    for _ in range(random.choice((1, 1, 2, 3))):
        random.choice(_CHANGES)(random, values)
    if random.random() < 0.3:
        values = changed_json(random, values, WORDS)
    data = written_json(random, values)
    if random.random() < 0.05:
        data = changed_bytes(random, data, random.choice(_originals()).encode())
    (folder / "tokenizer.json").write_bytes(data)
    settings = json.dumps(_SETTINGS).encode()
    if random.random() < 0.1:
        settings = written_json(random, changed_json(random, _SETTINGS, WORDS))
    (folder / "tokenizer_config.json").write_bytes(settings)
    return lambda: _used(folder)


def _change_steps(random: Random, values: Any) -> None:
    part = random.choice(("normalizer", "pre_tokenizer", "decoder", "post_processor"))
    own = values.get(part)
    values[part] = random.choice((step(random, part), step(random, part), own, None))


def _change_tokens(random: Random, values: Any) -> None:
    """Numbers and texts of the vocabulary; its form stays."""
    vocabulary = values["model"]["vocab"]
    if isinstance(vocabulary, list):
        place = random.randrange(len(vocabulary))
        text = random.choice(("", "a", "a" * 9000, "\0", vocabulary[0][0]))
        vocabulary[place] = [text, random.choice((0.0, -1e308, 1e308, 5))]
        return
    text = random.choice(sorted(vocabulary))
    match random.randrange(5):
        case 0:
            del vocabulary[text]
        case 1:
            vocabulary[text] = random.choice((0, 5, 699, 700, 5000, 1 << 20, 1 << 21, 1 << 31))
        case 2:
            shift = random.choice((1, 500, 1 << 19))
            values["model"]["vocab"] = {t: n + shift for t, n in vocabulary.items()}
        case 3:
            vocabulary[random.choice(("", "ab" * 5000, "\ufffd", " "))] = vocabulary[text]
        case _:
            other = random.choice(sorted(vocabulary))
            vocabulary[text], vocabulary[other] = vocabulary[other], vocabulary[text]


def _change_added(random: Random, values: Any) -> None:
    added = values["added_tokens"]
    content = random.choice(("<s>", "a", "", " ", "ab" * 2000, "é", "<|end|>", "\n"))
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    number = random.choice((0, 256, 259, 800, 1 << 20, 1 << 30, (1 << 32) - 1, len(added)))
    entry = {"id": number, "content": content, **{f: random.random() < 0.5 for f in flags}}
    added.insert(random.randrange(len(added) + 1), entry)
    if random.random() < 0.3:
        del added[random.randrange(len(added))]


def _change_model(random: Random, values: Any) -> None:
    key, value = random.choice(MODEL_SETTINGS)
    values["model"][key] = value


def _change_lengths(random: Random, values: Any) -> None:
    key, value = random.choice(LENGTHS)
    values[key] = value


_CHANGES: tuple[Callable[[Random, Any], None], ...] = (
    *(_change_steps,) * 4,
    _change_tokens,
    _change_added,
    _change_model,
    _change_lengths,
)


def _used(folder: Path) -> None:
    settings = read_json(folder / "tokenizer_config.json")
    template_of(folder, settings)
    inner = tokenizer_of(folder)
    ends = ends_of(folder, inner, {"eos_token_id": 3}, settings)
    check_embedding(inner, ends.bos, ROWS, str(folder))
    fingerprint_of(inner)
    tokenizer = Tokenizer(inner, bos=ends.bos, ends=ends.eos, add_bos=ends.add_bos, rows=ROWS)
    tokenizer.save(folder / "saved.json")
    again = Tokenizer(read_inner(folder / "saved.json"), rows=ROWS)
    for one in (tokenizer, again):
        for text in _TEXTS:
            tokens, spans = one.encode_with_spans(text, [(0, len(text))])
            assert len(tokens) == len(spans)
            one.decode(one.encode(text))
            decoding = one.decoding()
            "".join(map(decoding.push, tokens[:20])) + decoding.finish()
        one.text_of(one.bos)


@cache
def _originals() -> tuple[str, ...]:
    made = (
        bytes_tokenizer(),
        word_pieces(),
        byte_level("qwen2"),
        byte_level("llama-bpe"),
        build_tokenizer(piece_metadata(prefix=True)),
        _scored(),
    )
    return tuple(inner.to_str() for inner in made)


def _scored() -> Inner:
    """Pieces with scores, as multilingual encoders have."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -3.0 - i) for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")]
    inner = Inner(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    inner.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    ends = [("<s>", 1), ("</s>", 2)]
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", None, ends)
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    return inner
