"""Logits and entries after a hit against those of a cold run, in float32."""

from __future__ import annotations

import pytest
import torch

from forethought.engine.batch import CHUNK
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse
from forethought.prefill.prepare import Preparation
from tests.backends.local.prefix_server import AMPLE, QUESTIONS, Server, cold, single, told
from tests.sessions.tiny_session import (
    DOCUMENT,
    QUESTION,
)


def prefilled(model, prompt, reuse):
    prepared = Preparation((), model, model, 16, reuse=reuse).prepare(prompt, Meter(lambda: 0.0))
    with torch.inference_mode():
        prepared.shorten()
        prepared.run_prefill()
    return prepared


def test_a_prefill_that_resumes_at_a_chunk_is_equal_to_the_bit():
    model = single(torch.float32)
    text = DOCUMENT * (2 * CHUNK // len(DOCUMENT) + 2)
    prompt = chat_prompt(model.tokenizer, model.template, QUESTION, text)
    expected = prefilled(model, prompt, None)
    reuse = PrefillReuse(PrefixCache(AMPLE), PrefillMemo())
    head = reuse.prefix(model.network, prompt.tokens)
    head.store(part_of(expected.result.cache, CHUNK))
    head.close()

    found = prefilled(model, prompt, reuse)

    assert found.spent().cached_tokens == CHUNK
    assert torch.equal(found.result.logits, expected.result.logits)
    assert equal_entries(found.result.cache, expected.result.cache)


def part_of(cache, count):
    part = SequenceCache(len(cache.tail.layers))
    for layer, entries in enumerate(cache.tail.layers):
        keys, values = (held[:, :count].transpose(0, 1) for held in (entries.keys, entries.values))
        part.append(layer, keys, values)
    part.advance(count)
    return part


def equal_entries(first, second):
    def layer(cache, at):
        parts = list(cache.kv_slices(at))
        return torch.cat([part.keys for part in parts], 1), torch.cat(
            [part.values for part in parts], 1
        )

    return all(
        torch.equal(a, b)
        for at in range(len(first.tail.layers))
        for a, b in zip(layer(first, at), layer(second, at), strict=True)
    )


@pytest.mark.parametrize("length", [64, 200, 511, 700, 1111])
def test_a_hit_of_any_length_gives_the_logits_of_a_cold_run_in_float32(length):
    model = single(torch.float32)
    prompt = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT * 4)
    expected = prefilled(model, prompt, None).result
    reuse = PrefillReuse(PrefixCache(AMPLE), PrefillMemo())
    head = reuse.prefix(model.network, prompt.tokens)
    head.store(part_of(expected.cache, length))
    head.close()

    found = prefilled(model, prompt, reuse)

    assert found.spent().cached_tokens == length
    torch.testing.assert_close(found.result.logits, expected.logits, rtol=1e-5, atol=1e-4)
    assert int(found.result.logits.argmax()) == int(expected.logits.argmax())


@pytest.mark.parametrize("methods", [(), ("specpc-shallow(keep=260)",), ("snapkv(keep=120)",)])
def test_answers_after_a_hit_are_the_same_tokens_in_float32(methods):
    model = single(torch.float32)
    server = Server(model, model)
    for question in QUESTIONS:
        warm = server.ask(question, methods)
        assert told(warm) == told(cold(question, methods, model, model))
