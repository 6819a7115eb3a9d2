import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode import Stream, write
from forethought.engine.sampling import SamplingParams, choose
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


def opened(decoder, prompts, **settings):
    batch, streams, logits = batch_of(decoder), [], []
    with torch.inference_mode():
        for candidate, prompt in enumerate(prompts):
            row = SequenceCache(3)
            logits.append(batch.prefill(row, prompt))
            streams.append(
                Stream(row, candidate=candidate, **{"sampling": SamplingParams(), **settings})
            )
    return batch, streams, torch.stack(logits)


def written(decoder, prompts, **settings):
    batch, streams, logits = opened(decoder, prompts, **settings)
    list(write(batch, streams, logits))
    return [stream.written for stream in streams]


def test_greedy_writing_equals_reading_it_all_again_at_every_step(decoder):
    prompt = tokens_of(20)

    (got,) = written(decoder, [prompt], limit=12)

    expected = list(prompt)
    for _ in range(12):
        expected.append(int(fresh_logits(decoder, expected).argmax()))
    assert got == expected[20:]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_shares_the_batch_changes_nothing(decoder, temperature):
    prompts = [tokens_of(n, seed=n) for n in (3, 17, 40, 64)]
    sampling = SamplingParams(temperature=temperature, seed=5)

    together = written(decoder, prompts, limit=10, sampling=sampling)

    for candidate, prompt in enumerate(prompts):
        batch, (stream,), logits = opened(decoder, [prompt], limit=10, sampling=sampling)
        stream.candidate = candidate
        list(write(batch, [stream], logits))
        assert stream.written == together[candidate]


def test_samples_of_one_prompt_equal_those_of_separate_prompts(decoder):
    prompt, sampling = tokens_of(30), SamplingParams(temperature=1.0, seed=2)
    batch, row = batch_of(decoder), SequenceCache(3)
    with torch.inference_mode():
        logits = batch.prefill(row, prompt).expand(4, -1)
        rows = [row, *(row.fork() for _ in range(3))]
        streams = [Stream(r, sampling, candidate=i, limit=8) for i, r in enumerate(rows)]
        list(write(batch, streams, logits))

    assert [s.written for s in streams] == written(
        decoder, [prompt] * 4, limit=8, sampling=sampling
    )
    assert len({tuple(s.written) for s in streams}) > 1


def test_each_token_is_drawn_for_its_own_position(decoder):
    prompt, sampling = tokens_of(20), SamplingParams(temperature=1.0, seed=4)

    (got,) = written(decoder, [prompt], limit=12, sampling=sampling)

    for position in range(12):
        logits = fresh_logits(decoder, prompt + got[:position])
        assert got[position] == choose(logits, sampling, 0, position).token


def test_an_end_token_stops_and_is_not_part_of_the_answer(decoder):
    (free,) = written(decoder, [tokens_of(20)], limit=6)
    end = free[3]

    batch, (stream,), logits = opened(decoder, [tokens_of(20)], limit=6, ends=frozenset([end]))
    list(write(batch, [stream], logits))

    assert stream.written == free[: free.index(end)]
    assert stream.finish == "stop"


def test_a_stream_ended_from_outside_writes_no_more_and_others_go_on(decoder):
    prompts = [tokens_of(9, seed=1), tokens_of(9, seed=2)]
    batch, streams, logits = opened(decoder, prompts, limit=6)

    for emitted in write(batch, streams, logits):
        if emitted.stream is streams[0] and len(streams[0].written) == 2:
            streams[0].end("cancelled")

    assert streams[0].finish == "cancelled"
    assert len(streams[0].written) == 2
    assert streams[1].written == written(decoder, prompts[1:], limit=6)[0]


def test_closing_the_iterator_cancels(decoder):
    batch, streams, logits = opened(decoder, [tokens_of(9)], limit=50)

    tokens = write(batch, streams, logits)
    next(tokens)
    tokens.close()

    assert len(streams[0].written) == 1
    assert batch.meter.tokens["output"] == 1
