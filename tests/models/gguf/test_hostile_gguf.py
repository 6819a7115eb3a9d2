"""GGUF files that claim what they do not hold, or what no model has."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from forethought.contracts.errors import DamagedFileError, ModelError, UnsupportedModelError
from forethought.models.gguf.checkpoint import GgufCheckpoint
from forethought.models.gguf.file import GgufFile
from forethought.models.load import load, pull
from tests.fuzz.gguf_parts import ARRAY, STRING, Pair, Parts, Record, put_together, taken_apart
from tests.models.tiny_gguf import (
    CONTROL,
    HEADS,
    KV_HEADS,
    LAYERS,
    WIDTH,
    TinyLlama,
    vocabulary,
    write_llama,
)

FEW_BYTES = 1 << 23
U32, I32, F32 = 4, 5, 6


@pytest.fixture
def file(tmp_path: Path, own_cache: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    write_llama(path, TinyLlama())
    return path


def edit(path: Path, change: Callable[[Parts], object]) -> None:
    parts = taken_apart(path.read_bytes())
    change(parts)
    path.write_bytes(put_together(parts))


def put(parts: Parts, key: str, kind: int, value: Any, inner: int = U32) -> None:
    """State a value; one that is there already is replaced."""
    parts.pairs = [pair for pair in parts.pairs if pair.key != key.encode()]
    parts.pairs.append(Pair(key.encode(), kind, value, inner))


def drop(parts: Parts, key: str) -> None:
    before = len(parts.pairs)
    parts.pairs = [pair for pair in parts.pairs if pair.key != key.encode()]
    assert len(parts.pairs) == before - 1


def record(parts: Parts, name: str) -> Record:
    return next(one for one in parts.records if one.name == name.encode())


def stated(key: str, kind: int, value: Any, inner: int = U32) -> Callable[[Parts], object]:
    return lambda parts: put(parts, key, kind, value, inner)


def named(name: str, /, **fields: Any) -> Callable[[Parts], object]:
    def change(parts: Parts) -> None:
        for field, value in fields.items():
            setattr(record(parts, name), field, value)

    return change


def twice(parts: Parts) -> None:
    parts.records.append(record(parts, "blk.0.attn_q.weight"))


def shared(parts: Parts) -> None:
    record(parts, "blk.1.ffn_up.weight").offset = record(parts, "blk.0.ffn_up.weight").offset


def of_nested_arrays(parts: Parts) -> None:
    parts.pairs.append(Pair(b"x", ARRAY, [1, 2, 3], ARRAY))


def one_of_many(parts: Parts) -> None:
    parts.pairs.append(Pair(b"x", ARRAY, [], STRING, length=1 << 40))


def unmerged(parts: Parts) -> None:
    next(pair for pair in parts.pairs if pair.key == b"tokenizer.ggml.merges").value[0] = b"q zz"


REFUSED: dict[str, Callable[[Parts], object]] = {
    "4 billion layers": stated("llama.block_count", U32, (1 << 32) - 1),
    "2 million layers": stated("llama.block_count", U32, 2_000_000),
    "more layers than tensors": stated("llama.block_count", U32, 4000),
    "a rotation of 2 billion": stated("llama.rope.dimension_count", U32, 1 << 31),
    "keys of 2 billion": stated("llama.attention.key_length", U32, 1 << 31),
    "no heads": stated("llama.attention.head_count", U32, 0),
    "heads in words": stated("llama.attention.head_count", STRING, b"four"),
    "an infinite epsilon": stated("llama.attention.layer_norm_rms_epsilon", F32, float("inf")),
    "a base that is no number": stated("llama.rope.freq_base", F32, float("nan")),
    "a list for an alignment": stated("general.alignment", ARRAY, [32]),
    "an alignment in words": stated("general.alignment", STRING, b"32"),
    "a list of parts": stated("split.count", ARRAY, [1]),
    "nested arrays": of_nested_arrays,
    "an array longer than the file": one_of_many,
    "billions of values": lambda parts: setattr(parts, "pair_count", 1 << 32),
    "billions of tensors": lambda parts: setattr(parts, "record_count", 1 << 32),
    "a tensor twice": twice,
    "a value twice": lambda parts: parts.pairs.append(parts.pairs[0]),
    "tensors that share their bytes": shared,
    "a tensor of nothing": named("blk.0.attn_q.weight", shape=[0, 64]),
    "a tensor of 2^63 rows": named("blk.0.attn_q.weight", shape=[64, 1 << 63]),
    "a tensor far away": named("blk.0.attn_q.weight", offset=1 << 62),
    "a tensor of no dimension": named("blk.0.attn_q.weight", shape=[]),
    "a layer that is not counted": named("blk.1.attn_q.weight", name=b"blk.7.attn_q.weight"),
    "a layer of a long number": named(
        "blk.1.attn_q.weight", name=b"blk.%s.attn_q.weight" % (b"9" * 900)
    ),
    "rotary divisors for more": lambda parts: parts.records.append(
        Record(b"rope_freqs.weight", [7], 0, 1 << 20, bytes(28))
    ),
    "rows for half a head": named("blk.0.attn_q.weight", shape=[64, 60]),
    "tokens that are numbers": stated("tokenizer.ggml.tokens", ARRAY, [1, 2]),
    "tokens that are one": stated("tokenizer.ggml.tokens", STRING, b"x"),
    "kinds in words": stated("tokenizer.ggml.token_type", ARRAY, [b"a"], STRING),
    "too few kinds": stated("tokenizer.ggml.token_type", ARRAY, [1], I32),
    "kinds of tokens in one number": stated("tokenizer.ggml.token_type", U32, 1),
    "merges of unknown tokens": unmerged,
    "merges in numbers": stated("tokenizer.ggml.merges", ARRAY, [1]),
    "an end in words": stated("tokenizer.ggml.eos_token_id", STRING, b"2"),
    "a template of numbers": stated("tokenizer.chat_template", ARRAY, [1]),
    "a long kind of model": stated("general.architecture", STRING, b"x" * 100_000),
    "no tokenizer": lambda parts: drop(parts, "tokenizer.ggml.model"),
    "no tokens": lambda parts: drop(parts, "tokenizer.ggml.tokens"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_by_the_files_own_size(
    file: Path, change: Callable[[Parts], object]
) -> None:
    edit(file, change)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            load(str(file), device="cpu")
        assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
    finally:
        tracemalloc.stop()
    assert caught.value.hint
    assert len(caught.value.message) < 500


PER_LAYER = {"attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS,
             "feed_forward_length": WIDTH}  # fmt: skip


@pytest.mark.parametrize("key", PER_LAYER)
def test_a_size_that_is_stated_for_each_layer_is_read_where_all_are_alike(
    file: Path, key: str
) -> None:
    before = GgufCheckpoint(file).config
    edit(file, stated(f"llama.{key}", ARRAY, [PER_LAYER[key]] * LAYERS))

    assert GgufCheckpoint(file).config == before
    assert load(str(file), device="cpu").shape.layers


@pytest.mark.parametrize("key", PER_LAYER)
def test_layers_of_different_sizes_are_refused_by_name(file: Path, key: str) -> None:
    edit(file, stated(f"llama.{key}", ARRAY, [PER_LAYER[key], PER_LAYER[key] // 2]))

    with pytest.raises(UnsupportedModelError, match=f"different values of '{key}' for its layers"):
        load(str(file), device="cpu")


def test_sizes_for_fewer_layers_than_there_are_are_refused(file: Path) -> None:
    edit(file, stated("llama.feed_forward_length", ARRAY, [WIDTH]))

    with pytest.raises(DamagedFileError, match="one for each layer"):
        load(str(file), device="cpu")


def test_tokens_without_an_embedding_are_refused_while_loading(file: Path) -> None:
    rows = len(vocabulary()) - 1
    model = TinyLlama()
    table = model.tensors["model.embed_tokens.weight"]
    model.tensors["model.embed_tokens.weight"] = table[:rows]
    write_llama(file, model)

    with pytest.raises(UnsupportedModelError, match=f"beyond the embedding.s {rows} rows"):
        load(str(file), device="cpu")


def test_a_missing_splitting_pattern_is_guessed_and_every_run_says_so(file: Path) -> None:
    edit(file, lambda parts: drop(parts, "tokenizer.ggml.pre"))

    model = load(str(file), device="cpu")

    assert model.tokenizer.encode("hello 12")
    assert any("no splitting pattern" in note for note in model.notes)


def test_missing_kinds_of_tokens_are_guessed_and_every_run_says_so(file: Path) -> None:
    edit(file, lambda parts: drop(parts, "tokenizer.ggml.token_type"))

    model = load(str(file), device="cpu")

    assert model.tokenizer.control_tokens == {0, 1, 2} == set(range(len(CONTROL)))
    assert any("no token types" in note for note in model.notes)


def test_a_file_that_states_all_has_no_notes(file: Path) -> None:
    assert load(str(file), device="cpu").notes == ()


@pytest.mark.parametrize("token", [-1, (1 << 32) - 1, 1 << 20])
def test_a_named_token_that_is_not_there_is_none(file: Path, token: int) -> None:
    edit(file, stated("tokenizer.ggml.bos_token_id", 10 if token >= 0 else I32, token))

    assert GgufCheckpoint(file).ends.bos is None


def test_a_file_that_is_cut_short_while_it_is_read_is_damaged(file: Path) -> None:
    tensors = GgufFile.open(file).tensors
    with file.open("r+b") as opened:
        opened.truncate(4096)

    with pytest.raises(DamagedFileError, match="cut short"):
        tensors["blk.1.ffn_down.weight"].dense()


@pytest.mark.parametrize(
    ("meddle", "what"),
    [
        (lambda file: write_llama(file, TinyLlama(seed=1)), "changed while they were read"),
        (lambda file: os.truncate(file, 4096), "cut short"),
        (lambda file: file.unlink(), "cannot be read"),
    ],
    ids=["written anew", "cut", "gone"],
)
def test_a_file_that_changes_while_it_is_converted_is_refused_and_nothing_kept(
    file: Path, own_cache: Path, meddle: Callable[[Path], object], what: str
) -> None:
    left = [meddle]

    with pytest.raises(DamagedFileError, match=what):
        pull(str(file), progress=lambda *_: left and left.pop()(file))

    assert [path for path in (own_cache / "models").iterdir() if path.suffix != ".lock"] == []


def test_values_that_are_no_numbers_are_read_as_they_are(file: Path) -> None:
    edit(file, named("blk.0.ffn_up.weight", data=np.full((96, 64), np.nan, "<f4").tobytes()))

    assert GgufFile.open(file).tensors["blk.0.ffn_up.weight"].dense().isnan().all()


def test_windows_that_are_stated_for_each_layer_are_used(tmp_path: Path) -> None:
    from tests.fuzz.gguf_mutants import _gemma

    _gemma(tmp_path / "gemma.gguf")
    key = "gemma3.attention.sliding_window_pattern"
    edit(tmp_path / "gemma.gguf", stated(key, ARRAY, [True, False], 7))

    config = GgufCheckpoint(tmp_path / "gemma.gguf").config

    assert config["layer_types"] == ["sliding_attention", "full_attention"]


def test_pieces_without_scores_or_of_great_length_are_refused(tmp_path: Path) -> None:
    from tests.fuzz.gguf_mutants import _pieces

    for change in (
        lambda parts: drop(parts, "tokenizer.ggml.scores"),
        stated("tokenizer.ggml.scores", ARRAY, [0.0], F32),
        lambda parts: next(
            pair for pair in parts.pairs if pair.key == b"tokenizer.ggml.tokens"
        ).value.__setitem__(270, b"a" * 300_000),
    ):
        _pieces(tmp_path / "pieces.gguf")
        assert GgufCheckpoint(tmp_path / "pieces.gguf").tokenizer()
        edit(tmp_path / "pieces.gguf", change)
        with pytest.raises(DamagedFileError):
            GgufCheckpoint(tmp_path / "pieces.gguf").tokenizer()


def test_parts_of_a_stacked_tensor_are_read_alone(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "qwen3moe")
    values = np.arange(3 * 4 * 32, dtype=np.float32).reshape(3, 4, 32)
    writer.add_tensor("stacked", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    part = GgufFile.open(tmp_path / "x.gguf").tensors["stacked"].part(2)

    assert part.size == 4 * 32 * 4
    assert torch.equal(part.dense(), torch.from_numpy(values[2]))
