"""The scheduler: sequences decode as if alone, prefills give way, cancelling frees memory."""

from __future__ import annotations

import gc
import itertools
import weakref

import pytest
import torch

from forethought.contracts.errors import UnsupportedModelError
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from forethought.engine.sampling import SamplingParams, choose
from forethought.engine.scheduler import Scheduler, decode
from forethought.engine.sequence import Prefill, Sequence, SequenceStart
from forethought.models.hardware.sliced_task import SlicedTask, pause
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

LONG = 700
"""Tokens of a prompt of several blocks."""


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


def ready(decoder, prompt, **settings):
    """A sequence behind a prompt that is prefilled already."""
    batch, cache = batch_of(decoder), SequenceCache(3)
    logits = batch.prefill(cache, prompt)
    return Sequence(decoder, batch.meter, lambda: SequenceStart(cache, logits), **settings)


def waiting(decoder, prompt, hook=None, **settings):
    """A sequence whose prompt is prefilled by the scheduler."""
    batch, cache, found = batch_of(decoder), SequenceCache(3), []

    def fill():
        if hook is None:
            found.append(batch.prefill(cache, prompt))
        else:
            found.append(batch.prefill_whole(cache, prompt, hook)[-1])

    prefill = Prefill(fill)
    return Sequence(
        decoder, batch.meter, lambda: SequenceStart(cache, found[0]), prefill, **settings
    )


def scheduled(*sequences, **settings):
    scheduler = Scheduler(**settings)
    for one in sequences:
        scheduler.add(one)
    return scheduler


def run(*sequences, **settings):
    """All events up to the end."""
    scheduler, events = scheduled(*sequences, **settings), []
    while not scheduler.idle:
        events += scheduler.step()
    return events


def written(decoder, prompts, **settings):
    sequences = [
        waiting(decoder, prompt, stream=stream, **settings) for stream, prompt in enumerate(prompts)
    ]
    run(*sequences)
    return [one.tokens for one in sequences]


def test_greedy_decoding_equals_a_fresh_pass_at_every_step(decoder):
    prompt = tokens_of(20)

    (got,) = written(decoder, [prompt], max_tokens=12)

    expected = list(prompt)
    for _ in range(12):
        expected.append(int(fresh_logits(decoder, expected).argmax()))
    assert got == expected[20:]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prefill_seconds", [None, 0.0])
def test_company_changes_no_sequence(decoder, temperature, prefill_seconds):
    prompts = [tokens_of(n, seed=n) for n in (3, 17, 40, LONG)]
    settings = {"max_tokens": 10, "sampling": SamplingParams(temperature=temperature, seed=5)}
    together = [waiting(decoder, p, stream=n, **settings) for n, p in enumerate(prompts)]

    run(*together, prefill_seconds=prefill_seconds)

    for stream, prompt in enumerate(prompts):
        alone = waiting(decoder, prompt, stream=stream, **settings)
        run(alone)
        assert alone.tokens == together[stream].tokens


def test_samples_of_one_prompt_equal_those_of_separate_prompts(decoder):
    prompt, sampling = tokens_of(30), SamplingParams(temperature=1.0, seed=2)
    batch, cache = batch_of(decoder), SequenceCache(3)
    logits = batch.prefill(cache, prompt)
    caches = [cache, *(cache.fork() for _ in range(3))]
    forks = [
        Sequence(
            decoder, batch.meter, lambda own=own: SequenceStart(own, logits),
            sampling=sampling, stream=stream, max_tokens=8,
        )
        for stream, own in enumerate(caches)
    ]  # fmt: skip
    run(*forks)

    apart = written(decoder, [prompt] * 4, max_tokens=8, sampling=sampling)
    assert [one.tokens for one in forks] == apart
    assert len({tuple(one.tokens) for one in forks}) > 1


def test_each_token_is_drawn_for_its_own_position(decoder):
    prompt, sampling = tokens_of(20), SamplingParams(temperature=1.0, seed=4)

    (got,) = written(decoder, [prompt], max_tokens=12, sampling=sampling)

    for position in range(12):
        logits = fresh_logits(decoder, prompt + got[:position])
        assert got[position] == choose(logits, sampling, 0, position).token


def test_an_end_token_stops_a_sequence_and_is_not_part_of_it(decoder):
    (free,) = written(decoder, [tokens_of(20)], max_tokens=6)
    end = free[3]

    one = ready(decoder, tokens_of(20), max_tokens=6, ends=frozenset([end]))
    run(one)
    assert (one.tokens, one.finish) == (free[: free.index(end)], "stop")

    kept = ready(decoder, tokens_of(20), max_tokens=6, ends=frozenset([end]), keeps_end=True)
    decode(kept)
    assert kept.tokens == free[: free.index(end) + 1]


def test_forced_tokens_are_taken_as_they_are_and_sampling_goes_on_behind_them(decoder):
    prompt, forced = tokens_of(20), [5, 9, 2]
    one = ready(decoder, prompt, max_tokens=6, forced=list(forced))

    run(one)

    expected = [*prompt, *forced]
    for _ in range(3):
        expected.append(int(fresh_logits(decoder, expected).argmax()))
    assert one.tokens == expected[20:]


def test_a_last_token_that_is_decoded_leaves_its_logits(decoder):
    one = ready(decoder, tokens_of(20), max_tokens=4, caches_last=True)

    events = run(one)

    assert (one.steps, len(one.tokens)) == (4, 4)
    expected = fresh_logits(decoder, [*tokens_of(20), *one.tokens])
    torch.testing.assert_close(one.logits, expected, rtol=1e-4, atol=1e-5)
    assert [event.sampled is None for event in events] == [False] * 4 + [True]


def test_a_hook_sees_every_layer_of_its_own_steps_alone(decoder):
    seen = []
    hook = LayerHook(lambda view: seen.append((view.layer, view.keys.shape[1])), 20)
    one = ready(decoder, tokens_of(20), max_tokens=3, layer_hook=hook)
    other = ready(decoder, tokens_of(9), max_tokens=3)

    run(one, other)

    assert seen == [(layer, length) for length in (21, 22) for layer in range(3)]
    assert other.tokens == written(decoder, [tokens_of(9)], max_tokens=3)[0]


def test_a_prefill_in_slices_gives_the_bits_of_one_pass(decoder):
    kept = LayerHook(lambda view: torch.arange(0, LONG, 3).expand(view.keys.shape[0], -1), LONG)
    for hook in (None, kept):
        whole = waiting(decoder, tokens_of(LONG), hook, max_tokens=3)
        other = ready(decoder, tokens_of(5), max_tokens=400)
        part = waiting(decoder, tokens_of(LONG), hook, max_tokens=3)
        first = next(event.logits for event in run(whole) if event.sequence is whole)

        scheduler, steps, begun = scheduled(other, part, prefill_seconds=0.0), 0, None
        while begun is None:
            steps += 1
            begun = next((e.logits for e in scheduler.step() if e.sequence is part), None)

        assert torch.equal(begun, first)
        # Three layers of three blocks, and attention between them.
        assert steps > 3 * 3
        for layer in range(3):
            both = zip(whole.held.kv_slices(layer), part.held.kv_slices(layer), strict=True)
            for one, two in both:
                shared = min(one.keys.shape[1], two.keys.shape[1])
                assert torch.equal(one.keys[:, :shared], two.keys[:, :shared])


def test_every_decoding_sequence_takes_one_token_a_step_whatever_is_prefilled(decoder):
    running = [ready(decoder, tokens_of(n), max_tokens=100) for n in (5, 9)]
    scheduler = scheduled(*running, prefill_seconds=0.0)
    scheduler.step()
    scheduler.add(waiting(decoder, tokens_of(LONG), max_tokens=5))
    for step in range(1, 12):
        events = scheduler.step()
        assert [event.sequence for event in events if event.sequence in running] == running
        assert [len(one.tokens) for one in running] == [step + 1] * 2


def test_a_slice_ends_at_the_first_pause_after_its_time(decoder):
    ticks = itertools.count()
    clock = lambda: next(ticks)  # noqa: E731
    passed, places = [], []

    def work():
        for place in range(20):
            places.append(place)
            pause()

    task = SlicedTask(work, clock)
    while not task.ended:
        task.advance(4)
        passed.append(len(places))
    # The clock is read once to begin a slice, and once a pause.
    assert passed == [4, 8, 12, 16, 20, 20]


@pytest.mark.parametrize(("tokens", "blocks"), [(512, 8), (513, 4)])
def test_a_short_prompt_gets_two_slices_a_step(decoder, tokens, blocks):
    done = []

    def work():
        for place in range(30):
            done.append(place)
            pause()

    ticks = itertools.count()
    scheduler = Scheduler(lambda: next(ticks), prefill_seconds=4)
    prefill = Prefill(work)
    prefill.tokens = tokens
    one = ready(decoder, tokens_of(5))
    one.prefill = prefill
    for each in (ready(decoder, tokens_of(9), max_tokens=100), one):
        scheduler.add(each)
    scheduler.step()  # no sequence decodes yet
    before = len(done)
    scheduler.step()
    assert len(done) - before == blocks


def test_without_a_bound_prompts_are_prefilled_before_anything_is_decoded(decoder):
    one, other = waiting(decoder, tokens_of(5)), waiting(decoder, tokens_of(LONG))
    scheduler = scheduled(one, other)
    while other.cache is None:
        scheduler.step()
        assert len(one.tokens) <= 1


def test_a_sequence_cancelled_amid_its_prefill_frees_what_was_filled(decoder):
    hook = LayerHook(lambda view: None, LONG)
    one = waiting(decoder, tokens_of(LONG), hook)
    other = ready(decoder, tokens_of(5), max_tokens=200)
    scheduler = scheduled(other, one, prefill_seconds=0.0)
    for _ in range(6):
        scheduler.step()
    cache = weakref.ref(one.open.__closure__[0].cell_contents)
    assert cache().tail.layers[0].length >= LONG

    scheduler.cancel(one)
    one.open = one.prefill = None
    gc.collect()

    assert cache() is None
    assert one.finish == "cancelled"
    assert not any(event.sequence is one for event in scheduler.step())


def test_a_prefill_that_is_cancelled_is_charged_for_the_layers_it_reached(decoder):
    def begun(steps):
        one, other = waiting(decoder, tokens_of(LONG)), ready(decoder, tokens_of(5))
        scheduler = scheduled(other, one, prefill_seconds=0.0)
        while one.cache is None and steps:
            scheduler.step()
            steps -= 1
        return scheduler, one, steps

    _, whole, left = begun(1000)
    scheduler, one, _ = begun((1000 - left) // 2)
    assert one.meter.flops == 0  # a pass is charged at its end

    scheduler.cancel(one)

    assert 0.1 < one.meter.flops / whole.meter.flops < 0.9


def test_a_cancelled_prefill_leaves_its_caller_outside_of_inference_mode(decoder):
    one = waiting(decoder, tokens_of(LONG))
    other = ready(decoder, tokens_of(5), max_tokens=200)
    scheduler = scheduled(other, one, prefill_seconds=0.0)
    scheduler.step()
    scheduler.step()
    assert not torch.is_inference_mode_enabled()

    scheduler.cancel(one)

    assert not torch.is_inference_mode_enabled()
    assert torch.ones(1, requires_grad=True).requires_grad


def test_a_prefill_that_others_need_survives_a_cancel(decoder):
    one = waiting(decoder, tokens_of(LONG), max_tokens=4)
    other = Sequence(decoder, one.meter, one.open, one.prefill, max_tokens=4)
    scheduler = scheduled(one, other)
    scheduler.cancel(one)
    while not scheduler.idle:
        scheduler.step()
    assert len(other.tokens) == 4


def test_a_decoding_sequence_that_is_cancelled_takes_no_more_and_others_go_on(decoder):
    one, other = ready(decoder, tokens_of(9, 1)), ready(decoder, tokens_of(9, 2), max_tokens=6)
    scheduler = scheduled(one, other)
    scheduler.step()
    scheduler.step()

    scheduler.cancel(one)
    while not scheduler.idle:
        scheduler.step()

    assert (len(one.tokens), one.cache, one.finish) == (2, None, "cancelled")
    assert other.tokens == written(decoder, [tokens_of(9, 2)], max_tokens=6)[0]


def test_an_error_ends_the_sequences_that_it_concerns_alone(decoder):
    def fails():
        raise UnsupportedModelError("no such prompt", "use another")

    shared = Prefill(fails)
    one, two = (ready(decoder, tokens_of(5)) for _ in range(2))
    one.prefill = two.prefill = shared
    third, fourth = ready(decoder, tokens_of(5)), ready(decoder, tokens_of(5), max_tokens=3)
    third.open = fails

    events = run(one, two, third, fourth)

    assert [one.finish, two.finish, third.finish] == ["error"] * 3
    assert {str(each.error.message) for each in (one, two, third)} == {"no such prompt"}
    assert len(fourth.tokens) == 3
    ended = [event.sequence for event in events if event.sampled is None]
    assert sorted(map(id, ended)) == sorted(map(id, (one, two, third)))


def test_every_sequence_has_one_last_event_after_random_adds_and_cancels(decoder):
    generator = torch.Generator().manual_seed(3)

    def draw(n):
        return int(torch.randint(n, (), generator=generator))

    scheduler, alive, every, ended = Scheduler(prefill_seconds=0.0), [], [], []
    for _ in range(400):
        if draw(3) == 0 and len(alive) < 6:
            one = waiting(decoder, tokens_of(3 + draw(40), draw(9)), max_tokens=1 + draw(6))
            alive.append(one)
            every.append(one)
            scheduler.add(one)
        if alive and draw(8) == 0:
            scheduler.cancel(alive.pop(draw(len(alive))))
        for event in scheduler.step():
            if event.sequence.finish:
                ended.append(event.sequence)
                alive.remove(event.sequence)
    for one in alive:
        scheduler.cancel(one)
    assert scheduler.idle
    assert len({id(one) for one in ended}) == len(ended) > 20
    assert {one.finish for one in every} == {"length", "cancelled"}
