"""What a GPU computes, beside the CPU: `scripts/test -m gpu`."""

from __future__ import annotations

import pytest
import torch

from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.sampling import Choice, SamplingParams, choose_rows
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Sequence, SequenceStart
from forethought.engine.static_step import VARIABLE, static_steps
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.decoder.norm import FusedNorm, Norm
from tests.tiny import tiny_tensors, tokens_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def decoder_on(device, dtype):
    config, tensors = tiny_tensors(hidden_size=64, head_dim=16)
    tensors = {name: tensor.to(device, dtype) for name, tensor in tensors.items()}
    return Decoder(config, tensors, build_linears(tensors, {}, "bf16"))


def sequences_of(decoder, lengths, **settings):
    made = []
    for stream, length in enumerate(lengths):
        batch, cache = Batch(decoder, Meter(lambda: 0.0)), SequenceCache(3)
        with torch.inference_mode():
            start = SequenceStart(cache, batch.prefill(cache, tokens_of(length, seed=stream)))
        opens = lambda start=start: start  # noqa: E731
        made.append(Sequence(decoder, batch.meter, opens, stream=stream, **settings))
    return made


def run(sequences):
    scheduler, events = Scheduler(), []
    for one in sequences:
        scheduler.add(one)
    while not scheduler.idle:
        events += scheduler.step()
    return events


@pytest.mark.parametrize("kind", ["graph", "static", "plain"])
@pytest.mark.parametrize("lengths", [(20,), (20, 3, 41, 7, 300)])
def test_greedy_tokens_are_those_of_the_cpu_in_float32(kind, lengths, monkeypatch):
    monkeypatch.setenv(VARIABLE, "plain")
    expected = sequences_of(decoder_on("cpu", torch.float32), lengths, max_tokens=24)
    run(expected)
    monkeypatch.setenv(VARIABLE, kind)
    decoder = decoder_on("cuda", torch.float32)
    found = sequences_of(decoder, lengths, max_tokens=24)

    run(found)

    assert [one.tokens for one in found] == [one.tokens for one in expected]
    steps = static_steps(decoder)
    assert (steps is None) == (kind == "plain")
    assert steps is None or (steps._steps and not steps.ended)


def test_logits_in_bf16_are_those_of_the_cpu_as_far_as_bf16_goes():
    logits = []
    for device in ("cpu", "cuda"):
        forced = tokens_of(24, seed=9)
        sequences = sequences_of(
            decoder_on(device, torch.bfloat16), (20, 9), max_tokens=24, forced=list(forced)
        )
        sequences[1].forced = list(forced)
        logits.append(torch.stack([event.logits.cpu() for event in run(sequences)]))

    off = (logits[0] - logits[1]).abs().max() / logits[0].abs().max()
    assert off < 0.06


def test_a_graph_is_captured_once_for_a_size():
    decoder = decoder_on("cuda", torch.bfloat16)
    run(sequences_of(decoder, (20, 9), max_tokens=30))
    graphs = {size: step._graph for size, step in static_steps(decoder)._steps.items()}
    assert all(graph is not None for graph in graphs.values())

    run(sequences_of(decoder, (12, 5), max_tokens=30))

    assert {s: step._graph for s, step in static_steps(decoder)._steps.items()} == graphs


def test_rows_are_sampled_as_on_the_cpu():
    generator = torch.Generator().manual_seed(0)
    rows = [
        SamplingParams(),
        SamplingParams(temperature=1.0, top_logprobs=3, certainty=True),
        SamplingParams(temperature=0.8, top_k=30),
        SamplingParams(temperature=0.8, top_p=0.9),
        SamplingParams(temperature=0.8, min_p=0.1),
    ]
    differ = 0
    for position in range(50):
        logits = 3 * torch.randn(len(rows), 5000, generator=generator)
        choices = [Choice(one, n, position) for n, one in enumerate(rows)]
        there = choose_rows(logits.cuda(), choices)
        for one, other in zip(choose_rows(logits, choices), there, strict=True):
            differ += one.token != other.token
            if one.token == other.token:
                assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
    # A draw may lie on the border of two tokens, whose sums round differently.
    assert differ <= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("late", [False, True])
def test_the_fused_norm_is_the_norm_of_the_cpu(dtype, late):
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(n, 96, generator=generator).to(dtype) for n in (1, 7))
    expected = Norm(weight[0], 1e-6, late_rounding=late)(x)

    found = FusedNorm(weight[0].cuda(), 1e-6, late_rounding=late)(x.cuda())

    assert found.dtype == dtype
    torch.testing.assert_close(found.cpu(), expected)
