"""What may follow candidates, and given tokens, on the engine of this machine and tiny models."""

from __future__ import annotations

import gc
import math
import weakref
from contextlib import suppress
from dataclasses import replace
from functools import cache

import pytest
import torch

from forethought.backends.known import END
from forethought.backends.local.candidate_cache import LEAST
from forethought.backends.local.local import LocalBackend
from forethought.contracts.search import Found, Strategy, following, take, write
from forethought.driver.driver import Driver
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import Scheduler
from forethought.methods.search.diverse_beam import DiverseBeam
from forethought.methods.search.greedy import Greedy
from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model
from forethought.models.tokenization.tokenizer import Tokenizer
from forethought.recipes.recipe import Recipe
from tests.backends.local.test_local import (
    ASKED,
    METHODS,
    Kept,
    accounted,
    job,
    local,
    searched,
    texts,
)
from tests.methods.search.beams_by_hand import by_hand
from tests.models.random_models import decoder_like, random_model
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET
from tests.tiny_model import TEMPLATE, tiny_tokenizer

(ENDS,) = TARGET.tokenizer.ends
LONGEST = 7


@cache
def fresh_chances(ids):
    """Log-probabilities behind the prompt and these tokens, from a pass without a cache."""
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    row = SequenceCache(len(TARGET.shape.layers))
    logits = Batch(TARGET.network, Meter(lambda: 0.0)).prefill(row, [*prompt.tokens, *ids])
    return torch.log_softmax(logits.double(), 0).tolist()


@cache
def law(question, text):
    """The tiny model's, each token written as one letter."""
    chances = fresh_chances(tuple(ord(letter) - 256 for letter in text))
    return {
        END if token == ENDS else chr(256 + token): math.exp(chance)
        for token, chance in enumerate(chances)
    }


def spelled(candidate):
    return "".join(chr(256 + token) for token in candidate.token_ids)


class Tree(Strategy):
    """Looks, takes, and goes on from everywhere, also from where others went on before."""

    def __init__(self):
        self.looks = []

    def _look(self, candidates):
        self.looks += zip(candidates, (yield from following(candidates, 3)), strict=True)

    def search(self, start, rng):
        yield from self._look([start])
        first = yield from take([start] * 3, [70, 71, 72])
        yield from self._look(first)
        second = yield from take([first[0], first[0], first[2]], [80, 81, 82])
        yield from self._look(second)
        late = yield from take([start, first[0], second[0]], [90, 91, 92])
        ends = yield from write([start, first[0], *second], temperature=0.0, max_tokens=4)
        yield from self._look([*late, *ends, first[1]])
        free = yield from write([first[0]] * 2, tokens=[75, 76], temperature=0.0)
        return Found(ends[0], (*first, *second, *late, *ends, *free))


def test_looks_tell_the_models_own_chances_wherever_others_went_on_before():
    strategy = Tree()
    done = searched(strategy)
    assert len(strategy.looks) == 1 + 3 + 3 + 3 + 5 + 1
    for candidate, look in strategy.looks:
        chances = fresh_chances(candidate.token_ids)
        on = [token for token in range(len(chances)) if token != ENDS]
        best = sorted(on, key=lambda token: -chances[token])[:3]
        assert {one.token for one in look} == {*best, ENDS}
        assert [one.ends for one in look] == [one.token == ENDS for one in look]
        told = [one.log_probability for one in look]
        assert told == pytest.approx([chances[one.token] for one in look], rel=1e-5)
        assert told == sorted(told, reverse=True)
    for candidate in done.found.considered:
        ids, total = candidate.token_ids, 0.0
        for place in range(len(ids)):
            total += fresh_chances(ids[:place])[ids[place]]
        if candidate.finish == "stop":
            total += fresh_chances(ids)[ENDS]
        assert candidate.log_probability == pytest.approx(total, rel=1e-5)


def test_all_tokens_are_told_where_more_are_asked_for_the_end_once_and_in_its_place():
    class All(Strategy):
        def search(self, start, rng):
            (look,) = yield from following([start], 10_000)
            return Found(start, notes=look)

    look = searched(All()).found.notes
    chances = fresh_chances(())
    assert sorted(one.token for one in look) == list(range(len(chances)))
    assert [one.token for one in look if one.ends] == [ENDS]
    order = [one.token for one in look]
    assert order == sorted(order, key=lambda token: -chances[token])
    assert 0 < order.index(ENDS) < len(order) - 1


def test_what_is_written_behind_a_look_is_what_is_written_without_one():
    class Plain(Strategy):
        def search(self, start, rng):
            ones = yield from take([start] * 2, [70, 71])
            ends = yield from write(ones, temperature=0.0)
            return Found(ends[0], tuple(ends))

    class Looking(Strategy):
        def search(self, start, rng):
            yield from following([start], 2)
            ones = yield from take([start] * 2, [70, 71])
            yield from following(ones, 5)
            yield from take(ones, [60, 61])
            ends = yield from write(ones, temperature=0.0)
            yield from following([start], 2)
            return Found(ends[0], tuple(ends))

    plain, looking = searched(Plain()), searched(Looking())
    assert texts(plain) == texts(looking)
    assert looking.cost.output_tokens == plain.cost.output_tokens + 2
    assert looking.cost.flops == pytest.approx(plain.cost.flops, rel=1e-12)


@pytest.mark.parametrize("methods", METHODS)
def test_one_beam_is_greedy_token_for_token_and_costs_as_much(methods):
    greedy = searched(Greedy(), local(methods))
    beam = searched(DiverseBeam(groups=1, width=1), local(methods))
    assert texts(beam) == texts(greedy)
    assert beam.found.best.token_ids == greedy.found.best.token_ids
    assert beam.found.best.log_probability == pytest.approx(greedy.found.best.log_probability)
    assert beam.cost.flops == pytest.approx(greedy.cost.flops, rel=1e-12)
    apart = {"flops": 0, "bytes_moved": 0, "peak_cache_bytes": 0}  # greedy has a row of its own
    assert replace(beam.cost, **apart) == replace(greedy.cost, **apart)
    assert beam.cost.bytes_moved < 1.2 * greedy.cost.bytes_moved  # nothing is read twice
    assert beam.opened == greedy.opened


@pytest.mark.parametrize(("groups", "width", "diversity"), [(1, 3, 0.0), (3, 1, 1.0), (2, 2, 0.7)])
def test_beams_are_those_of_the_published_loop_without_a_cache(groups, width, diversity):
    every = by_hand(law, groups, width, diversity, longest=LONGEST)
    done = searched(
        DiverseBeam(groups=groups, width=width, diversity=diversity), max_tokens=LONGEST
    )
    found = [spelled(one) for one in done.found.considered]
    assert found == list(dict.fromkeys(text for group in every for text in group))


@pytest.mark.parametrize("width", [2, 4])
def test_one_group_finds_what_the_beam_search_of_transformers_finds(width):
    tokenizer = tiny_tokenizer()
    endless = Tokenizer(tokenizer._inner, bos=tokenizer.bos)
    theirs = random_model("llama", vocab_size=258, max_position_embeddings=1024)
    model = Model("tiny", TARGET.folder, decoder_like(theirs), endless, TEMPLATE)
    prompt = chat_prompt(endless, TEMPLATE, QUESTION, "")
    out = theirs.generate(
        torch.tensor([list(prompt.tokens)]),
        num_beams=width, num_return_sequences=width, max_new_tokens=10, do_sample=False,
        eos_token_id=None, pad_token_id=0, length_penalty=0.0, return_dict_in_generate=True,
        output_scores=True,
    )  # fmt: skip
    backend = LocalBackend(Recipe(model="target", max_tokens=10), model, model)
    strategy = DiverseBeam(groups=1, width=width, length=0.0)
    question = replace(ASKED, document="")
    (done,) = Driver(backend).run([job(strategy, question=question, max_tokens=10)])

    assert done.error is None
    found = done.found.considered
    expected = out.sequences[:, len(prompt.tokens) :].tolist()
    assert [list(one.token_ids) for one in found] == expected
    totals = [one.log_probability for one in found]
    assert totals == pytest.approx(out.sequences_scores.tolist(), rel=1e-3)


BEAMS = DiverseBeam(groups=2, width=2)


def test_beams_are_the_same_alone_and_in_company():
    jobs = [job(BEAMS, f"run {n}", max_tokens=9, question=replace(ASKED, text=text))
            for n, text in enumerate(["What?", "Why?"])]  # fmt: skip
    jobs.append(job(Greedy(), "other", max_tokens=9))
    alone = {one.run: next(iter(Driver(local()).run([one]))) for one in jobs}
    for done in Driver(local()).run(jobs):
        assert texts(done) == texts(alone[done.job.run])
        assert done.cost == alone[done.job.run].cost


def test_the_prompt_is_read_once_and_each_beam_once_a_step():
    beams = searched(DiverseBeam(groups=1, width=3), max_tokens=6)
    greedy = searched(Greedy(), max_tokens=6)
    assert beams.cost.prompt_tokens == greedy.cost.prompt_tokens
    assert beams.cost.output_tokens == 3 * 6
    # Read are all but the newest: by each beam five tokens behind the prompt.
    reading = searched(Greedy(), max_tokens=1).cost.flops
    one = greedy.cost.flops - reading
    assert beams.cost.flops - reading == pytest.approx(3 * one, rel=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97, 0.999, 1.002])
def test_a_budget_of_flops_is_never_overshot_by_looks(share):
    free = searched(BEAMS, max_tokens=9).cost.flops
    (done,) = Driver(local()).run([job(BEAMS, budget=f"{int(share * free)}FLOP", max_tokens=9)])
    assert done.cost.flops <= share * free
    assert done.error is not None or done.budget_spent == (share < 1)


def test_beams_stopped_anywhere_go_on_to_the_same_end():
    whole = Kept()
    done = searched(BEAMS, local(), whole, max_tokens=6)
    keys = list(whole.outcomes)
    for share in (0.0, 0.3, 0.8, 1.0):
        some = Kept({key: whole.outcomes[key] for key in keys[: int(share * len(keys))]})
        again = searched(BEAMS, local(), some, max_tokens=6)
        assert accounted(again) == accounted(done)
        assert some.outcomes.keys() == whole.outcomes.keys()


def test_caches_of_old_beams_are_let_go_and_found_again():
    class Long(Strategy):
        def search(self, start, rng):
            one, old = start, None
            for place in range(LEAST + 20):
                (one,) = yield from take([one], [70 + place % 9])
                first = yield from following([one], 2)
                old = old or (one, first)
                held.append(len(backend.run("run").caches._single))
            again = yield from following([old[0]], 2)
            return Found(one, notes=(old[1], again))

    backend, held = local(), []
    done = searched(Long(), backend, max_tokens=100)
    assert max(held) == LEAST
    first, again = done.found.notes
    assert [one.token for one in again[0]] == [one.token for one in first[0]]
    assert [one.log_probability for one in again[0]] == pytest.approx(
        [one.log_probability for one in first[0]]
    )


def test_rows_of_beams_stay_in_one_piece_behind_the_prompt():
    class Forking(Strategy):
        def search(self, start, rng):
            beams = yield from take([start] * 2, [70, 71])
            for place in range(8):
                yield from following(beams, 2)
                beams = yield from take([beams[place % 2]] * 2, [72, 73])
            yield from following(beams, 2)
            caches.update(backend.run("run").caches._held)
            return Found(beams[0])

    backend, caches = local(), {}
    searched(Forking(), backend)
    last = [one.cache for where, one in caches.items() if where[3] == 9]
    assert len(last) == 2
    assert [len(row.views) for row in last] == [1, 1]
    assert last[0].views[0].segment is last[1].views[0].segment


def test_nothing_of_a_search_stays_once_it_has_ended():
    class Watched(Scheduler):
        def add(self, sequence):
            sequences.append(weakref.ref(sequence))
            super().add(sequence)

    sequences, backend = [], local()
    backend.scheduler = Watched()
    searched(BEAMS, backend, max_tokens=6)
    gc.collect()

    assert len(sequences) > 10
    assert not any(one() for one in sequences)
    assert (backend._handlers, backend._readers, backend._blocked, backend._work) == ({},) * 4


def test_a_candidate_that_nobody_waits_for_is_not_computed():
    backend = local()

    class Stopped(Scheduler):
        def step(self):
            if backend._readers:
                raise KeyboardInterrupt
            return super().step()

    backend.scheduler = Stopped()
    with suppress(KeyboardInterrupt):
        searched(BEAMS, backend, max_tokens=6)
    assert backend.scheduler.idle
    assert (backend._handlers, backend._readers, backend._blocked) == ({}, {}, {})


def test_a_stop_text_that_given_tokens_complete_ends_the_answer():
    greedy = searched(Greedy(), max_tokens=12).found.best
    stop = greedy.text[3:5]
    plain = searched(Greedy(), local(stop=(stop,)), max_tokens=12)
    beam = searched(DiverseBeam(groups=1), local(stop=(stop,)), max_tokens=12)
    assert texts(beam) == texts(plain)
    assert beam.found.best.finish == plain.found.best.finish == "stop"
