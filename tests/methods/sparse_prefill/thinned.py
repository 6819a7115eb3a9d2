"""A prompt read by a method that thins attention, by the engine and by loops."""

import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from tests.engine.written_out import plain
from tests.methods.sparse_prefill.test_lines import hidden_by
from tests.tiny import batch_of


def thinned_logits(decoder, method, tokens, prompt_length):
    """Logits [V] after the last token."""
    look = LayerHook(lambda view: None, prompt_length, attend=method.on_attention)
    return batch_of(decoder).prefill_whole(SequenceCache(len(decoder.shape.layers)), tokens, look)[
        -1
    ]


def slow_logits(decoder, tokens, chosen):
    """The same where `chosen(attention [H, L, L])` gives every head's columns and slashes."""

    def attend(layer, queries, keys, values):
        shape = decoder.shape.layers[layer]
        own = keys.transpose(0, 1), values.transpose(0, 1)
        columns, slashes = chosen(weights_of(queries, own[0], shape))
        groups = shape.heads // len(columns)
        hidden = hidden_by(columns, slashes, len(tokens)).repeat_interleave(groups, 0)
        repeated = [each.repeat_interleave(shape.heads // shape.kv_heads, 0) for each in own]
        return plain(queries, *repeated, shape, hidden)

    packed = torch.tensor(tokens, device=decoder.device)
    places = torch.arange(len(tokens), device=decoder.device)
    return decoder.forward(packed, places, attend, phase="prefill")[-1]


def weights_of(queries, keys, shape):
    """Dense attention [H, L, L]."""
    length, heads, _ = queries.shape
    future = queries.new_ones(length, length).triu(1).bool()
    scores = [
        queries[:, head] @ keys[head * shape.kv_heads // heads].T * shape.scale
        for head in range(heads)
    ]
    return torch.softmax(torch.stack(scores).masked_fill(future, -torch.inf), -1)
