"""Diverse beam search on laws whose every probability is known."""

import itertools
import math

import numpy as np
import pytest

from forethought.backends.known import END, KnownBackend, sequences
from forethought.contracts.errors import UsageError
from forethought.methods.search.diverse_beam import DiverseBeam
from forethought.methods.search.greedy import Greedy
from tests.driver.searches import searched, three_steps
from tests.methods.search.beams_by_hand import by_hand

LONGEST = 30
LETTERS = "abcd"


def random_law(seed, stay=0.75, longest=6):
    """Next letters by the last three, whose chances are drawn once; longer answers end surely."""
    rng = np.random.default_rng(seed)
    chances = {}
    for length in range(4):
        for letters in itertools.product(LETTERS, repeat=length):
            shares = rng.dirichlet([0.7] * len(LETTERS)) * stay
            law = dict(zip(LETTERS, shares.tolist(), strict=True))
            chances["".join(letters)] = {**law, END: 1 - stay}

    def law(question, text):
        return {END: 1.0} if len(text) >= longest else chances[text[-3:]]

    return law


def found(law=three_steps, **settings):
    return searched(DiverseBeam(**settings), law).found


def texts(candidates):
    return [one.text for one in candidates]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("diversity", [0.0, 3.0])
def test_one_beam_is_the_plain_answer_at_temperature_0(seed, diversity):
    for law in (random_law(seed), random_law(seed, stay=0.95, longest=40)):
        plain = searched(Greedy(), law)
        done = searched(DiverseBeam(groups=1, width=1, diversity=diversity), law)
        assert texts(done.found.considered) == [plain.found.best.text]
        best = done.found.best
        assert best.log_probability == pytest.approx(plain.found.best.log_probability)
        assert (best.finish, best.tokens) == (plain.found.best.finish, plain.found.best.tokens)
        assert done.cost.output_tokens == plain.cost.output_tokens


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("groups", "width"), [(1, 3), (3, 1), (2, 2), (3, 2), (2, 5)])
@pytest.mark.parametrize("diversity", [0.0, 0.5, 2.0])
def test_answers_are_those_of_the_published_loop(seed, groups, width, diversity):
    law = random_law(seed)
    every = by_hand(law, groups, width, diversity)
    done = found(law, groups=groups, width=width, diversity=diversity)
    assert texts(done.considered) == list(dict.fromkeys(itertools.chain(*every)))


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_of_equal_ways_on_the_lower_token_comes_first_then_the_earlier_beam(width):
    def law(question, text):
        return {END: 1.0} if len(text) == 3 else dict.fromkeys("dbac", 0.25)

    every = by_hand(law, 2, width, 0.5)
    assert every[0][0] == "aaa"
    done = found(law, groups=2, width=width, diversity=0.5)
    assert texts(done.considered) == list(dict.fromkeys(itertools.chain(*every)))


def test_a_token_is_found_below_many_that_were_said_before():
    def law(question, text):
        if len(text) == 6:
            return {END: 1.0}
        order = [
            "abcdef"[len(text)],
            *(one for one in "abcdef" if one != "abcdef"[len(text)]),
            *"xy",
        ]
        chances = [0.55, 0.12, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02]
        return dict(zip(order, chances, strict=True))

    settings = {"groups": 2, "width": 1, "diversity": 9.0}
    (first,), (second,) = by_hand(law, **settings, phrase=1)
    done = found(law, **settings, avoid="phrase", phrase=1)
    assert (first, second[-1]) == ("abcdef", "x")
    assert texts(done.considered) == [first, second]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("phrase", [1, 2, 3])
@pytest.mark.parametrize(("groups", "width"), [(3, 1), (2, 2)])
def test_phrases_are_avoided_as_in_a_slow_loop(seed, phrase, groups, width):
    law = random_law(seed, stay=0.9, longest=9)
    settings = {"groups": groups, "width": width, "diversity": 1.5}
    every = by_hand(law, **settings, phrase=phrase)
    done = found(law, **settings, avoid="phrase", phrase=phrase)
    assert texts(done.considered) == list(dict.fromkeys(itertools.chain(*every)))


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_all_there_is_finds_the_likeliest_answers(seed):
    law = random_law(seed, longest=3)
    chances = sequences(law)
    done = found(law, groups=1, width=len(chances), length=0.0)
    assert done.best.text == max(chances, key=chances.__getitem__)
    assert texts(done.considered) == sorted(chances, key=lambda text: -chances[text])
    assert done.weights == pytest.approx([chances[text] for text in texts(done.considered)])


@pytest.mark.parametrize("width", [1, 2, 3])
def test_without_diversity_all_groups_are_one_beam_search_and_cost_as_much(width):
    alone = searched(DiverseBeam(groups=1, width=width), random_law(3))
    many = searched(DiverseBeam(groups=4, width=width, diversity=0.0), random_law(3))
    assert texts(many.found.considered) == texts(alone.found.considered)
    assert many.cost.output_tokens == alone.cost.output_tokens


@pytest.mark.parametrize("seed", range(4))
def test_the_first_group_is_the_same_whatever_the_diversity(seed):
    law = random_law(seed)
    first = texts(found(law, groups=1, width=2).considered)
    for diversity in (0.0, 0.3, 5.0, 1000.0):
        done = found(law, groups=3, width=2, diversity=diversity)
        assert texts(done.considered)[:2] == first


def test_a_great_diversity_gives_every_group_another_token_at_each_place():
    def law(question, text):
        shares = dict(zip("abcdef", (0.5, 0.2, 0.1, 0.1, 0.06, 0.04), strict=True))
        return {END: 1.0} if len(text) == 5 else shares

    done = found(law, groups=6, diversity=1000.0)
    assert len(done.considered) == 6
    for place in range(5):
        assert len({one.text[place] for one in done.considered}) == 6


def test_told_chances_are_the_models_own_whatever_was_taken_from_them():
    law = random_law(1)
    chances = sequences(law)
    for one in found(law, groups=4, width=2, diversity=2.0).considered:
        assert one.log_probability == pytest.approx(math.log(chances[one.text]))


def test_the_answer_is_the_likeliest_of_all_groups_not_the_least_penalised():
    # Greedily a, whose answer is unlikely in the end; avoiding a finds the likely one.
    def law(question, text):
        if not text:
            return {"a": 0.6, "b": 0.4}
        if len(text) == 1:
            return {"x": 1.0} if text == "b" else {"x": 0.3, "y": 0.25, "z": 0.25, "w": 0.2}
        return {END: 1.0}

    done = found(law, groups=2, diversity=0.5)
    assert texts(done.considered) == ["ax", "bx"]
    # The second group lost more to the first, 1.5 in all, than its answer is likelier.
    assert done.best.text == "bx"
    assert found(law, groups=1).best.text == "ax"


def test_length_decides_between_a_short_answer_and_a_long_one():
    def law(question, text):
        if not text:
            return {"s": 0.45, "l": 0.55}
        if text == "s":
            return {END: 1.0}
        return {END: 1.0} if len(text) == 4 else {"l": 0.8, "m": 0.2}

    short = found(law, groups=1, width=2, length=0.0)
    long = found(law, groups=1, width=2, length=1.0)
    assert set(texts(short.considered)) == set(texts(long.considered)) == {"s", "llll"}
    assert (short.best.text, long.best.text) == ("s", "llll")
    # The end counts as a token: two places of the one, five of the other.
    chances = dict(zip(texts(long.considered), long.weights, strict=True))
    assert chances["s"] == pytest.approx(0.45 ** (1 / 2))
    assert chances["llll"] == pytest.approx((0.55 * 0.8**3) ** (1 / 5))


def test_a_beam_that_ends_leaves_its_place_to_others():
    def law(question, text):
        if not text:
            return {END: 0.6, "a": 0.4}
        if len(text) == 4:
            return {END: 1.0}
        return {"a": 0.7, "b": 0.3} if len(text) == 3 else {"a": 0.9, "b": 0.1}

    done = found(law, groups=1, width=3)
    assert len(done.considered) == 3
    assert all(one.finish == "stop" for one in done.considered)
    assert texts(done.considered) == ["", "aaaa", "aaab"]


def test_a_group_ends_once_its_answers_cannot_change():
    def law(question, text):
        if not text:
            return {END: 0.6, "a": 0.4}
        return {"a": 1.0}

    done = searched(DiverseBeam(groups=1, width=1), law)
    assert (done.found.best.text, done.cost.output_tokens) == ("", 0)

    # The second answer may yet come: the greatest length of an answer ends it.
    done = searched(DiverseBeam(groups=1, width=2), law)
    assert [one.finish for one in done.found.considered] == ["stop", "length"]
    assert done.cost.output_tokens == LONGEST


def test_a_shifted_copy_evades_places_but_not_phrases():
    def law(question, text):
        rest = text.lstrip("-")
        if not text:
            return {"k": 0.6, "-": 0.4}
        if len(rest) == 4:
            return {END: 1.0}
        return {"klmn"[len(rest)]: 0.7, "opqr"[len(rest)]: 0.3}

    by_place = found(law, groups=2, diversity=1.0)
    by_phrase = found(law, groups=2, diversity=1.0, avoid="phrase", phrase=2)
    assert texts(by_place.considered) == ["klmn", "-klmn"]
    assert texts(by_phrase.considered) == ["klmn", "kpmr"]


@pytest.mark.parametrize("budget", range(1, 30))
def test_a_budget_of_tokens_is_held_and_whole_answers_come_first(budget):
    law = random_law(2)
    done = searched(DiverseBeam(groups=2, width=2, diversity=0.5), law, budget=f"{budget}tok")
    free = searched(DiverseBeam(groups=2, width=2, diversity=0.5), law)
    assert done.cost.output_tokens <= budget
    # A token is leased for every beam, those that are about to end included.
    assert done.budget_spent or budget >= free.cost.output_tokens
    assert not done.budget_spent or budget < free.cost.output_tokens + 4
    ended = {one.finish for one in done.found.considered}
    assert ended == {"budget"} or "budget" not in ended
    if not done.budget_spent:
        assert texts(done.found.considered) == texts(free.found.considered)


@pytest.mark.parametrize("flops", [7, 12, 25, 40, 55])
def test_a_budget_that_covers_no_look_ends_it_with_what_is_there(flops):
    law = random_law(2)
    backend = KnownBackend(law, next_token_flops=5.0)
    done = searched(DiverseBeam(groups=2, width=2), law, backend=backend, budget=f"{flops}FLOP")
    assert done.cost.flops <= flops
    assert done.budget_spent
    whole = [one for one in done.found.considered if one.whole]
    assert done.found.best.whole == bool(whole)
    if done.found.notes:
        assert "before the candidates could go on" in done.found.notes[0]


def test_a_look_is_paid_once_for_each_beginning():
    law = random_law(2)
    plain = searched(DiverseBeam(groups=1, width=1), law).found.best
    paid = searched(DiverseBeam(groups=3, width=1, diversity=0.0), law,
                    backend=KnownBackend(law, next_token_flops=100.0)).cost.flops  # fmt: skip
    # Looked at: the start, and behind every token.
    assert paid == 100 * (plain.tokens + 1) + plain.tokens


def test_a_server_that_tells_of_no_next_tokens_is_refused_before_anything_is_asked():
    backend = KnownBackend(three_steps, abilities=frozenset({"steps", "log-probabilities"}))
    with pytest.raises(UsageError, match="next-tokens"):
        searched(DiverseBeam(), backend=backend)
    assert not backend.asked


def test_what_was_given_up_last_is_told_and_no_answer_is():
    done = found(random_law(0), groups=2, width=3)
    assert not {one.identity for one in done.pruned} & {one.identity for one in done.considered}


def test_nothing_is_found_where_not_even_the_prompt_can_be_read():
    law = random_law(2)
    done = searched(
        DiverseBeam(), law, backend=KnownBackend(law, next_token_flops=5.0), budget="4FLOP"
    )
    assert (done.found.best.text, done.found.best.finish) == ("", "budget")
    assert done.cost.flops == 0
    assert done.found.notes
