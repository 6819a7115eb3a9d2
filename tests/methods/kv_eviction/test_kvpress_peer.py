"""Evictions against kvpress on the same tensors, where kvpress is installed.

A tiny random Llama of transformers runs a prompt. Each layer's queries, keys, values and inputs are
shown to our importance as a view, and to the press as its hook sees them.
"""

from __future__ import annotations

import pytest
import torch

from forethought.methods.kv_eviction._entries import whole_places
from forethought.methods.kv_eviction.chunkkv import ChunkKV
from forethought.methods.kv_eviction.criticalkv import CriticalKV
from forethought.methods.kv_eviction.entropy_gated_chunkkv import EntropyGatedChunkKV
from forethought.methods.kv_eviction.importance.compact import Compact
from forethought.methods.kv_eviction.importance.critical import Critical
from forethought.methods.kv_eviction.importance.key_difference import KeyDifference
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction
from forethought.methods.kv_eviction.keydiff import KeyDiff
from forethought.methods.kv_eviction.snapkv import SnapKV
from forethought.methods.kv_eviction.streaming_llm import StreamingLLM
from forethought.methods.kv_eviction.tova import TOVA
from tests.methods.reference import SeenLayer

kvpress = pytest.importorskip("kvpress")
pytestmark = pytest.mark.slow

LENGTH, KEPT, SIZE = 96, 40, 16
RATIO = 1 - (KEPT + 0.5) / LENGTH  # kvpress rounds down


@pytest.fixture(scope="module")
def layers():
    """By layer: its module, what a press is given, and the same as a view of ours."""
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97, hidden_size=64, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=SIZE, max_position_embeddings=512,
        initializer_range=0.4, attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    found = []

    def hook(module, arguments, given, output):
        (cache,) = {id(x): x for x in given.values() if isinstance(x, DynamicCache)}.values()
        own = cache.layers[module.layer_idx]
        found.append((module, given, own.keys, own.values))

    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(hook, with_kwargs=True)
    with torch.inference_mode():
        model(torch.randint(0, 97, (1, LENGTH)), use_cache=True)
        return [_both(*one) for one in found]


def _both(module, given, keys, values):
    from kvpress.utils import get_prerope_query_states
    from transformers.models.llama.modeling_llama import rotate_half

    inputs = given["hidden_states"]
    plain = get_prerope_query_states(module, inputs)[0]
    cosine, sine = (part[0] for part in given["position_embeddings"])
    queries = plain * cosine + rotate_half(plain) * sine

    def turn(vectors, positions):
        # The rotation of transformers at any position, also a negative one.
        angles = positions[:, None] * cosine.new_tensor(
            [10000 ** (-2 * (i % (SIZE // 2)) / SIZE) for i in range(SIZE)]
        )
        return vectors * angles.cos()[:, None] + rotate_half(vectors) * angles.sin()[:, None]

    out = module.o_proj.weight.T.reshape(4, SIZE, -1)
    shape = _shape()
    view = SeenLayer(
        queries.transpose(0, 1), keys[0], values[0], shape, LENGTH, module.layer_idx, 2,
        turn=turn, inputs=inputs[0], out=out,
    )  # fmt: skip
    return module, (inputs, keys, values, None, given), view


def _shape():
    from forethought.contracts.records import LayerShape

    return LayerShape(4, 2, SIZE, SIZE**-0.5)


def close(ours, theirs, where=slice(None)):
    torch.testing.assert_close(ours[:, where], theirs[0][:, where], rtol=1e-4, atol=1e-5)


def chosen(scores, count):
    return [sorted(head.topk(count).indices.tolist()) for head in scores]


def entries_of(press, module, given):
    """By key head, the entries that a press leaves, found by their keys."""
    _, keys, *_ = given
    kept, _ = press.compress(module, *given)
    found = []
    for whole, left in zip(keys[0].tolist(), kept[0].tolist(), strict=True):
        places = {tuple(key): n for n, key in enumerate(whole)}
        found.append(sorted(places[tuple(key)] for key in left))
    return found


@torch.inference_mode()
def test_scores_of_single_layers_equal_those_of_kvpress(layers):
    for module, given, view in layers:
        places = whole_places(view)
        ours = KeyDifference().score_layer(view, places)
        close(ours, kvpress.KeyDiffPress(RATIO).score(module, *given))

        theirs = kvpress.TOVAPress(RATIO).score(module, *given)
        kept = [head.tolist() for head in TOVA(keep=KEPT, every=0).on_layer(view)]
        assert kept == chosen(theirs[0], KEPT)

        press = kvpress.SnapKVPress(RATIO, window_size=8, kernel_size=5)
        theirs = press.score(module, *given)
        kept = [head.tolist() for head in SnapKV(keep=KEPT, window=8).on_layer(view)]
        assert kept == chosen(theirs[0], KEPT)


@torch.inference_mode()
def test_the_second_stage_of_criticalkv_equals_kvpress(layers):
    for module, given, view in layers:
        base = SnapKV(keep=KEPT, window=8).eviction()
        critical = Critical(base)
        ours = critical.second_scores(view, critical.score_layer(view, whole_places(view)))
        # Without a first stage, the press leaves the products as they are.
        press = kvpress.CriticalKVPress(
            kvpress.SnapKVPress(RATIO, window_size=8), first_stage_ratio=0.0
        )
        close(ours, press.score(module, *given), slice(0, LENGTH - 8))


@torch.inference_mode()
@pytest.mark.parametrize("block", [7, 32, 128])
def test_blocks_of_keydiff_compete_as_in_kvpress(layers, block):
    for module, given, view in layers:
        press = kvpress.BlockPress(kvpress.KeyDiffPress(RATIO), block_size=block)
        kept = [head.tolist() for head in KeyDiff(keep=KEPT, block=block).on_layer(view)]
        assert kept == entries_of(press, module, given)


@torch.inference_mode()
def test_compactor_blends_as_kvpress_does(layers, monkeypatch):
    for module, given, view in layers:
        drawn = torch.Generator().manual_seed(view.layer)
        sketch = torch.randn(2, SIZE, 48, generator=drawn)
        press = kvpress.CompactorPress(compression_ratio=1 - KEPT / LENGTH)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn", lambda *size, sketch=sketch, **given: sketch[None])
            # In chunks that divide the entries, where the masks of the press play no part.
            press.chunk_size = LENGTH - 12
            theirs = press.score(module, *given)
        ours = Compact(KEPT).score_layer(view, whole_places(view))
        close(ours, theirs, slice(8, LENGTH - 4))


@torch.inference_mode()
@pytest.mark.parametrize("share", [0.2, 0.42, 0.9])
@pytest.mark.parametrize("size", [7, 8, 20])
def test_chunks_are_those_of_kvpress(layers, share, size):
    keep = int(share * LENGTH)
    for module, given, view in layers:
        base = kvpress.SnapKVPress(1 - (keep + 1e-6) / LENGTH, window_size=10)
        press = kvpress.ChunkKVPress(base, chunk_length=size)
        method = ChunkKV(keep=keep, chunk_tokens=size, window=10)
        assert [head.tolist() for head in method.on_layer(view)] == entries_of(press, module, given)


@torch.inference_mode()
def test_gated_chunks_are_those_of_kvpress(layers):
    from kvpress.presses import entropy_gated_chunkkv_press as gated

    for module, given, view in layers:
        base = kvpress.SnapKVPress(RATIO, window_size=11)
        press = gated.EntropyGatedChunkKVPress(base)
        method = EntropyGatedChunkKV(keep=KEPT, window=11)
        assert [head.tolist() for head in method.on_layer(view)] == entries_of(press, module, given)


@torch.inference_mode()
def test_criticalkv_keeps_what_kvpress_keeps(layers):
    for module, given, view in layers:
        press = kvpress.CriticalKVPress(kvpress.SnapKVPress(RATIO, window_size=8))
        method = CriticalKV(keep=KEPT, window=8)
        assert [head.tolist() for head in method.on_layer(view)] == entries_of(press, module, given)


@torch.inference_mode()
def test_streaming_keeps_what_kvpress_keeps(layers):
    for module, given, view in layers:
        kept = [head.tolist() for head in StreamingLLM(keep=KEPT).on_layer(view)]
        assert kept == entries_of(kvpress.StreamingLLMPress(RATIO), module, given)


@torch.inference_mode()
@pytest.mark.parametrize("normalised", [False, True])
def test_reconstruction_scores_equal_those_of_kvpress(layers, normalised):
    """The last 30 tokens stand for a repetition of the entries 10 to 40."""
    for module, given, view in layers:
        inputs, keys, values, _, more = given
        press = kvpress.KVzipPress(RATIO, n_sink=4, kvzip_plus_normalization=normalised)
        press.start_idx, press.end_idx, press.context_length = 10, 40, 66
        press.score_val = torch.zeros(2, 1, 2, 66)
        cut = {"position_embeddings": tuple(p[:, -30:] for p in more["position_embeddings"])}
        press.score_kvzip(module, inputs[:, -30:], keys, values, None, cut)

        seen = SeenLayer(
            view.queries[-30:], view.keys, view.values, view.shape, 66, view.layer, 2,
            inputs=view.inputs[-30:], out=view.out,
        )  # fmt: skip
        ours = Reconstruction(sinks=4, normalised=normalised)._most_attention(seen, range(10, 40))
        torch.testing.assert_close(
            ours, press.score_val[view.layer, 0][:, 10:40], rtol=1e-4, atol=1e-6
        )
