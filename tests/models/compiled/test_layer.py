"""Decode steps of compiled layers against the same layers without kernels."""

from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import Tensor

from forethought.models.compiled.kernels import Kernels
from forethought.models.compiled.layer import CompiledLayer
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.decoder.names import sources
from forethought.models.decoder.quantise import pack_head, pack_levels, quantise4
from tests.fast_cases import fast_each
from tests.tiny import SIZES, batch_of

WIDE = {
    "vocab_size": 192,
    "hidden_size": 256,
    "intermediate_size": 192,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
}
KINDS = {
    "llama": {"model_type": "llama"},
    "qwen2": {"model_type": "qwen2"},
    "qwen3": {"model_type": "qwen3"},
    "granite": {
        "model_type": "granite", "residual_multiplier": 0.3, "embedding_multiplier": 1.0,
        "attention_multiplier": 0.2, "logits_scaling": 1.0,
    },
}  # fmt: skip


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def random_tensors(config: DecoderConfig) -> dict[str, Tensor]:
    """Weights under their canonical names, in bf16."""
    generator = torch.Generator().manual_seed(0)
    heads = config.heads + 2 * config.kv_heads
    shapes = {
        "embed": (config.vocabulary, config.hidden),
        "head": (config.vocabulary, config.hidden),
        "qkv": (heads * config.head_dim, config.hidden),
        "out": (config.hidden, config.heads * config.head_dim),
        "gate_up": (2 * config.intermediate, config.hidden),
        "down": (config.hidden, config.intermediate),
        "query_norm": (config.head_dim,),
        "key_norm": (config.head_dim,),
    }
    found = {}
    for name in sources(config):
        owner, kind = name.rsplit(".", 2)[-2:]
        shape = shapes.get(owner, (config.hidden,))
        drawn = torch.randn(shape[:1] if kind == "bias" else shape, generator=generator)
        found[name] = (drawn * 0.08 if len(shape) > 1 else drawn * 0.2 + 1).bfloat16()
    return found


def packed_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    head = tensors.get("head.weight", tensors["embed.weight"])
    packed = {f"head.{suffix}": made for suffix, made in pack_head(head).items()}
    for name, weight in tensors.items():
        if name.split(".")[-2] in ("qkv", "out", "gate_up", "down") and weight.dim() == 2:
            four = pack_levels(quantise4(weight))
            packed |= {name.replace("weight", suffix): made for suffix, made in four.items()}
    return packed


def decoders(kind: str) -> tuple[Decoder, Decoder]:
    """A decoder with compiled layers, and the same by torch alone."""
    config = DecoderConfig.from_transformers({**SIZES, **WIDE, **KINDS[kind]})
    tensors = random_tensors(config)
    packed = packed_of(tensors)
    made = [Decoder(config, tensors, build_linears(tensors, packed, w)) for w in FORMATS]
    return made[0], made[1]


FORMATS = ("compiled", "int4+rows")


def steps(decoder: Decoder, rows: int, count: int = 6) -> Tensor:
    """Logits [steps, rows, V] of forks of one prompt that go on differently."""
    from forethought.engine.cache.sequence_cache import SequenceCache

    batch, row = batch_of(decoder), SequenceCache(len(decoder.shape.layers))
    batch.prefill(row, list(range(2, 150)))
    own = [row, *(row.fork() for _ in range(rows - 1))]
    found = [batch.step(own, [7 * i + step for i in range(rows)]) for step in range(count)]
    return torch.stack(found)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("kind", KINDS)
def test_decode_steps_equal_those_by_torch_up_to_rounding(kind: str) -> None:
    ours, theirs = decoders(kind)

    assert all(isinstance(layer, CompiledLayer) for layer in ours._layers)
    assert not any(isinstance(layer, CompiledLayer) for layer in theirs._layers)
    found, expected = steps(ours, 3), steps(theirs, 3)
    # bf16 has 8 bits; each of three layers adds to a stream that is rounded after every part.
    assert float((found - expected).norm() / expected.norm()) < 0.03


@pytest.mark.usefixtures("made", "threads")
@pytest.mark.parametrize("kind", fast_each(3, KINDS))
def test_logits_depend_on_neither_company_nor_threads(kind: str) -> None:
    ours, _ = decoders(kind)
    torch.set_num_threads(1)
    alone = steps(ours, 1)

    torch.set_num_threads(2)
    together = steps(ours, 5)

    assert torch.equal(together[:, 0], alone[:, 0])


@pytest.mark.usefixtures("made")
def test_prefill_is_what_it_is_without_kernels() -> None:
    from tests.tiny import fresh_logits

    ours, theirs = decoders("qwen2")

    assert torch.equal(fresh_logits(ours, [*range(90)]), fresh_logits(theirs, [*range(90)]))


def test_shapes_that_the_kernels_do_not_take_go_by_torch(made: Kernels) -> None:
    narrow = {"intermediate_size": made.block + 32, "hidden_size": made.block + 32}
    config = DecoderConfig.from_transformers({**SIZES, **WIDE, **narrow, **KINDS["qwen2"]})
    tensors = random_tensors(config)
    packed = packed_of(tensors)
    ours, theirs = (Decoder(config, tensors, build_linears(tensors, packed, w)) for w in FORMATS)

    found, expected = steps(ours, 2), steps(theirs, 2)

    assert not any(isinstance(layer, CompiledLayer) for layer in ours._layers)
    assert float((found - expected).norm() / expected.norm()) < 0.03
