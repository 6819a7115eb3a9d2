"""Mutants of tiny GGUF files of several families."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import gguf
import numpy as np

from tests.fuzz.gguf_parts import ARRAY, KINDS, STRING, Pair, Parts, put_together, taken_apart
from tests.fuzz.mutation import NUMBERS, TEXTS, changed_bytes
from tests.fuzz.used import used
from tests.models import tiny_gguf
from tests.models.tiny_gguf import HEADS, HIDDEN, KV_HEADS, LAYERS, WIDTH, TinyLlama
from tests.models.tiny_tokenizers import piece_metadata

_KEYS = (
    *("split.count", "general.alignment", "general.architecture", "tokenizer.chat_template"),
    *(
        f"llama.{key}"
        for key in (
            *("attention.head_count", "attention.head_count_kv", "feed_forward_length"),
            *("attention.sliding_window", "expert_count", "expert_used_count", "block_count"),
            *("rope.scaling.type", "rope.scaling.factor", "rope.dimension_count"),
            *("rope.scaling.original_context_length", "attention.key_length"),
        )
    ),
    *(f"tokenizer.ggml.{key}_token_id" for key in ("bos", "eos", "eot", "unknown", "padding")),
    *("tokenizer.ggml.pre", "tokenizer.ggml.scores", "tokenizer.ggml.add_space_prefix"),
)
_WORDS = (b"none", b"linear", b"yarn", b"longrope", b"llama3", b"gpt2", b"llama", b"qwen2", b"phi3")


def gguf_mutant(random: Random, folder: Path) -> Callable[[], object]:
    """A file with a few fields changed, and sometimes a few bytes."""
    whole = random.choice(_originals())
    parts = taken_apart(whole)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(_CHANGES)(random, parts)
    data = put_together(parts)
    if random.random() < 0.15:
        data = changed_bytes(random, data, random.choice(_originals()))
    path = folder / "mutant.gguf"
    path.write_bytes(data)
    return lambda: used(str(path), folder, random)


def _change_pair(random: Random, parts: Parts) -> None:
    if not parts.pairs:
        return
    place = random.randrange(len(parts.pairs))
    pair = parts.pairs[place]
    match random.randrange(8):
        case 0:
            del parts.pairs[place]
        case 1:
            parts.pairs.append(copy.deepcopy(pair))
        case 2:
            pair.kind, pair.inner = random.choice(KINDS), random.choice(KINDS)
        case 3:
            value = random.choice((*NUMBERS, *_WORDS))
            kind = random.choice(KINDS)
            parts.pairs.append(Pair(random.choice(_KEYS).encode(), kind, value, 4))
        case _ if pair.kind == ARRAY:
            _change_list(random, pair)
        case 4 if pair.kind != STRING:
            count = random.choice((0, 1, LAYERS, LAYERS, 5))
            values = [random.choice((pair.value, pair.value, 1, 2)) for _ in range(count)]
            pair.kind, pair.inner, pair.value = ARRAY, pair.kind, values
        case _:
            pair.value = _scalar(random, pair.kind)


def _scalar(random: Random, kind: int) -> Any:
    if kind != STRING:
        return random.choice(NUMBERS)
    text = random.choice(TEXTS).encode("utf-8", "surrogatepass")
    return random.choice((text, random.choice(_WORDS), random.randbytes(9)))


def _change_list(random: Random, pair: Pair) -> None:
    values = pair.value
    if not isinstance(values, list):
        return
    match random.randrange(6):
        case 5:
            pair.length = random.choice((0, 1, 1 << 20, 1 << 31, 1 << 60))
        case 0:
            pair.value = values[: random.randrange(len(values) + 1)]
        case 1:
            pair.value = values + values
        case 2 if values:
            values[random.randrange(len(values))] = _scalar(random, pair.inner)
        case 3:
            random.shuffle(values)
        case _:
            pair.inner = random.choice(KINDS)


def _change_record(random: Random, parts: Parts) -> None:
    if not parts.records:
        return
    place = random.randrange(len(parts.records))
    record = parts.records[place]
    match random.randrange(8):
        case 0:
            del parts.records[place]
        case 1:
            again = copy.deepcopy(record)
            again.name = random.choice((again.name, b"blk.7.attn_q.weight", b"output.weight"))
            parts.records.append(again)
        case 2:
            other = random.choice(parts.records)
            record.name = random.choice((other.name, b"", b"x", b"blk.99999999.ffn_up.weight"))
        case 3 if record.shape:
            sizes = (0, 1, 3, 1 << 20, 1 << 31, 1 << 63)
            record.shape[random.randrange(len(record.shape))] = random.choice(sizes)
        case 4:
            ones = [1] * random.randrange(5)
            record.shape = random.choice(
                (record.shape[::-1], record.shape + ones, record.shape[1:])
            )
        case 5:
            record.kind = random.choice((*range(40), 1 << 31))
        case 6:
            record.offset = random.choice((0, 1, 31, 32, 64, 1 << 20, 1 << 40, 1 << 63))
        case _:
            size = len(record.data)
            record.data = random.choice((random.randbytes(size), b"\xff" * size, b"\0" * size))


def _change_head(random: Random, parts: Parts) -> None:
    match random.randrange(4):
        case 0:
            parts.version = random.choice((0, 1, 2, 3, 4, 1 << 24))
        case 1:
            parts.pair_count = random.choice((0, 1, 1 << 20, 1 << 32, (1 << 64) - 1))
        case 2:
            parts.record_count = random.choice((0, 1, 1 << 20, 1 << 32, (1 << 64) - 1))
        case _:
            parts.tail = random.randbytes(random.randrange(64))


_CHANGES = (*(_change_pair,) * 6, *(_change_record,) * 3, _change_head)


@cache
def _originals() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "whole.gguf"
        found = []
        for write in (_llama, _quantised, _divided, _pieces, _gemma, _moe):
            write(path)
            found.append(path.read_bytes())
    return tuple(found)


def _llama(path: Path) -> None:
    tiny_gguf.write_llama(path, TinyLlama())


def _quantised(path: Path) -> None:
    tiny_gguf.write_llama(path, TinyLlama(), kind="Q4_1")


def _divided(path: Path) -> None:
    divisors = np.linspace(1, 8, HIDDEN // HEADS // 2, dtype=np.float32)
    tiny_gguf.write_llama(path, TinyLlama(), extra={"rope_freqs.weight": divisors})


def _pieces(path: Path) -> None:
    """With a vocabulary of sentence pieces."""
    stated = piece_metadata(prefix=True)
    rows = len(stated["tokenizer.ggml.tokens"])
    model = TinyLlama()
    random = np.random.default_rng(0)
    model.tensors["model.embed_tokens.weight"] = random.normal(0, 0.1, (rows, HIDDEN)).astype("f4")
    tiny_gguf.write_llama(path, model)
    parts = taken_apart(path.read_bytes())
    kept = [pair for pair in parts.pairs if not pair.key.startswith(b"tokenizer.ggml")]
    texts = [text.encode() for text in stated["tokenizer.ggml.tokens"]]
    parts.pairs = [
        *kept,
        Pair(b"tokenizer.ggml.model", STRING, b"llama"),
        Pair(b"tokenizer.ggml.tokens", ARRAY, texts, STRING),
        Pair(b"tokenizer.ggml.scores", ARRAY, stated["tokenizer.ggml.scores"].tolist(), 6),
        Pair(b"tokenizer.ggml.token_type", ARRAY, stated["tokenizer.ggml.token_type"].tolist(), 5),
        Pair(b"tokenizer.ggml.bos_token_id", 4, 1),
        Pair(b"tokenizer.ggml.eos_token_id", 4, 2),
    ]
    path.write_bytes(put_together(parts))


def _writer(path: Path, family: str) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    tiny_gguf.write_vocabulary(writer)
    return writer


def _gemma(path: Path) -> None:
    writer = _writer(path, "gemma3")
    writer.add_key_length(16)
    writer.add_sliding_window(64)
    norms = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
    _add_layers(writer, {f"{name}.weight": (HIDDEN,) for name in norms} | _heads() | _mlp())
    tiny_gguf.close(writer)


def _moe(path: Path) -> None:
    writer = _writer(path, "qwen3moe")
    writer.add_key_length(16)
    writer.add_expert_feed_forward_length(32)
    writer.add_expert_count(3)
    writer.add_expert_used_count(2)
    experts = {f"ffn_{part}_exps.weight": (3, 32, HIDDEN) for part in ("gate", "up")}
    experts |= {"ffn_down_exps.weight": (3, HIDDEN, 32), "ffn_gate_inp.weight": (3, HIDDEN)}
    norms = {f"{name}.weight": (HIDDEN,) for name in ("attn_norm", "ffn_norm")}
    _add_layers(writer, norms | _heads() | experts)
    tiny_gguf.close(writer)


def _heads() -> dict[str, tuple[int, ...]]:
    return {
        "attn_q.weight": (HEADS * 16, HIDDEN),
        "attn_k.weight": (KV_HEADS * 16, HIDDEN),
        "attn_v.weight": (KV_HEADS * 16, HIDDEN),
        "attn_output.weight": (HIDDEN, HEADS * 16),
        "attn_q_norm.weight": (16,),
        "attn_k_norm.weight": (16,),
    }


def _mlp() -> dict[str, tuple[int, ...]]:
    shapes = {f"ffn_{part}.weight": (WIDTH, HIDDEN) for part in ("gate", "up")}
    return {**shapes, "ffn_down.weight": (HIDDEN, WIDTH)}


def _add_layers(writer: gguf.GGUFWriter, shapes: dict[str, tuple[int, ...]]) -> None:
    random = np.random.default_rng(0)
    every = {f"blk.{i}.{name}": shape for i in range(LAYERS) for name, shape in shapes.items()}
    every["token_embd.weight"] = (len(tiny_gguf.vocabulary()), HIDDEN)
    every["output_norm.weight"] = (HIDDEN,)
    for name, shape in every.items():
        values = random.normal(0, 0.1, shape).astype(np.float32)
        tiny_gguf.add(writer, name, values, "F32")
